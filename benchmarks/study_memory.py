"""Memory and time of a study's data, from its file to its token sets, as the corpus grows.

    python benchmarks/study_memory.py [--documents 20000,80000,320000] [--folder DIR] [--signals]

Runs `synthlaw run STUDY --until tokens` with natural text, a source made elsewhere (an eighth as
many documents) and a recipe that a stand-in server carries out (a quarter as many). A document is
one of some 500 tokens, no two alike; one in fifty is a copy, one in fifty nearly so. For every
process of the run: the most memory that was ever resident (VmHWM, looked up five times a second).
Prints JSON: by number of documents the peaks in MB, seconds, CPU seconds of all processes, tokens,
files and folders that the study left. --signals: with quality signals, which take most of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stand_in_server import WORDS, ZIPF

COMMAND = "from synthlaw.cli.main import main; import sys; sys.argv[0] = 'synthlaw'; main()"
LINES, LINE_WORDS = 5, 74
FILE_DOCUMENTS = 20_000


def write_texts(folder: Path, count: int, seed: int) -> None:
    """JSONL files of `count` documents."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    weights = np.diff(ZIPF, prepend=0) / ZIPF[-1]
    words = np.array(WORDS, object)
    for first in range(0, count, FILE_DOCUMENTS):
        size = min(FILE_DOCUMENTS, count - first)
        drawn = words[rng.choice(len(words), (size, LINES, LINE_WORDS), p=weights)]
        texts: list[str] = []
        for number, lines in enumerate(drawn):
            if number % 50 == 49:
                texts.append(texts[number - 40])
            elif number % 50 == 48:
                texts.append(texts[number - 41].replace(" ", " again ", 1))
            else:
                texts.append("\n".join(" ".join(line) + "." for line in lines))
        with (folder / f"{first:08d}.jsonl").open("w", encoding="utf-8") as stream:
            for number, text in enumerate(texts, first):
                stream.write(json.dumps({"id": f"{seed}-{number}", "text": text}) + "\n")


def study(count: int, port: int, *, signals: bool) -> dict[str, Any]:
    """The study file."""
    engine = {"kind": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "model": "m"}
    return {
        "name": f"memory-{count}",
        "natural": {"path": "natural"},
        "sources": {"given": {"path": "given"}},
        "corpus": {"held_out": 0.01, "signals": signals},
        "generate": {
            "engine": {**engine, "concurrency": 128},
            "recipes": {"hq": {"documents": count // 4}},
        },
        "mixtures": {
            "natural": {"natural": 1.0},
            "mixed": {"natural": 0.5, "hq": 0.3, "given": 0.2},
        },
        "ladder": {
            "budgets": [count * 50, count * 100],
            "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        },
        "training": {"context": 256, "batch_tokens": 4096},
        "execution": {"workers": 2},
    }


def descendants(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found, before = {root}, 0
    while len(found) > before:
        before = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return sorted(found)


def peak(process: int) -> float | None:
    """Most resident memory of a process so far, in MB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return None
    held = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(held[0]) / 1024 if held else None


def run(folder: Path, count: int, *, signals: bool) -> dict[str, Any]:
    """One study of `count` natural documents, measured."""
    write_texts(folder / "natural", count, 1)
    write_texts(folder / "given", count // 8, 2)
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stand_in_server.py")), "--delay", "0.05"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    (folder / "study.yaml").write_text(json.dumps(study(count, port, signals=signals)))
    arguments = ["run", str(folder / "study.yaml"), "--out", str(folder / "out")]
    started = time.monotonic()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments, "--until", "tokens"], stderr=log
        )
        peaks: dict[int, float] = {}
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            for one in descendants(process.pid):
                if (most := peak(one)) is not None:
                    peaks[one] = most
            time.sleep(0.2)
    seconds = time.monotonic() - started
    server.terminate()
    server.wait()
    if status:
        sys.exit(f"the study failed: {(folder / 'log.txt').read_text()[-2000:]}")
    sets = {p.parent.name: json.loads(p.read_text()) for p in folder.rglob("dataset.json")}
    made = list((folder / "out").rglob("*"))
    return {
        "main_mb": round(peaks.pop(process.pid)),
        "workers_mb": sorted((round(most) for most in peaks.values()), reverse=True)[:4],
        "seconds": round(seconds),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime),
        "tokens": {name.rpartition("-")[0]: value["tokens"] for name, value in sets.items()},
        "files": sum(path.is_file() for path in made),
        "folders": sum(path.is_dir() for path in made),
    }


def main() -> None:
    """Run every size in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", default="20000,80000,320000")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    parser.add_argument("--signals", action="store_true")
    asked = parser.parse_args()
    for count in map(int, asked.documents.split(",")):
        with tempfile.TemporaryDirectory(dir=asked.folder) as place:
            found = run(Path(place), count, signals=asked.signals)
        print(json.dumps({"documents": count, **found}), flush=True)


if __name__ == "__main__":
    main()
