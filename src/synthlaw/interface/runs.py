"""Runs of any trainer, from a file or from a table in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.formats import arrow_rows
from synthlaw.laws.table import RunsTable

EXPECTED = (
    "expected a path, a pandas or Polars DataFrame, an Arrow table, or a list of dictionaries"
)


def read_runs(
    source: Any,
    *,
    params: str | None = None,
    tokens: str | None = None,
    loss: str | None = None,
    ratio: str | None = None,
    unique_tokens: str | None = None,
) -> RunsTable:
    """A table of training runs, one row each.

    source: the path of a CSV, TSV, JSON, JSONL, Parquet or Arrow file (W&B exports too), a
    pandas or Polars DataFrame, an Arrow table, or a list of dictionaries. The other arguments
    name its columns where they are not called params, tokens, loss (nats per token),
    synthetic_ratio and unique_tokens.

    Raises UsageError for what cannot be read as such a table.
    """
    columns = {
        "params": params,
        "tokens": tokens,
        "loss": loss,
        "ratio": ratio,
        "unique_tokens": unique_tokens,
    }
    if isinstance(source, str | PathLike):
        return RunsTable.read(Path(source), columns)
    return RunsTable.from_rows(_rows(source), columns)


def runs_table(runs: Any) -> RunsTable:
    """`runs` itself where it is a table of runs, else read as one."""
    return runs if isinstance(runs, RunsTable) else read_runs(runs)


def _rows(source: Any) -> Sequence[Mapping[str, Any]]:
    """Rows of a table in memory. Raises UsageError when it is none, or has no rows."""
    if isinstance(source, list | tuple) and all(isinstance(row, Mapping) for row in source):
        rows: Sequence[Mapping[str, Any]] = source
    else:
        rows = arrow_rows(arrow_table(source, "runs", EXPECTED)).rows
    if not rows:
        raise UsageError("runs: found no rows; expected one row per run")
    return rows


def arrow_table(source: Any, what: str, expected: str) -> Any:
    """A DataFrame or an Arrow table as the latter. Raises UsageError that calls it `what`."""
    import pyarrow as pa

    if isinstance(source, pa.Table):
        return source
    if not hasattr(source, "__arrow_c_stream__") and not hasattr(source, "__dataframe__"):
        raise UsageError(f"{what}: found {type(source).__name__}; {expected}")
    try:
        if hasattr(source, "__arrow_c_stream__"):
            return pa.table(source)
        return pa.interchange.from_dataframe(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UsageError(f"{what}: found a table that Arrow cannot hold ({error})") from None
