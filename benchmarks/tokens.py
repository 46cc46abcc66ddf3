"""Speed of tokenizing and of sampling, each against its limit, in one process and interleaved.

    python benchmarks/tokens.py tokenize TEXTS.jsonl.gz... [--tokenizer llama3] [--repeat 5]
    python benchmarks/tokens.py sample [--context 4096] [--rows 256]

`tokenize`: texts in memory to a token set on disk (`write_texts`, one process per core, starting
them included) against the tokenizer's own batch call on all cores, which only returns ids. Without
--tokenizer a BPE of 8,192 entries is trained on the texts. `sample`: batches of a mixture of three
sources against copying as many windows of the same size from one memory-mapped file at random
places that are known beforehand. Contestants take turns; best and median of each are printed as one
JSON document.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from synthlaw.common.files import write_json
from synthlaw.tokens.dataset import FORMAT, MANIFEST, Manifest, TokenDataset
from synthlaw.tokens.sampler import MixtureSampler
from synthlaw.tokens.shards import EncodedBlock, write_shard
from synthlaw.tokens.tokenizer import LLAMA3, Tokenizer, train_bpe
from synthlaw.tokens.writing import write_texts

CORES = os.cpu_count() or 1


def interleaved(calls: dict[str, Callable[[int], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round; they take turns, and the first turn rotates."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            calls[name](number)
            taken[name].append(time.perf_counter() - started)
    return taken


def rates(taken: dict[str, list[float]], amount: float) -> dict[str, object]:
    """Best and median amount per second of each contestant, and the ratio of ours to the other."""
    found: dict[str, object] = {
        name: {
            "best": round(amount / min(seconds), 2),
            "median": round(amount / statistics.median(seconds), 2),
        }
        for name, seconds in taken.items()
    }
    ours, other = taken.values()
    found["ratio_of_best"] = round(min(other) / min(ours), 3)
    found["ratio_of_medians"] = round(statistics.median(other) / statistics.median(ours), 3)
    return found


def raw_batch(tokenizer: Tokenizer) -> Callable[[list[str]], object]:
    """The tokenizer's own call for many texts on all cores."""
    if tokenizer.place == LLAMA3:
        encoding = tokenizer._coder._encoding  # type: ignore[attr-defined]
        return lambda texts: encoding.encode_ordinary_batch(texts, num_threads=CORES)
    inner = tokenizer._coder._inner  # type: ignore[attr-defined]
    return lambda texts: inner.encode_batch(texts, add_special_tokens=False)


def tokenize(arguments: argparse.Namespace) -> dict[str, object]:
    """Megabytes of text per second."""
    texts: list[str] = []
    for path in arguments.texts:
        with gzip.open(path) as stream:
            texts += [json.loads(line)["text"] for line in stream]
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.tokenizer
        if place is None:
            place = str(Path(folder) / "tokenizer.json")
            train_bpe(texts, 8192, Path(place))
        texts = texts * arguments.repeat
        tokenizer = Tokenizer(place)
        raw = raw_batch(tokenizer)
        size = sum(len(text.encode()) for text in texts) / 1e6

        def ours(number: int) -> None:
            write_texts(Path(folder) / f"set{number}", texts, tokenizer)

        def theirs(number: int) -> None:
            raw(texts)

        taken = interleaved({"write_texts": ours, "batch call": theirs}, arguments.rounds)
        tokens = TokenDataset(Path(folder) / "set0").manifest.tokens
    return {
        "tokenizer": arguments.tokenizer or "bpe-8192",
        "megabytes": round(size, 1),
        "tokens": tokens,
        "megabytes_per_second": rates(taken, size),
    }


def random_set(folder: Path, tokens: int, seed: int) -> TokenDataset:
    """A set of random ids below 50,000 in documents of 1,000."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    documents = 1000

    def blocks(count: int) -> itertools.chain[EncodedBlock]:
        lengths = np.full(documents, 1000, np.int64)
        return itertools.chain(
            EncodedBlock(rng.integers(0, 50_000, documents * 1000, np.uint16), lengths, 0)
            for _ in range(count)
        )

    shards = [
        write_shard(folder, f"{n:05d}", blocks(25), "uint16") for n in range(tokens // 25_000_000)
    ]
    manifest = Manifest(
        format=FORMAT,
        tokens=sum(shard.tokens for shard in shards),
        documents=sum(shard.documents for shard in shards),
        bytes=0,
        dtype="uint16",
        vocab=50_000,
        bos=0,
        eos=0,
        tokenizer="",
        tokenizer_name="random",
        made_from="",
        shards=tuple(shards),
    )
    write_json(folder / MANIFEST, asdict(manifest))
    return TokenDataset(folder)


def sample(arguments: argparse.Namespace) -> dict[str, object]:
    """Tokens per second, in millions."""
    rows, length = arguments.rows, arguments.context + 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {f"s{n}": random_set(folder / f"s{n}", 100_000_000, n) for n in range(3)}
        plain = folder / "plain.bin"
        plain.write_bytes(b"".join(path.read_bytes() for path in sorted(folder.glob("*/*.bin"))))
        tokens = np.memmap(plain, dtype=np.uint16, mode="r")
        shares = {"s0": 0.5, "s1": 0.3, "s2": 0.2}
        sampler = MixtureSampler(sets, shares, context=arguments.context, seed=0, max_epochs=100)
        rng = np.random.default_rng(0)
        batches = arguments.batches
        places = rng.integers(0, len(tokens) - length, (batches, rows)).tolist()

        def ours(number: int) -> None:
            for step in range(batches):
                sampler.batch(step, rows)

        def copy(number: int) -> None:
            for starts in places:
                out = np.empty((rows, length), np.int64)
                for row, start in enumerate(starts):
                    out[row] = tokens[start : start + length]

        for warm in (ours, copy):
            warm(0)
        taken = interleaved({"sampler": ours, "plain copy": copy}, arguments.rounds)
    amount = batches * rows * arguments.context / 1e6
    return {
        "context": arguments.context,
        "rows": rows,
        "source_tokens": 300_000_000,
        "million_tokens_per_second": rates(taken, amount),
    }


def main() -> None:
    """Run the benchmark named on the command line and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("tokenize")
    part.set_defaults(call=tokenize)
    part.add_argument("texts", type=Path, nargs="+")
    part.add_argument("--tokenizer", choices=[LLAMA3])
    part.add_argument("--repeat", type=int, default=1, help="read the texts so many times over")
    part.add_argument("--rounds", type=int, default=5)
    part = parts.add_parser("sample")
    part.set_defaults(call=sample)
    part.add_argument("--context", type=int, default=4096)
    part.add_argument("--rows", type=int, default=256)
    part.add_argument("--batches", type=int, default=20)
    part.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(json.dumps(arguments.call(arguments), indent=2))


if __name__ == "__main__":
    main()
