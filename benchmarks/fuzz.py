"""Mutated input for each parser of foreign input: no traceback, no hang, no growth of memory.

    python benchmarks/fuzz.py servers [--inputs 10000] [--seed 0]

A target is a function in `fuzzing/TARGET.py` of that name: it takes a `random.Random`, makes one
input from it and parses it, and returns a short word for what came of it. Whatever it raises is a
fault; the input's number is printed, and `--only NUMBER` repeats it. Prints JSON; exit status 1 for
a fault, an input that took over 5 s, or over 1 GB more memory at the end than after the first 100.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

TARGETS = ("servers",)
LONGEST_SECONDS = 5.0
LARGEST_GROWTH_MB = 1000
WARM_UP = 100


def resident_mb() -> float:
    """Memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"over {LONGEST_SECONDS:g} s")


def fuzz(target: str, inputs: range, seed: int) -> dict[str, Any]:
    """Run the inputs of these numbers; each is made from (seed, number) alone."""
    one = getattr(importlib.import_module(f"fuzzing.{target}"), target)
    outcomes: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    slowest, started, base = 0.0, time.process_time(), resident_mb()
    signal.signal(signal.SIGALRM, _too_long)
    for number in inputs:
        if number - inputs.start == WARM_UP:
            base = resident_mb()
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)
        try:
            outcomes[one(random.Random(f"{seed}-{number}"))] += 1
        except Exception as error:
            faults.append({"input": number, "error": f"{type(error).__name__}: {error}"[:300]})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.monotonic() - began)
    return {
        "target": target,
        "inputs": len(inputs),
        "outcomes": dict(outcomes.most_common()),
        "faults": faults[:20],
        "faults_in_all": len(faults),
        "slowest_s": round(slowest, 3),
        "cpu_s": round(time.process_time() - started, 1),
        "growth_mb": round(resident_mb() - base),
    }


def main() -> None:
    """Fuzz one target and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one input, to repeat it")
    chosen = parser.parse_args()
    numbers = range(chosen.inputs) if chosen.only is None else range(chosen.only, chosen.only + 1)
    result = fuzz(chosen.target, numbers, chosen.seed)
    print(json.dumps(result, indent=2))
    sys.exit(bool(result["faults_in_all"] or result["growth_mb"] > LARGEST_GROWTH_MB))


if __name__ == "__main__":
    main()
