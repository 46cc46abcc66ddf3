"""Completions on disk as they come, one line each, so that none is ever paid for twice.

A block of documents has one journal per worker that ever held it. Lines are appended whole and
handed to the operating system at once: killing the process loses nothing that was completed, and a
line torn by a power cut is recognised and left out. Between the completions stand the numbers of
the rollouts that are done, for whoever looks from outside. Failed requests are not kept, nor are
their rollouts done: a block that is opened again asks for them again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from synthlaw.common.quick_json import to_json
from synthlaw.generate.engines.base import Completion, RequestFailedError

_COLUMNS = tuple(column.name for column in fields(Completion))
_ROLLOUT, _KEY = b'{"rollout": ', b'{"key": "'
_KEY_LETTERS = 64


class BlockJournal:
    """The completions of one block: finds them in every journal there is, appends to its own.

    Memory holds where each is found, not its text.
    """

    def __init__(self, path: Path, earlier: Iterable[Path]) -> None:
        """path: this worker's journal, opened. earlier: journals to read."""
        self._places: dict[str, tuple[int, int, int]] = {}
        self._descriptors = []
        for file in earlier:
            self._index(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._own = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._descriptors.append(self._own)
        # A torn last line must not swallow the next one.
        os.write(self._own, b"\n")

    def _index(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        self._descriptors.append(descriptor)
        offset = 0
        with file.open("rb") as stream:
            for line in stream:
                key = _key_of(line)
                if key is not None:
                    self._places[key] = (descriptor, offset, len(line))
                offset += len(line)

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def find(self, key: str) -> Completion | None:
        """The completion of the request with this key, None when there is none from earlier."""
        place = self._places.get(key)
        if place is None:
            return None
        descriptor, offset, length = place
        row = json.loads(os.pread(descriptor, length, offset))
        return Completion(**{name: row[name] for name in _COLUMNS})

    def keep(self, key: str, result: Completion | RequestFailedError) -> None:
        """Append a completion."""
        if isinstance(result, Completion):
            row = {name: getattr(result, name) for name in _COLUMNS}
            self._append(b'%s%s",%s\n' % (_KEY, key.encode(), to_json(row)[1:]))

    def finish(self, rollout: int) -> None:
        """Note that the block's rollout with this number is done."""
        self._append(_ROLLOUT + b"%d}\n" % rollout)

    def _append(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._own, data) :]


def held_by(journals: Iterable[Path]) -> tuple[int, int]:
    """What the journals of one unfinished block hold: (rollouts that are done, completions)."""
    rollouts, keys = set(), set()
    for journal in journals:
        try:
            with journal.open("rb") as stream:
                for line in stream:
                    if not line.endswith(b"}\n"):  # torn
                        continue
                    if line.startswith(_ROLLOUT):
                        rollouts.add(line)
                    elif line.startswith(_KEY):
                        keys.add(line[: len(_KEY) + _KEY_LETTERS])
        except FileNotFoundError:  # its block was finished in the meantime
            continue
    return len(rollouts), len(keys)


def _key_of(line: bytes) -> str | None:
    """Key of a line that holds a whole completion."""
    try:
        row: Any = json.loads(line)
        Completion(**{name: row[name] for name in _COLUMNS})
        return str(row["key"])
    except (ValueError, KeyError, TypeError):
        return None
