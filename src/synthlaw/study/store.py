"""The artifact store: finished work, each piece in a folder keyed by all that determines it.

    artifacts/<stage>/<name>-<key>/    the files, and artifact.json, which lists and signs them
    work/<stage>/<name>-<key>/         unfinished work that may be resumed (checkpoints)

A key is the digest of the stage's code version, its configuration and the *contents* of its
inputs. A folder takes its name by one rename after everything in it is on disk, so what has a
name is finished. When an input is remade with the same bytes, nothing below it is remade.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import SynthlawError
from synthlaw.common.files import ASIDE, atomic_folder, read_json, remove_abandoned, write_json
from synthlaw.common.locks import exclusive
from synthlaw.common.parts import MANIFEST as DATASET
from synthlaw.common.parts import Dataset
from synthlaw.tokens.dataset import MANIFEST as TOKENS
from synthlaw.tokens.dataset import read_manifest

MARKER = "artifact.json"
KEY_DIGITS = 16


@dataclass(frozen=True)
class Artifact:
    """A finished piece of work. `content` is the digest of its files, for keys downstream."""

    stage: str
    name: str
    path: Path
    content: str
    seconds: float

    def file(self, name: str) -> Path:
        """One of its files."""
        return self.path / name


class _MadeMeanwhileError(Exception):
    """Another worker finished the artifact first."""


class Store:
    """Artifacts of one study folder."""

    def __init__(self, root: Path, *, verify: bool = False) -> None:
        self.root = root
        self.verify = verify
        self.made: list[str] = []
        self._kept: set[str] = set()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process. Raises UsageError when another process holds it."""
        with exclusive(self.root):
            # What a killed process was writing never had a name. What live ones write, jobs of an
            # earlier driver perhaps, stays.
            for pattern in (f"{ASIDE}*", f"*/{ASIDE}*", f"artifacts/*/{ASIDE}*"):
                remove_abandoned(self.root.glob(pattern))
            yield

    @property
    def kept(self) -> list[str]:
        """Artifacts that were found finished and are not among those made."""
        return sorted(self._kept - set(self.made))

    def keep(self, name: str) -> None:
        """Count something outside the store as found finished."""
        self._kept.add(name)

    def key(self, stage: str, version: int, inputs: Mapping[str, Any]) -> str:
        """The key of work in `stage` (code version `version`) on `inputs` (JSON values)."""
        return digest_of({"stage": stage, "version": version, "inputs": dict(inputs)})

    def find(self, stage: str, name: str, key: str) -> Artifact | None:
        """The finished artifact, or None; a damaged one is removed, so that it is made again."""
        path = self._place("artifacts", stage, name, key)
        if not path.exists():
            return None
        try:
            marker = read_json(path / MARKER)
            if marker["key"] != key:
                raise ValueError("its key is another")
            for file, facts in marker["files"].items():
                self._check(path / file, facts)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # Damage. Any other error of the filesystem is raised: it says nothing of the artifact.
            shutil.rmtree(path)
            return None
        self._kept.add(f"{stage}/{name}")
        return Artifact(stage, name, path, digest_of(_digests(marker["files"])), marker["seconds"])

    def _check(self, path: Path, facts: Mapping[str, Any]) -> None:
        if path.stat().st_size != facts["size"]:
            raise ValueError(f"{path}: size differs")
        if self.verify and file_digest(path) != facts["sha256"]:
            raise ValueError(f"{path}: bytes differ")

    @contextmanager
    def making(
        self, stage: str, name: str, key: str, seconds: float | None = None
    ) -> Iterator[Path]:
        """A folder to fill; on success it becomes the artifact.

        seconds: what the work took, when it was done before the folder is filled. A finished
        artifact is never replaced: when another worker was faster, the folder is dropped.
        """
        started = time.monotonic()
        target = self._place("artifacts", stage, name, key)
        with suppress(_MadeMeanwhileError), atomic_folder(target) as aside:
            yield aside
            if self.find(stage, name, key) is not None:
                raise _MadeMeanwhileError
            took = time.monotonic() - started if seconds is None else seconds
            self._sign(aside, stage, name, key, took)

    def adopt(self, stage: str, name: str, key: str, seconds: float) -> Artifact:
        """Make the work folder of (stage, name, key), now finished, the artifact.

        A finished artifact is never replaced: when there is one, the work is dropped.
        """
        work = self.work(stage, name, key)
        found = self.find(stage, name, key)
        if found is not None:
            shutil.rmtree(work)
            return found
        self._sign(work, stage, name, key, seconds)
        target = self._place("artifacts", stage, name, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        work.replace(target)
        return self.require(stage, name, key)

    def require(self, stage: str, name: str, key: str) -> Artifact:
        """The artifact that was just made."""
        found = self.find(stage, name, key)
        if found is None:
            raise SynthlawError(f"{stage}/{name}: was written but cannot be read back")
        return found

    def work(self, stage: str, name: str, key: str) -> Path:
        """The folder for unfinished work of (stage, name, key)."""
        return self._place("work", stage, name, key)

    def _sign(self, folder: Path, stage: str, name: str, key: str, seconds: float) -> None:
        known = _known_digests(folder)
        files = {
            str(path.relative_to(folder)): {
                "size": path.stat().st_size,
                "sha256": known.get(path) or file_digest(path),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != MARKER
        }
        write_json(
            folder / MARKER,
            {"stage": stage, "name": name, "key": key, "seconds": seconds, "files": files},
        )
        self.made.append(f"{stage}/{name}")

    def _place(self, kind: str, stage: str, name: str, key: str) -> Path:
        return self.root / kind / stage / f"{name}-{key[:KEY_DIGITS]}"


def _digests(files: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(facts["sha256"]) for name, facts in files.items()}


def _known_digests(folder: Path) -> dict[Path, str]:
    """SHA-256 of the files that the manifests in a folder name: nothing is read twice."""
    known: dict[Path, str] = {}
    for path in folder.rglob(DATASET):
        known |= {path.parent / part.name: part.sha256 for part in Dataset(path.parent).parts}
    for path in folder.rglob(TOKENS):
        manifest = read_manifest(path.parent)
        for shard in manifest.shards:
            for file, _, digest in shard.files(path.parent, manifest.dtype):
                known[file] = digest
    return known
