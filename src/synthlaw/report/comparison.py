"""The tables of a statistics folder as the page and the figures read them.

A folder holds `statistics.json` and a Parquet file per table (see `statistics.build`). What is
text in them (names, tokens) is data, and cleaned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from synthlaw.common.errors import UsageError
from synthlaw.report.text import clean_text

if TYPE_CHECKING:  # it reads studies, which hold comparisons
    from synthlaw.report.palette import Style

FOLDER = "statistics"
FACTS = "statistics.json"

Row = Mapping[str, Any]


class Facts(BaseModel):
    """What `statistics.json` says: what was compared, and at which sizes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    baseline: str
    training: Mapping[str, int]
    mixtures: Sequence[str] = ()
    tests: Mapping[str, int] = {}
    training_tokens: int
    test_tokens: int = 0
    smoothing: str
    tables: Mapping[str, int]


@dataclass(frozen=True)
class Comparison:
    """A statistics folder, read. tables: rows by table; a table without rows is not there.

    known: how the study draws its mixtures, by name.
    """

    facts: Facts
    tables: Mapping[str, Sequence[Row]]
    known: Mapping[str, Style] = field(default_factory=dict)

    def rows(self, table: str, **wanted: Any) -> list[Row]:
        """Rows of a table whose columns have the wanted values, in file order."""
        return [
            row
            for row in self.tables.get(table, ())
            if all(row.get(column) == value for column, value in wanted.items())
        ]

    @property
    def trained(self) -> list[str]:
        """Training sets, then mixtures."""
        return [*self.facts.training, *self.facts.mixtures]

    @property
    def tests(self) -> list[str]:
        """Test sets."""
        return list(self.facts.tests)

    def models(self) -> list[str]:
        """Models whose losses by token are here, in file order."""
        return list(dict.fromkeys(str(row["model"]) for row in self.rows("loss_by_frequency")))


def read_comparison(folder: Path) -> Comparison | None:
    """The tables in `folder`; None when there are none. Raises UsageError for a broken file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = folder / FACTS
    if not place.is_file():
        return None
    try:
        facts = Facts.model_validate(_clean(json.loads(place.read_text(encoding="utf-8"))))
        tables = {
            name: _clean(pq.read_table(folder / f"{name}.parquet").to_pylist())
            for name in facts.tables
        }
    except (OSError, ValueError, ValidationError, pa.ArrowException) as error:
        raise UsageError(f"{place}: not a whole folder of statistics ({error})") from error
    return Comparison(facts, tables)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _clean(item) for key, item in value.items()}
    return value
