"""Documents divided: held-out ones set aside, long ones cut to pieces.

Held-out documents are chosen by a hash of the whole document's text, before it is cut: no piece
of a training document is ever evaluated on, and a duplicate falls on the same side as its twin.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document


def text_digest(text: str) -> bytes:
    """SHA-256 of a document's text without white space around it: equal texts are duplicates."""
    return hashlib.sha256(text.strip().encode()).digest()


def is_held_out(text: str, share: float, seed: int) -> bool:
    """Whether a document is among the `share` of all that is set aside: by its whole text."""
    return derive_seed(seed, "held-out", text_digest(text).hex()) / 2**63 < share


def pieces(document: Document, max_words: int) -> Iterator[Document]:
    """The document in pieces of at most `max_words` words, cut at paragraph or sentence ends.

    Pieces are named `id#0`, `id#1`, …; together they hold every word of the document. A tail
    shorter than a fifth of `max_words` stays with the piece before it.
    """
    words = len(document.text.split())
    if max_words <= 0 or words <= max_words * 1.2:
        yield document
        return
    chunks: list[list[str]] = [[]]
    size = 0
    for unit, length in _units(document.text, max_words):
        if size and size + length > max_words:
            chunks.append([])
            size = 0
        chunks[-1].append(unit)
        size += length
    if len(chunks) > 1 and sum(len(u.split()) for u in chunks[-1]) < max_words / 5:
        tail = chunks.pop()
        chunks[-1].extend(tail)
    for number, chunk in enumerate(chunks):
        yield Document(f"{document.id}#{number}", "".join(chunk).strip(), document.fields)


def _units(text: str, max_words: int) -> Iterator[tuple[str, int]]:
    """Paragraphs with their separators; those over the limit as sentences, then as words."""
    for paragraph in re.findall(r".+?(?:\n\s*\n|\Z)", text, flags=re.DOTALL):
        length = len(paragraph.split())
        if length <= max_words:
            yield paragraph, length
            continue
        for sentence in re.findall(r".+?(?:[.!?][\"')\]]*\s+|\Z)", paragraph, flags=re.DOTALL):
            count = len(sentence.split())
            if count <= max_words:
                yield sentence, count
                continue
            tokens = re.findall(r"\S+\s*", sentence)
            for start in range(0, len(tokens), max_words):
                part = tokens[start : start + max_words]
                yield "".join(part), len(part)
