"""Progress lines: whole in a log, and never without rate and time left on a narrow terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from synthlaw.common import progress

NEWS = "warning: " + "a sentence of some length, " * 8 + "and its end"


def test_a_log_s_line_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=stream, highlight=False))
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
    progress.say(NEWS)
    with progress.meter("training", 100, "FLOP") as meter:
        meter.advance(50, note=NEWS)
    first, second = stream.getvalue().splitlines()
    assert first == NEWS
    assert second.startswith("  training: 50%")
    assert second.endswith("and its end")


def test_a_narrow_terminal_keeps_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(progress, "console", console)
    with progress.meter("generate high-quality and qa", 1000, "tokens") as meter:
        meter.advance(500, note=NEWS)
        meter._progress.refresh()  # type: ignore[attr-defined]
    shown = [line for line in stream.getvalue().splitlines() if "50%" in line]
    assert shown
    assert any("tokens/s" in line and "0 s left" in line for line in shown), shown
