"""An output folder: whole input files through a recipe, resumable, shared by many workers.

    OUT/documents, dropped, failed, aside    links into the run that was started last
    OUT/runs/KEY/run.json                    what determines the run; KEY is its digest
                 documents/part-000000.jsonl one file per finished block of documents
                 writing/                    such files before they are whole
                 journal/                    answers of blocks that are not finished
                 claims/, workers/           who works on what, and is alive
                 sessions/                   what workers that have left did
                 done/000000.json            a block's marker and counts, written after its data
                 README.md, report.json      the dataset card, when all blocks are finished

A changed prompt, model, sampling, seed or input has another KEY, so its results can never mix with
the old ones, which stay under `runs`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthlaw.common.claims import busy_seconds, sessions_in
from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import ASIDE, move_synced, read_json, write_json
from synthlaw.corpus.documents import Document, read_documents, write_documents
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.filters import FILTERS_VERSION
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.settings import Generated

KINDS = ("documents", "dropped", "failed", "aside")
LINKED = (*KINDS, "README.md", "report.json")
FORMAT = 1
"""Of the folder; part of the key."""


@dataclass(frozen=True)
class Inputs:
    """The input files in the order given, with their digests and the documents in all of them."""

    paths: tuple[Path, ...]
    digests: tuple[str, ...]
    documents: int

    def read(self) -> Iterable[Document]:
        """Every document, in order; memory is one batch."""
        for path in self.paths:
            yield from read_documents(path)


def survey(paths: Sequence[Path]) -> Inputs:
    """Read the input files once to the end. Raises UsageError for a missing or bad one."""
    for path in paths:
        if not path.is_file():
            raise UsageError(f"input: found no file {path}; expected JSONL or Parquet documents")
    count = sum(1 for path in paths for _ in read_documents(path))
    if count == 0:
        raise UsageError(f"input: found no documents in {', '.join(map(str, paths))}")
    return Inputs(tuple(paths), tuple(file_digest(path) for path in paths), count)


class RunFolder:
    """One run's place on disk, opened or made. `block_size` is the first opener's."""

    def __init__(self, out: Path, mix: RecipeMix, engine: Engine, inputs: Inputs, size: int):
        """size: documents per block, if the run is new. Raises UsageError for an unusable `out`."""
        described = {
            "format": FORMAT,
            "filters": FILTERS_VERSION,
            "settings": mix.digest(engine),
            "inputs": list(inputs.digests),
        }
        self.key = digest_of(described)[:16]
        self.out, self.root, self.inputs = out, out / "runs" / self.key, inputs
        if out.exists() and not out.is_dir():
            raise UsageError(f"out: found a file at {out}; expected a folder")
        detail = mix.record() | {
            "sampling": mix.common.sampling.record(),
            "seed": mix.common.seed,
            "input_tokens": mix.common.input_tokens,
            "rollouts": mix.common.rollouts,
            "engine": engine.identity(),
            "documents": inputs.documents,
            "block_size": size,
        }
        self.root.mkdir(parents=True, exist_ok=True)
        _write_once(self.root / "run.json", described | detail)
        self.block_size = int(read_json(self.root / "run.json")["block_size"])
        self.blocks = -(-inputs.documents // self.block_size)
        for kind in KINDS:
            (self.root / kind).mkdir(exist_ok=True)
        (self.root / "done").mkdir(exist_ok=True)
        self._link()

    def _link(self) -> None:
        for kind in LINKED:
            link, target = self.out / kind, Path("runs") / self.key / kind
            if link.is_symlink() and link.readlink() == target:
                continue
            if link.exists() and not link.is_symlink():
                raise UsageError(f"out: {link} is not a link of this program; choose another --out")
            aside = link.with_name(f"{ASIDE}{os.getpid()}-{kind}")
            aside.unlink(missing_ok=True)
            aside.symlink_to(target, target_is_directory=kind in KINDS)
            aside.replace(link)

    def part(self, kind: str, block: int) -> Path:
        """File of a finished block's documents of one kind."""
        return self.root / kind / f"part-{block:06d}.jsonl"

    def journals(self, block: int) -> list[Path]:
        """Journals of every worker that held the block."""
        return sorted((self.root / "journal").glob(f"{block:06d}.*.jsonl"))

    def journal(self, block: int, worker: str) -> Path:
        """Where a worker keeps the block's answers."""
        return self.root / "journal" / f"{block:06d}.{worker}.jsonl"

    def marker(self, block: int) -> dict[str, Any] | None:
        """A finished block's counts; None when it is not finished or a file of it is gone."""
        try:
            value: dict[str, Any] = read_json(self.root / "done" / f"{block:06d}.json")
        except FileNotFoundError:
            return None
        there = all(self.part(kind, block).exists() for kind in value["files"])
        return value if there else None

    def commit(self, block: int, result: Generated) -> None:
        """Make a block's result final: its files, then the marker, then away with the journals.

        Journals of a block with failures stay, so that trying those again costs nothing else.
        """
        lists = (result.documents, result.dropped, result.failed, result.intermediate)
        files = []
        for kind, documents in zip(KINDS, lists, strict=True):
            if documents or kind == "documents":
                # In a folder of its own: whoever reads documents/*.jsonl never sees half a file.
                aside = self.root / "writing" / f"{block:06d}-{kind}-{os.getpid()}.jsonl"
                write_documents(aside, documents)
                move_synced(aside, self.part(kind, block))
                files.append(kind)
            else:
                self.part(kind, block).unlink(missing_ok=True)
        marker = {"files": files, "counts": result.counts, "recipes": result.counts_by_recipe()}
        write_json(self.root / "done" / f"{block:06d}.json", marker)
        if not result.failed:
            for journal in self.journals(block):
                journal.unlink(missing_ok=True)

    def _markers(self) -> Iterator[dict[str, Any]]:
        for block in range(self.blocks):
            if (marker := self.marker(block)) is not None:
                yield marker

    def counts(self) -> dict[str, Any]:
        """Sums over the finished blocks, and how many blocks there are and are finished."""
        done = sum(1 for _ in self._markers())
        total = sum_counts(marker["counts"] for marker in self._markers())
        return {"blocks": self.blocks, "blocks_done": done, **total}

    def counts_by_recipe(self) -> dict[str, dict[str, Any]]:
        """Sums over the finished blocks by recipe."""
        names = {name for marker in self._markers() for name in marker["recipes"]}
        return {
            name: sum_counts(m["recipes"][name] for m in self._markers() if name in m["recipes"])
            for name in sorted(names)
        }

    def documents(self) -> Iterator[Document]:
        """What was kept, in the input's order, block by finished block."""
        for block in range(self.blocks):
            if self.marker(block) is not None:
                yield from read_documents(self.part("documents", block))


