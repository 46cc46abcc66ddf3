"""Blocks of texts to blocks of ids, in order, by one process or by several.

The bytes are the same whatever the number of workers: a block is encoded by one of them alone, and
blocks come back in the order in which they went out. Workers are processes, because a tokenizer's
own threads leave a core idle while Python lists are made of the result.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import connection, get_context, parent_process

import numpy as np

from synthlaw.common.errors import SynthlawError
from synthlaw.tokens.shards import EncodedBlock
from synthlaw.tokens.tokenizer import Tokenizer

SMALL = 4
"""So many blocks are encoded here before processes are started, which takes half a second."""

AHEAD = 3
"""Blocks in flight per worker."""

Numbered = tuple[int, list[str]]


def encode_blocks(
    tokenizer: Tokenizer, blocks: Iterable[Numbered], workers: int
) -> Generator[tuple[int, EncodedBlock]]:
    """Each (number, texts) as (number, ids), in order.

    Raises SynthlawError when a worker process dies, as it does when memory runs out.
    """
    blocks = iter(blocks)
    first = list(islice(blocks, SMALL)) if workers > 1 else []
    if len(first) < SMALL:
        for number, texts in chain(first, blocks):
            yield number, encode_block(tokenizer, texts)
        return
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start, initargs=(tokenizer.place,)
    )
    waiting: deque[tuple[int, Future[EncodedBlock]]] = deque()
    try:
        for number, texts in chain(first, blocks):
            waiting.append((number, pool.submit(_encode, texts)))
            if len(waiting) > AHEAD * workers:
                ready, future = waiting.popleft()
                yield ready, future.result()
        for ready, future in waiting:
            yield ready, future.result()
    except BrokenProcessPool as error:
        raise SynthlawError(
            "a tokenizing process ended before its work was done, perhaps for want of memory; "
            "finished shards are kept: run the same command again, with fewer --workers if need be"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


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


_tokenizer: Tokenizer


def _start(place: str) -> None:
    """Make this process a worker: one thread, no answer to Ctrl-C, no life after its parent."""
    global _tokenizer  # noqa: PLW0603  a worker has one tokenizer
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _tokenizer = Tokenizer(place)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _encode(texts: list[str]) -> EncodedBlock:
    return encode_block(_tokenizer, texts)
