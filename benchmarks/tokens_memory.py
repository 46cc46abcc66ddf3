"""Peak memory while a large corpus is tokenized, sampled over all its processes.

    python benchmarks/tokens_memory.py WORK TEXTS.jsonl.gz... [--gigabytes 5] [--tokenizer llama3]

The corpus is the given texts over and over, every copy with noise (words swapped at random places,
so that no cache sees the same text twice), written to WORK as JSONL. `synthlaw tokenize` runs on it
in a process of its own; once a second the resident memory of it and its children is added up
(pages that they share are counted in each). Prints one JSON document: the peak in each tenth of the
run, which is flat when nothing grows, the speed, and what `synthlaw check` says. WORK is emptied at
the end.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FILE_BYTES = 250_000_000


def noisy_texts(files: list[Path], seed: int) -> Iterator[str]:
    """The texts of `files` for ever, each time with other words in every twentieth place."""
    rng = random.Random(seed)
    texts = []
    for path in files:
        with gzip.open(path) as stream:
            texts += [json.loads(line)["text"] for line in stream]
    words = sorted({word for text in texts[:500] for word in text.split()})
    while True:
        for text in texts:
            parts = text.split(" ")
            for _ in range(len(parts) // 20):
                parts[rng.randrange(len(parts))] = rng.choice(words)
            yield " ".join(parts)


def write_corpus(folder: Path, files: list[Path], size: int) -> int:
    """JSONL files of `size` bytes of text in `folder`; returns their documents."""
    texts = noisy_texts(files, 0)
    documents = written = 0
    while written < size:
        with (folder / f"{written // FILE_BYTES:03d}.jsonl").open("w", encoding="utf-8") as stream:
            part = 0
            while part < FILE_BYTES and written < size:
                text = next(texts)
                stream.write(json.dumps({"id": str(documents), "text": text}) + "\n")
                documents += 1
                part += len(text.encode())
                written += len(text.encode())
    return documents


def resident(process: int) -> int:
    """Resident bytes of a process and all its descendants."""
    total = 0
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += 1024 * int(line.split()[1])
        for thread in Path(f"/proc/{process}/task").iterdir():
            total += sum(
                resident(int(child)) for child in (thread / "children").read_text().split()
            )
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
    return total


def main() -> None:
    """Write the corpus, tokenize it under watch, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--tokenizer", default="llama3")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True)
    try:
        size = round(arguments.gigabytes * 1e9)
        corpus = arguments.work / "corpus"
        corpus.mkdir()
        documents = write_corpus(corpus, arguments.texts, size)
        synthlaw = [sys.executable, "-m", "synthlaw.cli.main"]
        command = [*synthlaw, "tokenize", "--input", str(corpus), "--json"]
        command += ["--tokenizer", arguments.tokenizer, "--out", str(arguments.work / "set")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started, samples = time.monotonic(), []
        while process.poll() is None:
            samples.append(resident(process.pid))
            time.sleep(1)
        seconds = time.monotonic() - started
        made = json.loads(process.communicate()[0])
        check = [*synthlaw, "check", str(arguments.work / "set"), "--json"]
        checked = json.loads(subprocess.run(check, capture_output=True, check=True).stdout)
        tenth = max(1, len(samples) // 10)
        peaks = [max(samples[i : i + tenth]) for i in range(0, len(samples), tenth)][:10]
        value = {
            "text_bytes": made["bytes"],
            "documents": [documents, made["documents"]],
            "tokens": made["tokens"],
            "shards": made["shards"],
            "seconds": round(seconds),
            "text_megabytes_per_second": round(made["bytes"] / 1e6 / seconds, 2),
            "peak_megabytes_by_tenth": [round(peak / 1e6) for peak in peaks],
            "problems": checked["problems"],
        }
        print(json.dumps(value, indent=2))
    finally:
        shutil.rmtree(arguments.work)


if __name__ == "__main__":
    main()
