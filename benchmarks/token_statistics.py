"""Speed of unigram counting against numpy.bincount over the same memory map, interleaved.

    python benchmarks/token_statistics.py [--tokens 200000000] [--rounds 7] [--folder DIR]

Ids follow Zipf's law. Two sets are written: 128,256 entries (uint32) and 4,096 (uint16). Every
round times one `numpy.bincount` of the whole map and one `count_unigrams` of the token set (the
same files, blocks of documents and all), in turn; the ratio is of the best of each. Then n-grams
of 2 and 5 tokens, in tokens per second. One process, one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from synthlaw.common.files import write_json
from synthlaw.statistics.ngrams import count_ngrams
from synthlaw.statistics.sampling import sample_windows
from synthlaw.statistics.unigrams import count_unigrams
from synthlaw.tokens.dataset import FORMAT, TokenDataset
from synthlaw.tokens.shards import EncodedBlock, write_shard

DOCUMENT = 1000
BLOCK = 10_000_000


def make_set(folder: Path, vocab: int, tokens: int) -> TokenDataset:
    """A token set of random documents of 1,000 ids, BOS and EOS included, in one shard."""
    random = np.random.default_rng(0)
    law = 1 / np.arange(3, vocab + 1)
    steps = np.cumsum(law / law.sum())
    kind = np.uint16 if vocab <= 1 << 16 else np.uint32
    bos, eos = vocab - 2, vocab - 1

    def blocks():
        for start in range(0, tokens, BLOCK):
            size = min(BLOCK, tokens - start) // DOCUMENT
            ids = np.searchsorted(steps, random.random(size * DOCUMENT)).astype(kind)
            rows = ids.reshape(size, DOCUMENT)
            rows[:, 0], rows[:, -1] = bos, eos
            yield EncodedBlock(rows.ravel(), np.full(size, DOCUMENT, np.int64), rows.nbytes)

    folder.mkdir(parents=True, exist_ok=True)
    facts = write_shard(folder, "00000", blocks(), np.dtype(kind).name)
    manifest = {
        "format": FORMAT,
        "tokens": facts.tokens,
        "documents": facts.documents,
        "bytes": facts.bytes,
        "dtype": np.dtype(kind).name,
        "vocab": vocab,
        "bos": bos,
        "eos": eos,
        "tokenizer": "none",
        "tokenizer_name": "none",
        "made_from": "",
        "shards": [vars(facts)],
    }
    write_json(folder / "dataset.json", manifest)
    return TokenDataset(folder)


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(data: TokenDataset, rounds: int) -> None:
    vocab, tokens = data.manifest.vocab, data.manifest.tokens
    path = data.folder / "00000.bin"
    ids = np.memmap(path, dtype=data.manifest.dtype, mode="r")
    expected = np.bincount(ids, minlength=vocab)
    expected[[data.manifest.bos, data.manifest.eos]] = 0
    assert np.array_equal(count_unigrams("set", data).counts, expected)
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(seconds(lambda: np.bincount(ids, minlength=vocab)))
        ours.append(seconds(lambda: count_unigrams("set", data)))
    best, median = min(theirs) / min(ours), np.median(theirs) / np.median(ours)
    print(
        f"vocabulary {vocab:,} ({data.manifest.dtype}), {tokens:,} tokens: "
        f"bincount {tokens / min(theirs) / 1e6:.0f} M tokens/s, "
        f"count_unigrams {tokens / min(ours) / 1e6:.0f} M tokens/s, "
        f"ratio of the best {best:.2f}, of the medians {median:.2f}"
    )


def ngrams(data: TokenDataset, tokens: int) -> None:
    for n in (2, 5):
        took = seconds(lambda n=n: count_ngrams(sample_windows(data, tokens), n, 128_256))
        print(f"{n}-grams of {tokens:,} tokens: {tokens / took / 1e6:.2f} M tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=200_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where the sets go; default: a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        large = make_set(Path(folder) / "large", 128_256, arguments.tokens)
        compare(large, arguments.rounds)
        compare(make_set(Path(folder) / "small", 4096, arguments.tokens), arguments.rounds)
        ngrams(large, min(arguments.tokens, 20_000_000))


if __name__ == "__main__":
    main()
