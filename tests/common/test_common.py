"""What every room stands on: counts, seeds, digests, atomic writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, atomic_path, read_json, write_json
from synthlaw.common.numbers import format_count, format_seconds, parse_count
from synthlaw.common.seeds import derive_seed


@pytest.mark.parametrize(
    ("text", "value"),
    [("7B", 7e9), ("200b", 2e11), ("1.5e12", 1.5e12), ("50k", 5e4), ("1_000", 1e3), ("2T", 2e12),
     ("0.1M", 1e5), (300, 300.0), ("7 billion", 7e9), ("2 trillion tokens", 2e12),
     ("47,557,632", 47557632), ("47 557 632", 47557632), ("1'000", 1e3), ("7 bn", 7e9),
     ("1.5x10^9", 1.5e9), ("200 B tokens", 2e11)],
)  # fmt: skip
def test_counts_as_people_write_them(text: str | int, value: float) -> None:
    assert parse_count(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    ["", "seven", "-3", "0", "nan", "inf", "7 potatoes", "1e999",
     "1,2", "1,00,000", "1 2", "1.2.3", "0x10", "\u0663", "9" * 400],
)  # fmt: skip
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="tokens: found"):
        parse_count(text, "tokens")


@given(st.floats(1, 1e15))
def test_formatted_counts_read_back(value: float) -> None:
    assert parse_count(format_count(value, 6)) == pytest.approx(value, rel=1e-5)


def test_durations() -> None:
    assert format_seconds(42) == "42 s"
    assert format_seconds(190) == "3 min 10 s"
    assert format_seconds(19_200) == "5 h 20 min"


def test_seeds_depend_on_every_name_and_its_kind() -> None:
    seeds = {derive_seed(0, "a", 1), derive_seed(0, "a", "1"), derive_seed(0, "a1"),
             derive_seed(1, "a", 1), derive_seed(0, "a", 2)}  # fmt: skip
    assert len(seeds) == 5
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    assert 0 <= derive_seed("x", bits=31) < 2**31


def test_digests_ignore_the_order_of_keys_and_refuse_nan() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        digest_of(float("nan"))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with atomic_folder(target) as aside:
            (aside / name).write_text(name)
    assert [p.name for p in target.iterdir()] == ["second"]
