"""All statistics of a group of token sets, as a folder of tidy tables.

<table>.parquet, <table>.csv     see `docs/statistics.md` for their columns
statistics.json                  what was compared, at which sizes, with which settings
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.files import atomic_folder, write_json, write_text
from synthlaw.common.progress import meter
from synthlaw.statistics import tables
from synthlaw.statistics.distances import divergence_rows
from synthlaw.statistics.divergence import SMOOTHINGS
from synthlaw.statistics.loss_tables import ModelLosses, loss_rows
from synthlaw.statistics.ngram_tables import ngram_rows
from synthlaw.statistics.ngrams import LONGEST
from synthlaw.statistics.sampling import WINDOW
from synthlaw.statistics.sets import Compared
from synthlaw.statistics.words import TokenTexts
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.tokenizer import Tokenizer

STATISTICS_VERSION = 1
FACTS = "statistics.json"

Row = dict[str, Any]


@dataclass(frozen=True)
class Sources:
    """The token sets behind a comparison, for what counts alone cannot give, and kept losses."""

    training: Mapping[str, TokenDataset]
    tests: Mapping[str, TokenDataset]
    losses: Sequence[ModelLosses] = ()


def make_tables(
    compared: Compared,
    sources: Sources,
    *,
    tokenizer: Tokenizer | None = None,
    longest: int = LONGEST,
    seed: int = 0,
) -> dict[str, list[Row]]:
    """Every table, by name; a table that has nothing to say is empty.

    tokenizer: gives token ids their text. longest: of the n-grams, 0 for none.
    """
    texts = TokenTexts(tokenizer)
    found: dict[str, list[Row]] = {}
    with meter("comparing sets", 6, "table") as bar:
        found["support"] = tables.support_rows(compared)
        bar.advance()
        found["growth"] = tables.growth_rows(compared)
        bar.advance()
        found["zipf"], found["ranks"] = tables.zipf_rows(compared, seed)
        bar.advance()
        found["divergence"] = divergence_rows(compared)
        bar.advance()
        found["coverage"] = tables.coverage_rows(compared)
        found["frequencies"] = tables.frequency_rows(compared)
        found["gaps"] = tables.gap_rows(compared, texts)
        bar.advance()
        found["overuse"] = tables.overuse_rows(compared, texts)
        bar.advance()
    if longest:
        found["ngrams"], found["ngram_overlap"] = ngram_rows(
            sources.training, sources.tests, longest=longest
        )
    if sources.losses:
        found |= loss_rows(sources.losses, texts)
    return found


def write_tables(
    folder: Path, found: Mapping[str, Sequence[Row]], facts: Mapping[str, Any]
) -> None:
    """Write every table that has rows as Parquet and CSV, and the facts; replaces the folder."""
    with atomic_folder(folder, "statistics") as aside:
        for name, rows in found.items():
            if rows:
                columns = list(dict.fromkeys(key for row in rows for key in row))
                clean = [{key: _finite(row.get(key)) for key in columns} for row in rows]
                table = pa.Table.from_pylist(clean)
                pq.write_table(table, aside / f"{name}.parquet", compression="zstd")
                write_text(aside / f"{name}.csv", _as_csv(columns, clean))
        write_json(aside / FACTS, dict(facts))


def _finite(value: Any) -> Any:
    """Numbers that are none become nothing: an interval that too few documents cannot give."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _as_csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def facts_of(compared: Compared, found: Mapping[str, Sequence[Row]], longest: int) -> Row:
    """What `statistics.json` holds."""
    return {
        "version": STATISTICS_VERSION,
        "baseline": compared.baseline,
        "vocab": compared.vocab,
        "training": {name: one.tokens for name, one in compared.training.items()},
        "mixtures": [name for name in compared.equal if name not in compared.training],
        "tests": {name: one.tokens for name, one in compared.tests.items()},
        "training_tokens": compared.training_tokens,
        "test_tokens": next(iter(compared.equal_tests.values())).tokens if compared.tests else 0,
        "smoothing": SMOOTHINGS[0].label,
        "longest_ngram": longest,
        "window": WINDOW,
        "tables": {name: len(rows) for name, rows in found.items() if rows},
    }
