"""CPU seconds, size and first paint of a page of many runs, as `synthlaw report` draws it.

python benchmarks/report_page.py [--rounds 3] [--out DIR]

Six mixtures at 12 sizes and 14 budgets, 1,008 runs, from laws with 0.3% noise: a table, and a study
folder of the same runs and of laws that `fit` left. CPU time is that of the command and of all that
it starts, which other work on the machine disturbs less than wall time, told beside it.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MIXTURES = {
    "CC": ("", 0.0, 1.85, 0.52, 0.34, 1.60, 0.37),
    "33HQ": ("HQ", 0.33, 1.81, 0.53, 0.34, 1.55, 0.38),
    "67HQ": ("HQ", 0.67, 1.84, 0.53, 0.34, 1.58, 0.37),
    "33QA": ("QA", 0.33, 1.83, 0.52, 0.34, 1.57, 0.37),
    "67QA": ("QA", 0.67, 1.88, 0.51, 0.34, 1.63, 0.36),
    "33TXBK": ("TXBK", 0.33, 1.90, 0.52, 0.34, 1.52, 0.38),
}
"""Type, share and E, A, alpha, B, beta in units of 1e9."""
SIZES = np.geomspace(1e7, 3e9, 12)
BUDGETS = np.geomspace(2e8, 2e11, 14)


def write_table(path: Path) -> None:
    """The 1,008 runs as `runs.csv`."""
    noise = np.random.default_rng(0)
    head = ["run", "mixture", "params", "tokens", "loss", "seed", "synthetic_type"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*head, "synthetic_ratio", "status", "loss/wiki", "loss/books"])
        for name, (kind, ratio, e, a, alpha, b, beta) in MIXTURES.items():
            for params in SIZES:
                for tokens in BUDGETS:
                    loss = e + a / (params / 1e9) ** alpha + b / (tokens / 1e9) ** beta
                    loss, wiki, books = loss * (1 + noise.normal(0, 0.003, 3))
                    run = f"{name}-{params:.0f}-{tokens:.0f}-0"
                    row = [run, name, round(params), round(tokens), loss, 0, kind, ratio, "done"]
                    writer.writerow([*row, wiki + 0.1, books - 0.05])


def synthlaw(*words: str | Path) -> tuple[float, float]:
    """CPU and wall seconds of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "synthlaw.cli.main", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - began


def main() -> None:
    """Print a line for each round of each case."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--out", type=Path)
    given = arguments.parse_args()
    home = Path(tempfile.mkdtemp()) if given.out is None else given.out
    home.mkdir(parents=True, exist_ok=True)
    table, laws, study = home / "runs.csv", home / "laws.json", home / "study"
    write_table(table)
    synthlaw("fit", table, "--law", "joint", "--by", "mixture", "--out", laws, "--json")
    study.mkdir(exist_ok=True)
    shutil.copy(table, study / "runs.csv")
    shutil.copy(laws, study / "laws.json")
    cases = {
        "table, laws fitted": ("report", "--runs", table, "--out", home / "fitted"),
        "table, laws given": ("report", "--runs", table, "--laws", laws, "--out", home / "given"),
        "study folder": ("report", study),
    }
    pages = [home / "fitted", home / "given", study / "report"]
    for number in range(given.rounds):
        for (case, words), folder in zip(cases.items(), pages, strict=True):
            cpu, wall = synthlaw(*words)
            size = (folder / "index.html").stat().st_size
            told = {"round": number, "case": case, "cpu_s": round(cpu, 2), "wall_s": round(wall, 2)}
            print(json.dumps({**told, "page_bytes": size}), flush=True)
    if given.out is None:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
