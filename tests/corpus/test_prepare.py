"""Preparing natural text: nothing lost in pieces, no leak between training and held-out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from synthlaw.corpus.documents import Document
from synthlaw.corpus.prepare import pieces, prepare

WORD = st.text("abcdefghij", min_size=1, max_size=8)
PARAGRAPH = st.lists(WORD, min_size=1, max_size=60).map(lambda words: " ".join(words) + ".")
TEXT = st.lists(PARAGRAPH, min_size=1, max_size=8).map("\n\n".join)


@given(TEXT, st.integers(5, 50))
def test_pieces_hold_every_word_in_order_and_keep_the_limit(text: str, limit: int) -> None:
    found = list(pieces(Document("d", text), limit))
    assert " ".join(p.text for p in found).split() == text.split()
    assert all(len(piece.text.split()) <= 1.2 * limit for piece in found)
    assert len({piece.id for piece in found}) == len(found)


def corpus(count: int) -> list[Document]:
    return [
        Document(f"d{i}", f"document number {i} speaks of " + "things " * 40) for i in range(count)
    ]


def test_documents_are_split_whole_before_they_are_cut() -> None:
    ready = prepare(corpus(200), held_out=0.2, max_words=15, seed=1)
    sides = [{d.id.split("#")[0] for d in side} for side in (ready.training, ready.held_out)]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == {f"d{i}" for i in range(200)}
    assert 20 <= len(sides[1]) <= 60


def test_the_split_does_not_depend_on_order_and_does_on_the_seed() -> None:
    def held(documents: list[Document], seed: int) -> set[str]:
        ready = prepare(documents, held_out=0.3, max_words=0, seed=seed)
        return {d.id for d in ready.held_out}

    assert held(corpus(100), 1) == held(corpus(100)[::-1], 1)
    assert held(corpus(100), 1) != held(corpus(100), 2)


def test_what_is_left_out_is_counted() -> None:
    documents = [*corpus(3), Document("copy", corpus(3)[0].text), Document("short", "too short")]
    ready = prepare(documents, held_out=0, max_words=0, seed=0)
    assert len(ready.training) == 3
    assert ready.left_out == {"exact duplicate": 1, "fewer than 20 words": 1}


def test_identities_are_made_unique() -> None:
    documents = [Document("same", f"text {i} " + "word " * 30) for i in range(3)]
    ready = prepare(documents, held_out=0, max_words=0, seed=0)
    assert len({d.id for d in ready.training}) == 3