def sum_counts(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Counts of several results added up, by reason where they have reasons."""
    total = Generated().counts
    for one in counts:
        for name, value in one.items():
            if isinstance(value, dict):
                total[name] = dict(Counter(total[name]) + Counter(value))
            else:
                total[name] += value
    return total


def _write_once(path: Path, value: dict[str, Any]) -> None:
    """Write a file that the first of several workers makes and no other changes."""
    if path.exists():
        return
    aside = path.with_name(f"{ASIDE}{os.getpid()}-{os.urandom(4).hex()}")
    aside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def is_generation(out: Path) -> bool:
    """Whether `out` is a folder that generation has made."""
    return (out / "documents").is_symlink() and (out / "runs").is_dir()


def folder_status(out: Path) -> dict[str, Any]:
    """What is done and who is at work in `out`, read from outside without an engine.

    Raises UsageError when nothing was generated there.
    """
    if not is_generation(out):
        raise UsageError(f"{out}: found no generation run; expected a folder made by generate")
    root = (out / "documents").resolve().parent
    run = read_json(root / "run.json")
    markers = [read_json(path) for path in sorted((root / "done").glob("*.json"))]
    sessions = sessions_in(root)
    workers = [one for one in sessions if one["alive"]]
    total, size = run["documents"], run["block_size"]
    finished = min(total, len(markers) * size) * run["rollouts"]
    units = finished + sum(one.get("open", 0) for one in workers)
    rate = sum(one.get("documents", 0) / one["seconds"] for one in workers if one["seconds"])
    left = total * run["rollouts"] - units
    return {
        "key": root.name,
        "source_documents": total,
        "units": total * run["rollouts"],
        "units_done": units,
        "blocks": -(-total // size),
        "blocks_done": len(markers),
        **sum_counts(marker["counts"] for marker in markers),
        "seconds": round(busy_seconds(sessions), 1),
        "seconds_left": round(left / rate, 1) if rate else (0.0 if left <= 0 else None),
        "workers": workers,
    }
