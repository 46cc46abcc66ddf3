"""What a token set of 10^12 tokens costs to open and to sample: the real files, but sparse.

    python benchmarks/tokens_scale.py [--tokens 1e12]

Writes the manifest and the shards' files at their full length without content (no disk is used),
opens the set and reads batches all over it. Prints one JSON document: sizes on disk if full,
seconds to open, peak memory of the process (making the set included), and milliseconds per batch
of 256 windows of 4,096 tokens. Reading from a disk is not part of it: holes read as zeros.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from synthlaw.common.files import write_json
from synthlaw.tokens.dataset import FORMAT, MANIFEST, Manifest, TokenDataset
from synthlaw.tokens.sampler import MixtureSampler
from synthlaw.tokens.shards import ShardFacts

SHARD_TOKENS = 53_000_000
"""Llama 3's tokens in 256 million characters of web text, as measured."""

DOCUMENT_TOKENS = 870


def main() -> None:
    """Make the set, open it, sample it, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=float, default=1e12)
    arguments = parser.parse_args()
    count = round(arguments.tokens / SHARD_TOKENS)
    documents = SHARD_TOKENS // DOCUMENT_TOKENS
    shards = tuple(
        ShardFacts(f"{n:05d}", SHARD_TOKENS, documents, 1 << 28, f"{n:064x}", f"{n + 1:064x}")
        for n in range(count)
    )
    manifest = Manifest(
        format=FORMAT,
        tokens=count * SHARD_TOKENS,
        documents=count * documents,
        bytes=count << 28,
        dtype="uint32",
        vocab=128_256,
        bos=128_000,
        eos=128_001,
        tokenizer="",
        tokenizer_name="llama3",
        made_from="",
        shards=shards,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for shard in shards:
            for path, size, _ in shard.files(folder, "uint32"):
                path.touch()
                os.truncate(path, size)
        write_json(folder / MANIFEST, asdict(manifest))
        del shards, manifest
        started = time.perf_counter()
        data = TokenDataset(folder)
        opened = time.perf_counter() - started
        sampler = MixtureSampler({"a": data}, {"a": 1.0}, context=4096, seed=0)
        sampler.batch(0, 256)
        started = time.perf_counter()
        for step in range(20):
            sampler.batch(7 * step, 256)
        batch = (time.perf_counter() - started) / 20
        value = {
            "tokens": data.manifest.tokens,
            "shards": len(data.manifest.shards),
            "ids_terabytes": round(data.manifest.tokens * 4 / 1e12, 2),
            "offsets_gigabytes": round(data.manifest.documents * 8 / 1e9, 1),
            "manifest_megabytes": round((folder / MANIFEST).stat().st_size / 1e6, 1),
            "seconds_to_open": round(opened, 2),
            "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "milliseconds_per_batch": round(1000 * batch, 1),
        }
    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    main()
