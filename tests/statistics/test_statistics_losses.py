"""Loss by token against plain sums; what cannot be compared is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.token_losses import LossSource, TokenLosses, keeping_losses
from synthlaw.statistics.loss_tables import ModelLosses, loss_rows
from synthlaw.statistics.losses import (
    LossSums,
    by_decile,
    by_frequency,
    difference,
    loss_curve,
    sum_losses,
)
from synthlaw.statistics.unigrams import Unigrams
from synthlaw.statistics.words import TokenTexts

VOCAB = 30


def kept(folder: Path, documents: list[np.ndarray], losses: list[np.ndarray]) -> TokenLosses:
    source = LossSource("news", "m", "t", VOCAB, window=8, stride=4, bos=1, dtype="fp32")
    with keeping_losses(folder, documents, source) as keep:
        for number, values in enumerate(losses):
            keep(number, 0, values)
    return TokenLosses(folder)


def scored(seed: int, documents: int = 24) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Zipf-like documents; a token's losses are around its id / 5."""
    random = np.random.default_rng(seed)
    law = 1 / np.arange(1, VOCAB + 1)
    ids = [random.choice(VOCAB, 40, p=law / law.sum()) for _ in range(documents)]
    return ids, [(row / 5 + random.exponential(0.5, 40)).astype(np.float32) for row in ids]


def test_sums_are_those_of_every_token(tmp_path):
    ids, losses = scored(0)
    found = sum_losses(kept(tmp_path / "kept", ids, losses))
    flat, values = np.concatenate(ids), np.concatenate(losses).astype(np.float64)
    by_loss, count = found.by_token
    np.testing.assert_allclose(by_loss, np.bincount(flat, values, VOCAB), rtol=1e-12)
    np.testing.assert_array_equal(count, np.bincount(flat, minlength=VOCAB))
    assert found.loss == pytest.approx(values.mean())
    assert len(found.losses) == 16


def test_tokens_that_were_context_only_do_not_count(tmp_path):
    source = LossSource("news", "m", "t", VOCAB, window=8, stride=4, bos=None, dtype="fp32")
    with keeping_losses(tmp_path / "kept", [np.array([3, 4, 5])], source) as keep:
        keep(0, 1, np.array([1.0, 2.0]))
    found = sum_losses(TokenLosses(tmp_path / "kept"))
    assert found.by_token[1].sum() == 2
    assert found.loss == pytest.approx(1.5)


def test_nothing_scored_or_infinite_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="holds no scored token"):
        sum_losses(kept(tmp_path / "none", [np.zeros(0, int)], [np.zeros(0)]))
    with pytest.raises(UsageError, match="infinite loss"):
        sum_losses(kept(tmp_path / "inf", [np.array([1])], [np.array([np.inf])]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 500))
def test_groups_share_out_all_tokens_and_all_loss(seed):
    random = np.random.default_rng(seed)
    count = random.integers(0, 6, (16, VOCAB)) * random.integers(0, 2, VOCAB)
    count[0, 0] = 9
    sums = LossSums(count * random.uniform(0, 5, VOCAB) + 0.1 * count, count)
    training = random.integers(0, 400, VOCAB) * random.integers(0, 2, VOCAB)
    for groups in (by_frequency(sums, training), by_decile(sums, training)):
        assert sum(group.tokens for group in groups) == count.sum()
        assert sum(group.share for group in groups) == pytest.approx(1)
        assert sum(group.token_share for group in groups) == pytest.approx(1)
        assert sum(g.loss.value * g.tokens for g in groups) == pytest.approx(sums.losses.sum())
        lows = [group.low for group in groups]
        assert lows == sorted(lows)


def test_groups_are_by_training_frequency():
    sums = LossSums(np.array([[8.0, 4.0, 1.0, 0.0]]), np.array([[2, 2, 2, 0]]))
    groups = by_frequency(sums, np.array([0, 50, 999_950, 7]))
    assert [(g.low, g.high, g.tokens, g.loss.value) for g in groups] == [
        (0.0, 0.0, 2, 4.0),
        (10.0, 100.0, 2, 2.0),
        (100_000.0, np.inf, 2, 0.5),
    ]


def test_deciles_hold_about_a_tenth_of_the_tokens_each():
    count = np.full((4, VOCAB), 5)
    groups = by_decile(LossSums(count.astype(float), count), np.arange(VOCAB) + 1)
    assert [group.tokens for group in groups] == [60] * 10


def test_parts_add_to_the_difference_of_the_losses(tmp_path):
    ids, losses = scored(1)
    worse = [
        values + np.where(row == 3, 2.0, 0.0).astype(np.float32)
        for row, values in zip(ids, losses, strict=True)
    ]
    a = sum_losses(kept(tmp_path / "a", ids, worse))
    b = sum_losses(kept(tmp_path / "b", ids, losses))
    found = difference(a, b)
    assert found.loss == pytest.approx(a.loss - b.loss)
    assert found.most(5).tolist() == [3]
    assert found.part[3] > 2 * found.error[3] > 0


def test_models_that_scored_other_tokens_are_not_compared(tmp_path):
    a, b = (sum_losses(kept(tmp_path / str(seed), *scored(seed))) for seed in (1, 2))
    with pytest.raises(UsageError, match="did not score the same tokens"):
        difference(a, b)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.one_of(st.floats(0, 20), st.just(float("nan"))), max_size=30),
    width=st.integers(1, 8),
)
def test_the_rolling_mean_is_over_the_last_scored_tokens(values, width):
    found = loss_curve(np.array(values, dtype=np.float64), width)
    seen: list[float] = []
    for value, rolled in zip(values, found, strict=True):
        if np.isnan(value):
            assert np.isnan(rolled)
            continue
        seen.append(value)
        assert rolled == pytest.approx(np.mean(seen[-width:]), abs=1e-9)


def test_a_rolling_mean_needs_a_width():
    with pytest.raises(UsageError, match="a width of 0"):
        loss_curve(np.zeros(3), 0)


def test_tables_name_the_gaps_of_what_the_model_was_trained_on(tmp_path):
    ids, losses = scored(4)
    training = np.full((4, VOCAB), 1000, dtype=np.uint64)
    training[:, 2] = 0
    one = ModelLosses(
        "first", kept(tmp_path / "kept", ids, losses), Unigrams("web", training, 4, "t")
    )
    tables = loss_rows([one], TokenTexts(None))
    gap = next(row for row in tables["loss_by_token"] if row["kind"] == "gap")
    assert (gap["token"], gap["training_per_million"]) == (2, 0)
    assert 0 < gap["loss_share"] < 1
    assert len(tables["loss_curve"]) == 40
    assert tables["loss_difference"] == []


def test_losses_of_another_tokenizer_are_refused(tmp_path):
    one = ModelLosses(
        "first",
        kept(tmp_path / "kept", *scored(4)),
        Unigrams("web", np.ones((4, VOCAB), dtype=np.uint64), 4, "other"),
    )
    with pytest.raises(
        UsageError, match=r"scored with tokenizer t \(30 entries\); .*'web' has other"
    ):
        loss_rows([one], TokenTexts(None))
