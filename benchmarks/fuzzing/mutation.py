"""Mutations of bytes: flips, cuts, copies, and words that parsers trip over."""

from __future__ import annotations

import random
from collections.abc import Sequence

_WORDS = (
    *(b"\0", b"\r\n", b"\n\n", b"\r\n\r\n", b"-1", b"-6", b"0", b"99999999999999999999", b"1e999"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"NaN", b"null", b"[]", b"{}", b'"', b"\\"),
    *(b"\\ud83d", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x5d\x2a\x4d\x18", b"PAR1", b"WARC/1.0"),
)


def mutated(data: bytes, rng: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """`data` with one to eight mutations. words: what else to put in."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        _mutate(found, rng, (*_WORDS, *words))
    return bytes(found)


def _mutate(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    place = rng.randrange(len(data) + 1)
    end = min(len(data), place + rng.choice((1, 2, 4, 16, 64, 1024)))
    match rng.randrange(7):
        case 0 if data:
            data[place % len(data)] ^= 1 << rng.randrange(8)
        case 1 if data:
            data[place % len(data)] = rng.randrange(256)
        case 2:
            del data[place:end]
        case 3:
            del data[place:]
        case 4:
            data[place:place] = data[place:end] * rng.choice((1, 2, 50))
        case 5:
            data[place:place] = rng.choice(words)
        case _:
            data[place:end] = rng.choice(words)
