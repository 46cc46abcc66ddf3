"""Progress of generation on standard error, of one run or several that share an engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from synthlaw.common.claims import sessions_in
from synthlaw.common.numbers import format_count
from synthlaw.common.progress import Meter, meter, say
from synthlaw.generate.run.work import RunWork

LOOK_SECONDS = 2.0
"""Between two looks at folders that others fill."""


@contextmanager
def drawn(label: str) -> Iterator[Callable[[Sequence[RunWork]], None]]:
    """A function to call with the runs whenever something has changed."""
    with ExitStack() as stack:
        bars: list[Meter] = []

        def show(runs: Sequence[RunWork]) -> None:
            done = sum(run.progress.done for run in runs)
            total = sum(run.progress.total for run in runs)
            if not bars:
                finished = sum(run.progress.finished for run in runs)
                if finished:
                    say(f"  {finished:,} of {total:,} were there already")
                bar = meter(label, total, "doc", done=finished)
                bars.append(stack.enter_context(bar))
            bars[0].update(done, note_of(runs), total)

        yield show


@contextmanager
def watched(label: str, runs: Sequence[RunWork]) -> Iterator[None]:
    """Shows how runs go that others work on, by looking at their folders."""
    ended = threading.Event()

    def look() -> None:
        finished = sum(run.progress.finished for run in runs)
        with meter(label, sum(run.progress.total for run in runs), "doc", done=finished) as bar:
            while not ended.wait(LOOK_SECONDS):
                for run in runs:
                    run.look()
                # Each serves all runs at once.
                sessions = [sessions_in(run.folder.root) for run in runs]
                workers = max(sum(one["alive"] for one in some) for some in sessions)
                blocks = sum(run.progress.blocks for run in runs)
                wanted = blocks + sum(run.progress.blocks_left for run in runs)
                notes = [f"{blocks} of {wanted} blocks", *_tokens(runs)]
                notes.append(f"{workers} worker{'' if workers == 1 else 's'}")
                done = sum(run.progress.finished for run in runs)
                bar.update(done, ", ".join(notes), sum(run.progress.total for run in runs))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def note_of(runs: Sequence[RunWork]) -> str:
    """What stands beside the bar: blocks, speed, queue, failures; tokens where they are needed."""
    progress = [run.progress for run in runs]
    blocks = sum(one.blocks for one in progress)
    left = sum(one.blocks_left for one in progress)
    speed = sum(one.tokens_per_second for one in progress)
    parts = [
        f"{blocks} of {blocks + left} blocks",
        *_tokens(runs),
        f"{format_count(speed)} tokens/s",
        f"{sum(progress[0].in_flight.values())} in flight",
        f"{progress[0].waiting} waiting",
        f"{sum(one.own.requests for one in progress)} answers",
        f"{sum(one.own.failed for one in progress)} failed",
    ]
    return ", ".join(parts)


def _tokens(runs: Sequence[RunWork]) -> list[str]:
    needed = [run for run in runs if run.target.tokens is not None]
    return [
        f"{run.name} {format_count(run.standing.tokens_done)} of "
        f"{format_count(run.target.tokens or 0)} tokens"
        for run in needed
    ]
