"""Coverage, gaps and over-used tokens."""

from __future__ import annotations

import numpy as np
import pytest

from synthlaw.statistics.coverage import coverage, gaps
from synthlaw.statistics.overuse import PRIOR_TOKENS, overuse
from synthlaw.statistics.unigrams import Unigrams
from synthlaw.statistics.words import TokenTexts, visible


def counted(name: str, blocks: list[list[int]]) -> Unigrams:
    return Unigrams(name, np.array(blocks, dtype=np.uint64), len(blocks), "t")


def test_coverage_counts_tokens_and_types_at_each_threshold():
    test, training = np.array([6, 3, 1, 0]), np.array([500, 0, 1, 499])
    rows = coverage(test, training, (0.0, 1000.0, 2000.0))
    assert [(row.threshold, row.tokens, row.types) for row in rows] == [
        (0.0, pytest.approx(0.7), pytest.approx(2 / 3)),
        (1000.0, pytest.approx(0.7), pytest.approx(2 / 3)),
        (2000.0, pytest.approx(0.6), pytest.approx(1 / 3)),
    ]


def test_an_empty_test_set_is_covered():
    assert [(r.tokens, r.types) for r in coverage(np.zeros(3), np.ones(3), (0.0,))] == [(1, 1)]


def test_gaps_are_frequent_in_test_and_rare_in_training():
    test = np.array([500, 300, 100, 96, 4])
    training = np.array([500, 30, 9, 450, 0])
    # 300/1000 against 30/989 falls short by less than ten times, 100/1000 against 9/989 by more;
    # the last token is absent from training, but too rare in the test set to be sure of.
    assert gaps(test, training).tolist() == [2]
    assert gaps(test, np.zeros(5)).tolist() == [0, 1, 2, 3]


def test_log_odds_are_those_of_their_definition():
    a, b = counted("a", [[30, 70]] * 4), counted("b", [[60, 40]] * 4)
    found = overuse(a, b)
    prior = PRIOR_TOKENS * 0.45
    y, z, n = 120 + prior, 240 + prior, 400 + PRIOR_TOKENS
    delta = np.log(y / (n - y)) - np.log(z / (n - z))
    assert found.log_odds[0] == pytest.approx(delta)
    assert found.z[0] == pytest.approx(delta / np.sqrt(1 / y + 1 / z))
    assert found.most(5).tolist() == [1]


def test_a_word_of_one_document_is_not_a_trait_of_the_set():
    """Token 1 stands in every block, token 2 as often but in one block only."""
    everywhere = [[900 + (i % 3), 20 + (i % 2), 0, 80] for i in range(16)]
    everywhere[0][2] = 320
    plain = [[900 + (i % 2), 1, 1, 80 + (i % 3)] for i in range(16)]
    found = overuse(counted("set", everywhere), counted("other", plain))
    assert found.z[1] > 5
    assert found.z[2] > 5
    assert found.z_documents[1] > 5
    assert found.z_documents[2] < 2
    assert found.most(1).tolist() == [1]


def test_tokens_that_neither_set_has_say_nothing():
    found = overuse(counted("a", [[5, 0]] * 2), counted("b", [[3, 0]] * 2))
    assert (found.log_odds[1], found.z[1]) == (0, 0)
    assert np.isnan(found.z_documents[0])
    assert found.most(9).tolist() == []


def test_texts_show_what_does_not_print():
    assert visible(" dön\n\n\t\x1b[0m") == " dön\\n\\n\\t\\x1b[0m"
    assert TokenTexts(None).of(5) == ""
