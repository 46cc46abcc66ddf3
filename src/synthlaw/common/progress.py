"""Progress on standard error: a live bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
)
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from synthlaw.common.numbers import format_count, format_seconds

console = Console(stderr=True, highlight=False)
"""Everything that is not a command's answer is printed here."""

LINE_EVERY_SECONDS = 5.0

NOTE = Column(no_wrap=True, overflow="ellipsis", ratio=1)


class Meter:
    """One piece of work being counted. Subclasses draw it.

    done: units done so far, those of earlier runs included, which are not part of the rate.
    """

    def __init__(self, label: str, total: float, unit: str, done: float = 0.0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self._done_before = done
        self.note = ""
        self.started = time.monotonic()

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """Count `amount` more units of work; `note` is shown beside the bar."""
        self.done += amount
        self.total = max(self.total, self.done)  # What was expected may have been too little.
        if note is not None:
            self.note = note
        self._draw()

    def update(self, done: float, note: str | None = None, total: float | None = None) -> None:
        """Set the units done so far; `total` where an estimate of the whole has changed."""
        if total is not None:
            self.total = total
        self.advance(done - self.done, note)

    def rate(self) -> float:
        """Units per second since the start."""
        return (self.done - self._done_before) / max(time.monotonic() - self.started, 1e-9)

    def left(self) -> str:
        """The time that the rest will take at this rate."""
        rate = self.rate()
        seconds = (self.total - self.done) / rate if rate > 0 else float("inf")
        return format_seconds(seconds) if seconds < 1e8 else "unknown time"

    def _draw(self) -> None:
        """Show the state; the silent meter shows nothing."""


class _LineMeter(Meter):
    """For logs and pipes: a plain line at most every few seconds."""

    def __init__(self, label: str, total: float, unit: str, done: float) -> None:
        super().__init__(label, total, unit, done)
        self._last = self.started

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._last < LINE_EVERY_SECONDS:
            return
        self._last = now
        console.print(
            f"  {self.label}: {100 * self.done / max(self.total, 1e-9):.0f}% "
            f"({format_count(self.rate())} {self.unit}/s, {self.left()} left) {self.note}".rstrip(),
            markup=False,
            soft_wrap=True,  # A log's line is one line, however long.
        )


class _RateColumn(ProgressColumn):
    def render(self, task: RichTask) -> Text:
        speed = task.fields["meter"].rate()
        return Text(f"{format_count(speed)} {task.fields['unit']}/s", style="cyan")


class _LeftColumn(ProgressColumn):
    def render(self, task: RichTask) -> Text:
        return Text(f"{task.fields['meter'].left()} left", style="cyan")


class _BarMeter(Meter):
    def __init__(
        self, label: str, total: float, unit: str, done: float, progress: Progress
    ) -> None:
        super().__init__(label, total, unit, done)
        self._progress = progress
        self._task = progress.add_task(label, total=total, unit=unit, note="", meter=self)

    def _draw(self) -> None:
        self._progress.update(self._task, completed=self.done, total=self.total, note=self.note)


@contextmanager
def meter(label: str, total: float, unit: str, *, done: float = 0.0) -> Iterator[Meter]:
    """Count `total` units of work under `label`; shows rate and remaining time.

    done: what earlier runs did of it.
    """
    if not console.is_terminal:
        yield _LineMeter(label, total, unit, done)
    else:
        columns = (
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            _RateColumn(),
            _LeftColumn(),
            # What a narrow terminal cuts is the note, never rate or time left.
            TextColumn("{task.fields[note]}", markup=False, table_column=NOTE),
        )
        with Progress(*columns, console=console, transient=True, expand=True) as progress:
            yield _BarMeter(label, total, unit, done, progress)


def say(text: str) -> None:
    """One line of news on standard error."""
    console.print(text, markup=False, soft_wrap=True)
    sys.stderr.flush()
