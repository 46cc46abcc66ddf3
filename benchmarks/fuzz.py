"""Fuzzing of the parsers of foreign input: no traceback, no hang, no growth.

    python benchmarks/fuzz.py TARGET --inputs 10000 --seed S

Modules of `benchmarks/fuzzing` have `TARGETS`, {name: target}; a target gives an input for a random
generator and swallows one. What a target raises on purpose (UsageError and its kind)
is right; anything else, more than 5 seconds, or more than 1 GB above the start, is a failure.
Inputs depend on the seed and their number alone, so a failure is repeated by `--only NUMBER`.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import pkgutil
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).parent))

SECONDS = 5.0
GROWTH = 1 << 30
_SHOWN = 5


class Target(Protocol):
    """A parser under test."""

    def make(self, rng: random.Random) -> Any:
        """One input."""
        ...

    def read(self, given: Any) -> str:
        """Parse it; a word on what came of it, for the counts."""
        ...


def targets() -> dict[str, Target]:
    """All targets by name."""
    import fuzzing

    found: dict[str, Target] = {}
    for module in pkgutil.iter_modules(fuzzing.__path__):
        found |= getattr(importlib.import_module(f"fuzzing.{module.name}"), "TARGETS", {})
    return found


def main() -> None:
    """Run one target; exit status 1 when anything failed."""
    known = targets()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", choices=sorted(known))
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one input, run in this process")
    options = parser.parse_args()
    if options.only is not None:
        target = known[options.target]
        print(target.read(target.make(random.Random(f"{options.seed}:{options.only}"))))
        return
    counts, failures = run(options.target, options.inputs, options.seed)
    for word, count in counts.most_common():
        print(f"{count:7,}  {word}")
    for number, why in failures[:_SHOWN]:
        print(f"input {number} of seed {options.seed}: {why}")
    print(f"{options.target}: {sum(counts.values()):,} inputs, {len(failures):,} failures")
    sys.exit(1 if failures else 0)


def run(name: str, inputs: int, seed: int) -> tuple[Counter[str], list[tuple[int, str]]]:
    """What came of all inputs, and the failures by number.

    They run in a process of their own, which is begun again behind an input that kills it.
    """
    counts: Counter[str] = Counter()
    failures: list[tuple[int, str]] = []
    context = multiprocessing.get_context("fork")
    first = 0
    while first < inputs:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(name, first, inputs, seed, theirs))
        worker.start()
        theirs.close()
        for number, word, failed in _answers(ours, worker):
            counts[word] += 1
            if failed is not None:
                failures.append((number, failed))
            first = number + 1
        worker.join()
        if first < inputs:
            counts["died"] += 1
            failures.append((first, f"died with status {worker.exitcode}, or took {SECONDS} s"))
            first += 1
    return counts, failures


def _answers(ours: Any, worker: Any) -> Iterator[tuple[int, str, str | None]]:
    """What the worker says, until it ends or says nothing for too long."""
    while True:
        # The timer in the worker ends what Python runs; this ends what C runs.
        if not ours.poll(SECONDS * 12):
            worker.kill()
            return
        try:
            yield ours.recv()
        except EOFError:
            return


def _work(name: str, first: int, inputs: int, seed: int, answers: Any) -> None:
    from synthlaw.common.errors import SynthlawError

    target = targets()[name]
    signal.signal(signal.SIGPROF, _too_long)
    for number in range(first, inputs):
        given = target.make(random.Random(f"{seed}:{number}"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        word, failed = "refused", None
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of CPU: the machine may be busy
        try:
            word = target.read(given)
        except SynthlawError:
            pass
        except BaseException:
            word, failed = "traceback", traceback.format_exc(limit=-4)
        signal.setitimer(signal.ITIMER_PROF, 0)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        if time.process_time() - started > SECONDS:
            word, failed = "hang", f"{time.process_time() - started:.1f} s of CPU\n{failed or ''}"
        elif grown > GROWTH:
            word, failed = "growth", f"{grown >> 20} MB more"
        answers.send((number, word, failed))
    answers.close()


def _too_long(*_: object) -> None:
    raise TimeoutError("longer than the limit")


if __name__ == "__main__":
    main()
