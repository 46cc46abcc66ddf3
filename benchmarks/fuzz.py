"""Parsers of foreign input against made-up and mutated input.

    python benchmarks/fuzz.py TARGET [--inputs 10000] [--seed 0] [--keep FOLDER]

TARGET is a module of `benchmarks/fuzzing` with two functions:

    cases(random) -> Iterator[bytes]    endless inputs, the same for the same random.Random
    attempt(case, folder) -> str        parses one; says in a word what came of it

A refusal is a SynthlawError and counts as an answer. Anything else raised, more than 5 seconds of
processor time for one input, or a process grown by more than 1 GB is a fault: its input is written
to FOLDER, it is named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import itertools
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from synthlaw.common.errors import SynthlawError

SECONDS = 5.0
GROWTH = 1024**3


class HungError(BaseException):
    """One input took too long; no handler of Exception may swallow it."""


def _hung(number: int, frame: FrameType | None) -> None:
    raise HungError(f"more than {SECONDS:g} s of processor time")


def peak() -> int:
    """The most memory that this process ever held, in bytes."""
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo


def fuzz(target: Any, inputs: int, seed: int, keep: Path) -> tuple[dict[str, int], list[str]]:
    """What came of `inputs` cases of a target, counted, and the faults found."""
    found: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    signal.signal(signal.SIGVTALRM, _hung)
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        cases = target.cases(random.Random(seed))
        for number, case in enumerate(itertools.islice(cases, inputs)):
            before, started = peak(), time.process_time()
            try:
                signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
                outcome = target.attempt(case, Path(folder))
            except SynthlawError:
                outcome = "refused"
            except (Exception, HungError) as error:
                outcome = "FAULT"
                last = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{Path(last.filename).name}:{last.lineno}"
                faults.append(f"input {number}: {type(error).__name__} at {place}: {error}"[:300])
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            slowest = max(slowest, time.process_time() - started)
            if peak() - before > GROWTH:
                outcome = "FAULT"
                faults.append(f"input {number}: grew by {(peak() - before) >> 20} MiB")
            if outcome == "FAULT":
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{number}.bin").write_bytes(case)
            found[outcome] += 1
    print(f"slowest input {slowest:.2f} s of processor time; peak {peak() >> 20} MiB")
    return dict(found), faults


def main() -> int:
    """Fuzz one target and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("target")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"))
    chosen = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    target = importlib.import_module(f"fuzzing.{chosen.target}")
    found, faults = fuzz(target, chosen.inputs, chosen.seed, chosen.keep)
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items())))
    for fault in faults[:20]:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
