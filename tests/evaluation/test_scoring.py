"""Batched, windowed scoring against a naive loop, token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.scoring import TextSizes, score_documents
from synthlaw.evaluation.windows import Windowing, scorable, windows_of
from synthlaw.training.model import Llama, initialise
from synthlaw.training.presets import ModelShape

VOCAB = 50


@pytest.fixture(scope="module")
def model() -> Llama:
    made = Llama(ModelShape(dim=16, layers=2, heads=2, vocab=VOCAB))
    initialise(made, 1)
    return made


def documents_of(lengths: list[int], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(VOCAB, size=n) for n in lengths]


def naive_losses(
    model: Llama, document: np.ndarray, window: int, stride: int, bos: int | None
) -> list[float]:
    """One forward pass per token, from the protocol's words."""
    sequence = [*([] if bos is None else [bos]), *document.tolist()]
    losses = []
    for position in range(1, len(sequence)):
        done = position - 1
        # The window that scores this token ends at the first window end not before it.
        end = window
        while end <= done:
            end += stride
        end = min(end, len(sequence) - 1)
        begin = max(0, end - window)
        inputs = torch.tensor([sequence[begin:position]])
        with torch.no_grad():
            logits = model(inputs)[0, -1]
        losses.append(float(torch.logsumexp(logits, 0) - logits[sequence[position]]))
    return losses


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 24), max_size=4),
    window=st.integers(1, 8),
    stride_share=st.floats(0.01, 1),
    bos=st.sampled_from([None, 3]),
    rows=st.integers(1, 5),
)
@pytest.mark.isa
def test_equals_the_naive_loop(
    model: Llama,
    lengths: list[int],
    window: int,
    stride_share: float,
    bos: int | None,
    rows: int,
) -> None:
    stride = max(1, round(stride_share * window))
    documents = documents_of(lengths)
    kept: dict[tuple[int, int], float] = {}

    def keep(document: int, first: int, losses: np.ndarray) -> None:
        for offset, value in enumerate(losses):
            assert (document, first + offset) not in kept
            kept[document, first + offset] = float(value)

    scores = score_documents(
        model,
        documents,
        Windowing(window, stride, bos),
        batch_tokens=rows * window,
        on_losses=keep,
    )
    start = 0 if bos is not None else 1
    for index, document in enumerate(documents):
        wanted = naive_losses(model, document, window, stride, bos)
        assert scores.tokens[index] == len(wanted)
        assert scores.nll[index] == pytest.approx(sum(wanted), rel=1e-5)
        found = [kept[index, start + i] for i in range(len(wanted))]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert len(kept) == scores.tokens.sum()


@given(
    length=st.integers(0, 300),
    window=st.integers(1, 50),
    stride_share=st.floats(0.01, 1),
    bos=st.sampled_from([None, 3]),
)
def test_every_token_once_with_promised_context(
    length: int, window: int, stride_share: float, bos: int | None
) -> None:
    windowing = Windowing(window, max(1, round(stride_share * window)), bos)
    scored: list[int] = []
    for part in windows_of(0, length, windowing):
        assert 1 <= part.length <= window
        assert part.scored <= (windowing.stride if part.begin else window)
        first = part.end - part.scored
        if first > 0:
            assert first - part.begin >= min(first, window - windowing.stride)
        scored.extend(range(first, part.end))
    assert scored == list(range(scorable(length, windowing)))


def test_windows_equal_lm_eval_rolling_windows() -> None:
    """With stride = window: lm-eval's published example of get_rolling_token_windows."""
    parts = list(windows_of(0, 10, Windowing(4, 4, bos=99)))
    assert [(p.begin, p.end, p.scored) for p in parts] == [(0, 4, 4), (4, 8, 4), (6, 10, 2)]


def test_defined_results_at_the_edges(model: Llama) -> None:
    documents = documents_of([0, 1, 5])
    with_bos = score_documents(model, documents, Windowing(8, 8, 0))
    assert with_bos.tokens.tolist() == [0, 1, 5]
    without = score_documents(model, documents, Windowing(8, 8, None))
    assert without.tokens.tolist() == [0, 0, 4]
    assert without.nll[:2].tolist() == [0.0, 0.0]
    assert len(score_documents(model, [], Windowing(8, 8, 0))) == 0


def test_a_document_of_a_thousand_windows(model: Llama) -> None:
    (document,) = documents_of([8000])
    scores = score_documents(model, [document], Windowing(8, 8, 0), sizes=TextSizes([4], [2]))
    assert scores.tokens.tolist() == [8000]
    assert 3 < scores.nll[0] / 8000 < 6
    assert (scores.bytes[0], scores.words[0]) == (4, 2)


@pytest.mark.isa
def test_batching_does_not_change_a_document(model: Llama) -> None:
    documents = documents_of([30, 3, 17, 0, 90], seed=4)
    together = score_documents(model, documents, Windowing(16, 4, 0), batch_tokens=7 * 16)
    for index, document in enumerate(documents):
        alone = score_documents(model, [document], Windowing(16, 4, 0), batch_tokens=1)
        assert alone.nll[0] == pytest.approx(together.nll[index], rel=1e-6)


def test_mistakes_are_named(model: Llama) -> None:
    document = np.array([1, VOCAB, 2])
    with pytest.raises(UsageError, match=f"document 1: found token id {VOCAB}; expected 0 to 49"):
        score_documents(model, [document[:1], document], Windowing(8, 8, 0))
    with pytest.raises(UsageError, match="stride: found 9; expected 1 to the window of 8"):
        score_documents(model, [], Windowing(8, 9, 0))
    with pytest.raises(UsageError, match="words: found 1 counts for 0 documents"):
        score_documents(model, [], Windowing(8, 8, 0), sizes=TextSizes([], [1]))
