"""Dividing documents: nothing lost in pieces, held-out ones chosen by text and seed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from synthlaw.corpus.documents import Document
from synthlaw.corpus.splitting import is_held_out, pieces

WORD = st.text("abcdefghij", min_size=1, max_size=8)
PARAGRAPH = st.lists(WORD, min_size=1, max_size=60).map(lambda words: " ".join(words) + ".")
TEXT = st.lists(PARAGRAPH, min_size=1, max_size=8).map("\n\n".join)


@given(TEXT, st.integers(5, 50))
def test_pieces_hold_every_word_in_order_and_keep_the_limit(text: str, limit: int) -> None:
    found = list(pieces(Document("d", text), limit))
    assert " ".join(p.text for p in found).split() == text.split()
    assert all(len(piece.text.split()) <= 1.2 * limit for piece in found)
    assert len({piece.id for piece in found}) == len(found)


def test_the_split_goes_by_text_and_seed() -> None:
    texts = [f"document number {n} speaks of things" for n in range(400)]
    held = [[is_held_out(text, 0.3, seed) for text in texts] for seed in (1, 2)]
    assert 80 <= sum(held[0]) <= 160
    assert held[0] != held[1]
    assert held[0] == [is_held_out(f" {text}\n", 0.3, 1) for text in texts]
    assert not any(is_held_out(text, 0.0, 1) for text in texts)
