"""A block's files while they are written: in the input's order, whichever rollout ends first."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

from synthlaw.common.parts import Part
from synthlaw.corpus.documents import Document
from synthlaw.generate.generated import KINDS, Counts, Generated, add_counts, no_counts

_BUFFER = 1 << 18


class PartWriter:
    """One file of JSON lines, hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: BinaryIO = path.open("wb", buffering=_BUFFER)
        self._digest = hashlib.sha256()
        self._documents = self._bytes = self._text_bytes = 0

    def write(self, document: Document) -> None:
        """Append one document."""
        line = json.dumps(document.row(), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        self._stream.write(line)
        self._digest.update(line)
        self._documents += 1
        self._bytes += len(line)
        self._text_bytes += len(document.text.encode("utf-8", "replace"))

    def finish(self, name: str) -> Part:
        """Bring the file to disk; what is to be said of it under its final name."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        digest = self._digest.hexdigest()
        return Part(name, self._documents, self._bytes, self._text_bytes, digest)

    def discard(self) -> None:
        """Give the file up."""
        self._stream.close()
        self.path.unlink(missing_ok=True)


class BlockWriter:
    """The files of one block. Memory holds what came before its turn, and nothing else."""

    def __init__(self, folder: Path, name: str) -> None:
        """folder: where files lie until they are whole. name: begins the files' names."""
        self._folder, self._name = folder, name
        self.parts = {"documents": self._part("documents")}
        self._early: dict[int, tuple[str, Generated]] = {}
        self.written = 0
        self.by_recipe: dict[str, Counts] = {}

    def _part(self, kind: str) -> PartWriter:
        return PartWriter(self._folder / f"{self._name}-{kind}.jsonl")

    def add(self, rollout: int, recipe: str, result: Generated) -> None:
        """Take what came of the block's rollout number `rollout`, by the recipe of that name."""
        self._early[rollout] = recipe, result
        while self.written in self._early:
            self._write(*self._early.pop(self.written))
            self.written += 1

    def _write(self, recipe: str, result: Generated) -> None:
        if recipe not in self.by_recipe:
            self.by_recipe[recipe] = no_counts()
        add_counts(self.by_recipe[recipe], result.counts)
        for kind, documents in result.lists():
            for document in documents:
                if kind not in self.parts:
                    self.parts[kind] = self._part(kind)
                self.parts[kind].write(document)

    def finish(self, name: str) -> dict[str, Part]:
        """Bring all files to disk; each by its kind, under the name that it will have."""
        kinds = [kind for kind in KINDS if kind in self.parts]
        return {kind: self.parts[kind].finish(f"{kind}/{name}") for kind in kinds}

    def discard(self) -> None:
        """Give all files up."""
        for part in self.parts.values():
            part.discard()
