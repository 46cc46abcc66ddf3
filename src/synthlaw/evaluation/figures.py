"""What an evaluation says, as tables and as a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.files import atomic_path, write_text
from synthlaw.evaluation.intervals import Interval
from synthlaw.evaluation.scores import (
    METRICS,
    DomainScores,
    Metric,
    mean_interval_over_domains,
    pooled,
    pooled_interval,
)

LEVEL = 0.9
POOLED, MEAN = "pooled", "mean of domains"
"""Names of the two averages in the column `domain`; the column `kind` tells them from domains."""

Row = dict[str, Any]


def figure_rows(domains: Mapping[str, DomainScores], seed: int = 0) -> list[Row]:
    """One row per domain and metric, then over all: kind, domain, metric, value, low, high.

    kind: 'domain', 'pooled' (every token, byte or word alike: micro) or 'mean' (every domain
    alike: macro). Bounds are those of 90% intervals over documents, None where there are none.
    """
    rows = [
        _row("domain", name, metric, domain.interval(metric, level=LEVEL, seed=seed), domain)
        for name, domain in domains.items()
        for metric in METRICS
    ]
    if len(domains) > 1:
        whole = pooled(domains)
        for metric in METRICS:
            found = pooled_interval(domains, metric, level=LEVEL, seed=seed)
            rows.append(_row("pooled", POOLED, metric, found, whole))
        for metric in METRICS:
            found = mean_interval_over_domains(domains, metric, level=LEVEL, seed=seed)
            rows.append(_row("mean", MEAN, metric, found, whole))
    return rows


def _row(kind: str, name: str, metric: Metric, found: Interval, domain: DomainScores) -> Row:
    return {
        "kind": kind,
        "domain": name,
        "metric": metric,
        # Tables and JSON hold no infinity: a perplexity beyond any double is told as none.
        "value": found.value if math.isfinite(found.value) else None,
        **bounds(found.low, found.high),
        "tokens": domain.tokens,
        "documents": len(domain.documents),
    }


def bounds(low: float, high: float) -> dict[str, float | None]:
    """Bounds as JSON and tables hold them: None where there are none."""
    whole = math.isfinite(low) and math.isfinite(high)
    return {"low": low if whole else None, "high": high if whole else None}


def write_table(place: Path, rows: Sequence[Row]) -> None:
    """Write rows of one shape as `place`.csv and `place`.parquet."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(place.with_suffix(".csv"), stream.getvalue())
    with atomic_path(place.with_suffix(".parquet")) as aside:
        pq.write_table(pa.Table.from_pylist(list(rows)), aside, compression="zstd")


def draw(path: Path, rows: Sequence[Row], label: str, zero: bool = False) -> None:
    """Draw one dot with its interval per row, named by its `domain`, into an SVG file.

    label: of the axis. zero: mark the value 0, for differences.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.9 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows), 0, -1)
    for place, row in zip(places, rows, strict=True):
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color="0.55", linewidth=2)
    axes.plot([row["value"] for row in rows], list(places), "o", color="#1f5f99", markersize=5)
    if zero:
        axes.axvline(0, color="0.3", linewidth=0.8)
    # Names come from files; a dollar sign in one would start mathematics.
    axes.set_yticks(list(places), [row["domain"].replace("$", r"\$") for row in rows])
    axes.set_xlabel(label)
    axes.grid(axis="x", color="0.9")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    with atomic_path(path) as aside:
        figure.savefig(aside, format="svg", metadata={"Date": None})
