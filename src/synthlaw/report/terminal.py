"""The answer at the end of a command: a table, one sentence with its uncertainty, the page."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from synthlaw.report.artifacts import Candidate, Study
from synthlaw.report.build import FOLDER, PAGE
from synthlaw.report.numerals import interval, number, percent, signed, times, times_interval
from synthlaw.report.reading import read_study
from synthlaw.report.sections import answer_table

WIDTH = 100
_REORDERING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LEVELS = {
    "supported": "Supported by the runs of this study.",
    "undecided": "Undecided: the runs of this study do not settle the order of the mixtures.",
}


def answer_lines(folder: Path) -> list[str]:
    """The answer of the study in `folder` as plain lines of at most 100 columns.

    The table of mixtures, the sentence, how far the runs carry it, what they cannot show, and the
    page's absolute path on a line of its own (which alone may be longer).

    Raises UsageError when `folder` holds no study or one of its files is broken.
    """
    study = read_study(folder)
    lines: list[str] = []
    table = mixture_table(study)
    if table is not None:
        lines += _rendered(table)
    for sentence in _sentences(study):
        lines += _rendered(Text(_plain(" ".join(sentence.split()))))
    page = (folder / FOLDER / PAGE).absolute()
    return [*lines, "", f"Page: {page}"]


def _plain(text: str) -> str:
    """Text without the marks that reorder what a terminal shows after them."""
    return _REORDERING.sub("", text)


def _rendered(part: Table | Text) -> list[str]:
    """Lines without colour, wrapped by the width that characters take on a terminal."""
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, color_system=None, force_terminal=False).print(part)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def mixture_table(study: Study) -> Table | None:
    """The mixtures at the question's point, lowest loss first; None when there is no advice."""
    answer = answer_table(study)
    if answer is None or study.advice is None:
        return None
    baseline = study.advice.baseline or "baseline"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("mixture", overflow="ellipsis", no_wrap=True, max_width=18)
    level = study.level()
    sure = "interval" if level is None else f"{percent(level)} interval"
    table.add_column(f"loss ({sure})", justify="right", no_wrap=True)
    versus = f"against {_plain(baseline)}" if len(baseline) <= 12 else "against baseline"
    table.add_column(Text(versus), justify="right", no_wrap=True)
    table.add_column("best", justify="right", no_wrap=True)
    table.add_column("speed-up", justify="right", no_wrap=True)
    for row in answer.rows:
        style = "bold" if row.best else ""
        # Names are data: as Text they are printed, never read as markup.
        cells = [Text(_plain(cell)) for cell in _cells(row.candidate, row.baseline)]
        table.add_row(*cells, style=style)
    return table


def _cells(it: Candidate, baseline: bool) -> list[str]:
    loss = number(it.loss)
    if it.loss_interval is not None:
        loss += f" ({interval(it.loss_interval)})"
    chance = percent(it.probability_best)
    if baseline:
        return [it.mixture, loss, "baseline", chance, "1×"]
    difference = signed(it.difference)
    if it.difference_interval is not None:
        difference += f" ({interval(it.difference_interval, sign=True)})"
    speedup = times(it.speedup)
    if it.speedup_interval is not None:
        speedup += f" ({times_interval(it.speedup_interval)})"
    return [it.mixture, loss, difference, chance, speedup]


def _sentences(study: Study) -> list[str]:
    advice = study.advice
    if advice is None:
        return ["No answer yet: the study has not come to its laws (advice.json is missing)."]
    sentences = [advice.headline]
    level = LEVELS.get(advice.level, advice.level)
    if level:
        sentences.append(level)
    if advice.limits:
        more = len(advice.limits) - 1
        rest = f" ({more} more on the page)" if more else ""
        sentences.append(f"It cannot show: {advice.limits[0]}{rest}")
    return sentences
