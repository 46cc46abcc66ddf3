"""Digests of a study's input files, remembered by size and time of change."""

from __future__ import annotations

from pathlib import Path

from synthlaw.common.digest import file_digest
from synthlaw.common.files import read_json, write_json


class InputDigests:
    """SHA-256 of input files; a file whose size and time are as remembered is not read again."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._news = False
        try:
            self._known: dict[str, list[str | int]] = read_json(memory)
        except (OSError, ValueError):
            self._known = {}

    def of(self, path: Path) -> str:
        """The digest of one file's bytes."""
        facts = path.stat()
        state: list[str | int] = [facts.st_size, facts.st_mtime_ns]
        known = self._known.get(str(path.resolve()))
        if known is not None and known[:2] == state:
            return str(known[2])
        found = file_digest(path)
        self._known[str(path.resolve())] = [*state, found]
        self._news = True
        return found

    def save(self) -> None:
        """Remember what was read, if anything was."""
        if self._news:
            write_json(self._memory, self._known)
        self._news = False
