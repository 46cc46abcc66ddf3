"""Conventions of loss from one table of sums."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.figures import figure_rows
from synthlaw.evaluation.scores import (
    METRICS,
    DocumentScores,
    DomainScores,
    mean_over_domains,
    pooled,
    read_scores,
    write_scores,
)


def domain_of(name: str, rows: list[tuple[float, int, int, int]]) -> DomainScores:
    nll, tokens, size, words = (np.array(column) for column in zip(*rows, strict=True))
    return DomainScores(name, DocumentScores(nll.astype(float), tokens, size, words))


def test_conventions_by_hand() -> None:
    domain = domain_of("wiki", [(30.0, 10, 40, 8), (0.0, 0, 0, 0), (5.0, 5, 20, 4)])
    assert domain.tokens == 15
    assert domain.loss == pytest.approx(35 / 15)
    assert domain.document_loss == pytest.approx((3 + 1) / 2)
    assert domain.bits_per_byte == pytest.approx(35 / math.log(2) / 60)
    assert domain.word_perplexity == pytest.approx(math.exp(35 / 12))


def test_pooled_and_mean() -> None:
    domains = {
        "a": domain_of("a", [(30.0, 10, 40, 8)]),
        "b": domain_of("b", [(100.0, 100, 400, 80)]),
    }
    assert pooled(domains).loss == pytest.approx(130 / 110)
    assert mean_over_domains(domains) == pytest.approx(2.0)
    assert mean_over_domains(domains, "bits_per_byte") == pytest.approx(
        np.mean([d.bits_per_byte for d in domains.values()])
    )


def test_intervals_hold_the_value() -> None:
    random = np.random.default_rng(0)
    rows = [(float(n * random.normal(3, 0.3)), n, 4 * n, n) for n in range(5, 60)]
    domain = domain_of("a", rows)
    for metric in METRICS:
        found = domain.interval(metric)
        assert found.low < found.value < found.high
        assert found.value == pytest.approx(domain.value(metric))


def test_scores_survive_a_file(tmp_path: Path) -> None:
    domains = {
        "z": domain_of("z", [(30.25, 10, 40, 8), (0.0, 0, 0, 0)]),
        "a": domain_of("a", [(1 / 3, 1, 4, 1)]),
    }
    write_scores(tmp_path / "scores.parquet", domains)
    back = read_scores(tmp_path / "scores.parquet")
    assert list(back) == ["z", "a"]
    for name, domain in domains.items():
        for column in ("nll", "tokens", "bytes", "words"):
            np.testing.assert_array_equal(
                getattr(back[name].documents, column), getattr(domain.documents, column)
            )


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"domain 'void': found no token to score in 1 documents"):
        domain_of("void", [(0.0, 0, 0, 0)])
    plain = domain_of("plain", [(3.0, 1, 0, 0)])
    with pytest.raises(UsageError, match=r"'plain': .* pass byte_counts to score_documents"):
        _ = plain.bits_per_byte
    with pytest.raises(UsageError, match="expected one of loss, document_loss"):
        plain.value("accuracy")  # type: ignore[arg-type]
    path = tmp_path / "x.parquet"
    path.write_text("no table")
    with pytest.raises(UsageError, match="not a table of evaluation scores"):
        read_scores(path)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.integers(1, 9)), min_size=1, max_size=5))
def test_a_perplexity_that_no_double_holds_is_infinite_and_told_as_none(
    sums: list[tuple[float, int]],
) -> None:
    """One 'word' of a language without spaces may be worth thousands of nats."""
    nll = np.array([value for value, _ in sums])
    counts = np.array([count for _, count in sums])
    scores = DocumentScores(nll, counts, counts, counts)
    domain = DomainScores("zh", scores)
    rows = figure_rows({"zh": domain, "ja": DomainScores("ja", scores)})
    for row in rows:
        figures = [row["value"], row["low"], row["high"]]
        assert all(figure is None or math.isfinite(figure) for figure in figures)
    expected = domain.loss < 709
    assert math.isfinite(domain.word_perplexity) == expected
    json.dumps(rows, allow_nan=False)
