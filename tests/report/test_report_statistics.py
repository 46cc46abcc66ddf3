"""The page's section of statistics: the tables' numbers, as text, and a broken folder told."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from report_study import rendered, write_study

from synthlaw.common.errors import UsageError
from synthlaw.report.charts.loss_by_frequency import GROUP_NAMES, group_name
from synthlaw.report.comparison import read_comparison
from synthlaw.report.reading import read_study
from synthlaw.statistics.build import Sources, facts_of, make_tables, write_tables
from synthlaw.statistics.losses import LossSums, by_frequency
from synthlaw.statistics.sets import compare
from synthlaw.statistics.unigrams import Unigrams

HOSTILE = "<script>alert('set')</script>"


class Texts:
    """A tokenizer whose tokens are markup."""

    def decode(self, ids: list[int]) -> str:
        return f"<b>{ids[0]}</b>\n"


def counted(name: str, low: int, seed: int) -> Unigrams:
    random = np.random.default_rng(seed)
    law = np.where(np.arange(60) >= low, 1 / np.arange(1, 61), 0)
    blocks = random.multinomial(2000, law / law.sum(), size=8).astype(np.uint64)
    return Unigrams(name, blocks, 8, "t")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    write_study(place)
    sets = {"natural": counted("natural", 0, 1), HOSTILE: counted(HOSTILE, 3, 2)}
    compared = compare(sets, {"news": counted("news", 0, 3)})
    tables = make_tables(compared, Sources({}, {}), tokenizer=Texts(), longest=0)
    write_tables(place / "statistics", tables, facts_of(compared, tables, 0))
    return place


def test_the_section_shows_the_tables_and_runs_nothing(folder: Path) -> None:
    page = rendered(read_study(folder))
    section = re.search(r'<section id="statistics".*?</section>', page, re.DOTALL)
    assert section is not None
    found = read_comparison(folder / "statistics")
    assert found is not None
    types = found.rows("support", set="natural", sample="equal")[0]["types"]
    assert f"<b>{types:,.0f}</b>" in section[0]
    assert "&lt;b&gt;0&lt;/b&gt;\\n" in section[0]  # a gap: the other set never has token 0
    assert "<script" not in section[0]
    assert "<b>0</b>" not in section[0]


def test_a_study_without_statistics_says_so(tmp_path: Path) -> None:
    write_study(tmp_path)
    assert "statistics/statistics.json" in rendered(read_study(tmp_path))


def test_a_broken_table_is_named(folder: Path) -> None:
    table = folder / "statistics" / "zipf.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[:40])
    with pytest.raises(UsageError, match="not a whole folder of statistics"):
        read_study(folder)
    table.write_bytes(whole)


def test_every_group_of_frequencies_has_its_name() -> None:
    total = 10**9
    each = [0, 1, 20, 200, 2000, 20_000, 200_000, 2_000_000, 20_000_000]
    training = np.array([*each, total - sum(each)])
    sums = LossSums(np.ones((1, 10)), np.ones((1, 10), dtype=np.int64))
    groups = by_frequency(sums, training)
    assert [group_name(group.low, group.high) for group in groups] == GROUP_NAMES
