"""datatrove's deduplication, timed; run by benchmarks/corpus.py with datatrove's own Python.

    python corpus_peer.py minhash|minhash-split|paragraphs INPUT_FOLDER WORK_FOLDER

One process does what the peer needs from JSONL files to the kept documents. Prints seconds (of the
work, not the imports) and the number of documents kept as JSON. `minhash-split` replaces
datatrove's word tokenizer (spaCy) by a split at white space, so that what is compared is MinHash.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path
from typing import Any


def minhash(source: str, work: str) -> list[list[Any]]:
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = MinhashConfig(num_buckets=14, hashes_per_bucket=8)
    return [
        [JsonlReader(source), MinhashDedupSignature(f"{work}/sig", config=config)],
        [MinhashDedupBuckets(f"{work}/sig", f"{work}/buckets", config=config)],
        [MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config=config)],
        [JsonlReader(source), MinhashDedupFilter(f"{work}/remove"), JsonlWriter(f"{work}/out")],
    ]


def paragraphs(source: str, work: str) -> list[list[Any]]:
    from datatrove.pipeline.dedup import (
        SentDedupConfig,
        SentenceDedupFilter,
        SentenceDedupSignature,
        SentenceFindDedups,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    # Lines, each by itself, as CCNet does.
    config = SentDedupConfig(
        n_sentences=1, split_sentences=False, only_dedup_in_index=False, min_doc_words=0
    )
    return [
        [JsonlReader(source), SentenceDedupSignature(f"{work}/sig", config=config)],
        [SentenceFindDedups(f"{work}/sig", f"{work}/dups", config=config)],
        [
            JsonlReader(source),
            SentenceDedupFilter(f"{work}/dups", config=config),
            JsonlWriter(f"{work}/out"),
        ],
    ]


def main() -> None:
    kind, source, work = sys.argv[1:]
    if kind == "minhash-split":
        from datatrove.pipeline.dedup import minhash as module

        module.split_into_words = lambda text, language: text.split()
        kind = "minhash"
    from datatrove.utils.logging import logger

    logger.remove()
    steps = {"minhash": minhash, "paragraphs": paragraphs}[kind](source, work)
    # What is loaded once, at the first document, is not part of the speed.
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    load_word_tokenizer("eng").word_tokenize("A first sentence.")
    started = time.perf_counter()
    for blocks in steps:
        # The buckets of MinHash must be one task each; they are done one after the other.
        ranks = 14 if type(blocks[0]).__name__ == "MinhashDedupBuckets" else 1
        for rank in range(ranks):
            data: Any = None
            for block in blocks:
                data = block(data, rank=rank, world_size=ranks)
            for _ in data or ():
                pass
    seconds = time.perf_counter() - started
    kept = 0
    for path in Path(work, "out").glob("*.gz"):
        with gzip.open(path) as stream:
            kept += sum(1 for _ in stream)
    print(json.dumps({"seconds": seconds, "kept": kept}))


if __name__ == "__main__":
    main()
