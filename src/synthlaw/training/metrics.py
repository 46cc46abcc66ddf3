"""The run's log, metrics.jsonl: one line per optimizer step, none twice, whatever was killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from synthlaw.common.files import write_text

METRICS_FILE = "metrics.jsonl"
"""The log's name in a run's folder."""

FLUSH_EVERY_ROWS = 100


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of a log, in step order; a last line cut short by a kill is left out.

    Each row: step (updates done), tokens, loss (nats per token, of that step's batch before its
    update), grad_norm (before clipping), lr, tokens_per_second,
    mfu (see speed.json beside it), memory_bytes (the most held so far).
    """
    return list(_rows(path))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if line.endswith("\n"):
                yield json.loads(line)


class MetricsLog:
    """Appends rows. Opened at step n, it first drops every row of a later step, atomically."""

    def __init__(self, path: Path, step: int) -> None:
        kept = [row for row in _rows(path) if row["step"] <= step]
        write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._stream = path.open("a", encoding="utf-8")
        self._pending = 0

    def write(self, row: dict[str, Any]) -> None:
        """Append one row; it reaches the file after at most `FLUSH_EVERY_ROWS` more."""
        self._stream.write(json.dumps(row, allow_nan=False) + "\n")
        self._pending += 1
        if self._pending >= FLUSH_EVERY_ROWS:
            self._stream.flush()
            self._pending = 0

    def sync(self) -> None:
        """Put every row on disk: done before a checkpoint, which promises the rows up to it."""
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
