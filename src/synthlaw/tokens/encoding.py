"""A block of texts as a block of ids."""

from __future__ import annotations

import numpy as np

from synthlaw.tokens.shards import EncodedBlock
from synthlaw.tokens.tokenizer import Tokenizer


def encode_block(tokenizer: Tokenizer, texts: list[str]) -> EncodedBlock:
    """Texts as one block of ids, each between BOS and EOS."""
    rows = tokenizer.encode(texts, dtype=tokenizer.dtype)
    lengths = np.fromiter((len(row) + 2 for row in rows), np.int64, len(rows))
    ids = np.empty(int(lengths.sum()), tokenizer.dtype)
    place = 0
    for row in rows:
        end = place + len(row) + 1
        ids[place] = tokenizer.bos
        ids[place + 1 : end] = row
        ids[end] = tokenizer.eos
        place = end + 1
    return EncodedBlock(ids, lengths, sum(len(text.encode()) for text in texts))
