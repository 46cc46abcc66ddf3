"""The answer on a terminal, and the numbers as they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from synthlaw.report.numerals import interval, number, percent, signed, times, times_interval
from synthlaw.report.sections import headline_parts
from synthlaw.report.terminal import WIDTH, answer_lines


def write_advice(folder: Path, name: str = "33HQ", headline: str = "33HQ is best.") -> Path:
    row = {
        "mixture": name,
        "synthetic_type": "HQ",
        "synthetic_ratio": 0.33,
        "loss": 5.07,
        "interval": [5.03, 5.13],
        "difference": -0.104,
        "difference_interval": [-0.154, -0.059],
        "probability_best": 0.86,
        "speedup": 1.2,
        "speedup_interval": [0.0, None],
    }
    base = {**row, "mixture": "CC", "loss": 5.18, "difference": 0.0, "difference_interval": None}
    advice = {
        "advice": headline,
        "level": "undecided",
        "baseline": base,
        "params": 1e6,
        "tokens": 4e5,
        "options": [row],
        "limits": ["It is small.", "It is one seed."],
    }
    (folder / "advice.json").write_text(json.dumps(advice), encoding="utf-8")
    return folder


def test_the_answer_is_a_table_a_sentence_and_the_pages_path(tmp_path: Path) -> None:
    lines = answer_lines(write_advice(tmp_path))
    text = "\n".join(lines)
    assert text.index("33HQ") < text.index("baseline"), "lowest loss first"
    assert "−0.104 (−0.154 to −0.059)" in text and "86%" in text
    assert "33HQ is best." in text and "Undecided" in text
    assert "It cannot show: It is small. (1 more on the page)" in text
    assert lines[-1] == f"Page: {(tmp_path / 'report' / 'index.html').absolute()}"


def test_a_study_without_laws_says_so(tmp_path: Path) -> None:
    (tmp_path / "timings.json").write_text("[]", encoding="utf-8")
    lines = answer_lines(tmp_path)
    assert "No answer yet" in lines[0] and lines[-1].startswith("Page: ")


@given(name=st.text(min_size=1), headline=st.text(min_size=1))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_fit_whatever_the_names_are(tmp_path: Path, name: str, headline: str) -> None:
    lines = answer_lines(write_advice(tmp_path, name * 9, headline * 30))
    assert all(cell_len(line) <= WIDTH for line in lines[:-1])
    assert all(line.isprintable() for line in lines[:-1] if line.isascii())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(-0.0004), "0.000"),
        (number(None), "–"),
        (number(float("nan")), "–"),
        (signed(0.0163), "+0.016"),
        (signed(-0.2), "−0.200"),
        (interval((1.0, 2.0), 1), "1.0 to 2.0"),
        (interval((None, 2.0), 1), "≤ 2.0"),
        (interval((1.0, None), 1, sign=True), "≥ +1.0"),
        (interval(None), "–"),
        (percent(0.0), "0%"),
        (percent(0.001), "<1%"),
        (percent(0.999), ">99%"),
        (percent(1.0), "100%"),
        (percent(0.0163, 1), "1.6%"),
        (times(1.654), "1.65×"),
        (times(0.0), "never"),
        (times(23.4), "23.4×"),
        (times_interval((0.0, 1.5)), "never to 1.50×"),
        (times_interval((2.0, None)), "≥ 2.00×"),
    ],
)
def test_numbers_are_written_for_readers(written: str, expected: str) -> None:
    assert written == expected


def test_a_long_headline_is_set_in_two_parts() -> None:
    assert headline_parts("Short: it stays whole; always.") == (
        "Short: it stays whole; always.",
        "",
    )
    first, rest = headline_parts("At this scale nothing is settled: " + "the rest is detail " * 6)
    assert first == "At this scale nothing is settled."
    assert rest.startswith("The rest is detail")
