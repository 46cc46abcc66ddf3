"""Answers on disk as they come, one line each, so that none is ever paid for twice.

A block of documents has one journal per worker that ever held it. Lines are appended whole and
handed to the operating system at once: killing the process loses nothing that was answered, and a
line torn by a power cut is recognised and left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from synthlaw.generate.engines.base import Completion, RequestFailedError

Result = Completion | RequestFailedError

_COLUMNS = tuple(column.name for column in fields(Completion))


class BlockJournal:
    """The answers of one block: reads every journal that is there, appends to its own.

    retry_failed: requests that failed before are taken for never asked.
    """

    def __init__(self, path: Path, earlier: Iterable[Path], *, retry_failed: bool = False) -> None:
        """path: this worker's journal. earlier: journals to read, `path` may be among them."""
        self._path = path
        self._known: dict[str, Result] = {}
        for file in earlier:
            self._read(file, retry_failed)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(self._path, flags, 0o644)
        # A torn last line must not swallow the next one.
        os.write(self._descriptor, b"\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def find(self, key: str) -> Result | None:
        """What became of the request with this key, None when it was never finished."""
        return self._known.get(key)

    def keep(self, key: str, result: Result) -> None:
        """Append one result."""
        line = json.dumps({"key": key, **_row(result)}, ensure_ascii=True) + "\n"
        assert self._descriptor is not None, "the journal is not open"
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _read(self, file: Path, retry_failed: bool) -> None:
        with file.open("rb") as stream:
            for line in stream:
                parsed = _parse(line)
                if parsed is None:
                    continue
                key, result = parsed
                # An answer stands above a failure, whichever journal is read first.
                answered = isinstance(self._known.get(key), Completion)
                if isinstance(result, Completion) or not (retry_failed or answered):
                    self._known[key] = result


def _row(result: Result) -> dict[str, Any]:
    if isinstance(result, Completion):
        return {name: getattr(result, name) for name in _COLUMNS}
    return {"failed": result.reason, "response": result.response}


def _parse(line: bytes) -> tuple[str, Result] | None:
    try:
        row = json.loads(line)
        key = row["key"]
        if "failed" in row:
            return key, RequestFailedError(row["failed"], row["response"])
        return key, Completion(**{name: row[name] for name in _COLUMNS})
    except (ValueError, KeyError, TypeError):
        return None
