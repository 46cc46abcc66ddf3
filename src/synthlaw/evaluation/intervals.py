"""Intervals and paired tests for ratios of sums over documents.

Documents are the unit that was sampled; tokens of one document depend on each other. So documents
are drawn again with replacement, and the ratio is taken of the drawn sums. Three things keep the
intervals wide enough when documents are few or differ much in length:

- each resample is studentised by its own standard error (bootstrap-t; Efron and Tibshirani 1993,
  chapter 12.5);
- standard errors are the jackknife's: a document that holds much of the text pulls the ratio
  towards itself, and its residual is divided by one minus its share ('HC3');
- no interval is narrower than Student's, with the degrees of freedom that the documents' shares
  leave (Bell and McCaffrey 2002).

Several domains are combined as strata: documents are drawn within each, and the figure is a
weighted sum of the domains' ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed

FEWEST_DOCUMENTS = 6
"""Below this many scored documents there is no interval: the bounds are NaN."""

_ROUNDING = 1e-6
"""A resample's standard error this small beside the whole sample's is rounding: it comes from a
difference of squares, exact to half the digits."""

_EXACT = 1e-12
"""Documents that differ by less than this, relative to the ratio, are all alike."""

_CELLS = 1 << 22
"""Resampled weights held at once."""

Terms = tuple[np.ndarray, np.ndarray]
"""Numerator and denominator per document; `DomainScores.terms` gives them."""


@dataclass(frozen=True)
class Interval:
    """A figure between bounds; the bounds are NaN when too few documents speak."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """Two runs on the same documents: figure of the first minus the second.

    p_value: two-sided, from the studentised bootstrap and never below Student's; how often a
    difference at least this many standard errors from zero arises when there is none. NaN with
    too few documents.
    """

    value: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(
    top: np.ndarray, bottom: np.ndarray, *, level: float = 0.9, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Interval of Σtop / Σbottom over documents, at coverage `level`.

    Documents with top = bottom = 0 (nothing scored) change nothing.
    """
    return mean_interval([(top, bottom)], [1.0], level=level, resamples=resamples, seed=seed)


def mean_interval(
    domains: Sequence[Terms],
    weights: Sequence[float],
    *,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Interval of Σ_d weight_d · ratio_d, documents drawn within each domain.

    The weights are taken as given. One domain with too few documents leaves the whole without
    bounds.
    """
    _check_level(level)
    return _estimate(domains, weights, resamples, seed).interval(level)


def paired_difference(
    first: Terms,
    second: Terms,
    *,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Difference of two ratios over the same documents.

    What both runs find hard cancels, so the interval is far narrower than those of the runs.
    Raises UsageError when the documents are not the same.
    """
    return mean_difference([first], [second], [1.0], level=level, resamples=resamples, seed=seed)


def mean_difference(
    firsts: Sequence[Terms],
    seconds: Sequence[Terms],
    weights: Sequence[float],
    *,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Difference of two runs' weighted sums over domains: see `mean_interval`."""
    _check_level(level)
    domains = [_differences(a, b) for a, b in zip(firsts, seconds, strict=True)]
    estimate = _estimate(domains, weights, resamples, seed)
    bounds = estimate.interval(level)
    return PairedDifference(bounds.value, bounds.low, bounds.high, estimate.p_value())


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979); NaN stays NaN and does not count."""
    values = np.asarray(p_values, dtype=np.float64)
    order = [int(i) for i in np.argsort(values) if not np.isnan(values[i])]
    corrected, worst = values.copy(), 0.0
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, float(values[index]) * (len(order) - place)))
        corrected[index] = worst
    return [float(value) for value in corrected]


def _differences(first: Terms, second: Terms) -> Terms:
    if first[0].shape != second[0].shape or not np.array_equal(first[1], second[1]):
        raise UsageError(
            f"paired difference: found {len(first[0])} and {len(second[0])} documents with "
            "different sizes; expected the same documents, scored in the same way"
        )
    return first[0] - second[0], first[1]


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level: found {level}; expected a coverage between 0 and 1, such as 0.9")


@dataclass(frozen=True)
class _Estimate:
    """A figure, its standard error and degrees of freedom, and its resampled pivots.

    pivots: (resampled figure - figure) / resampled error; None with too few documents, empty when
    all documents are alike.
    """

    value: float
    error: float
    freedom: float
    pivots: np.ndarray | None

    def interval(self, level: float) -> Interval:
        if self.pivots is None:
            return Interval(self.value, float("nan"), float("nan"))
        if not len(self.pivots):
            return Interval(self.value, self.value, self.value)
        tail = (1 - level) / 2
        low, high = np.quantile(self.pivots, [tail, 1 - tail])
        student = float(special.stdtrit(self.freedom, 1 - tail))
        return Interval(
            self.value,
            float(self.value - max(high, student) * self.error),
            float(self.value - min(low, -student) * self.error),
        )

    def p_value(self) -> float:
        if self.pivots is None:
            return float("nan")
        if not len(self.pivots):
            return float(self.value == 0)
        away = abs(self.value / self.error)
        beyond = int(np.sum(np.abs(self.pivots) >= away))
        student = 2 * float(special.stdtr(self.freedom, -away))
        return max((beyond + 1) / (len(self.pivots) + 1), student)


def _estimate(
    domains: Sequence[Terms], weights: Sequence[float], resamples: int, seed: int
) -> _Estimate:
    samples = [_Sample(*terms) for terms in domains]
    scale = np.asarray(weights, dtype=np.float64)
    value = float(scale @ [sample.value for sample in samples])
    errors = scale * [sample.error for sample in samples]
    error = float(np.sqrt(np.sum(errors**2)))
    if any(sample.count < FEWEST_DOCUMENTS for sample in samples):
        return _Estimate(value, error, float("nan"), None)
    if error <= _EXACT * abs(value):
        return _Estimate(value, 0.0, float("inf"), np.zeros(0))
    shares = [e**4 / s.freedom() for e, s in zip(errors, samples, strict=True) if e > 0]
    shift, spread = np.zeros(resamples), np.zeros(resamples)
    for number, sample in enumerate(samples):
        random = np.random.default_rng(derive_seed(seed, "bootstrap", number, sample.count))
        shifts, squares = sample.resampled(resamples, random)
        shift += scale[number] * shifts
        spread += scale[number] ** 2 * squares
    spread = np.sqrt(spread)
    # A resample of one document drawn again and again says nothing of the spread.
    told = spread > _ROUNDING * error
    return _Estimate(value, error, float(error**4 / sum(shares)), shift[told] / spread[told])


class _Sample:
    """The scored documents of one domain: their ratio, its error, and both resampled."""

    def __init__(self, top: np.ndarray, bottom: np.ndarray) -> None:
        kept = bottom > 0
        self._bottom = bottom[kept].astype(np.float64)
        self.count = len(self._bottom)
        total = float(self._bottom.sum())
        self.value = float(top.sum() / total)
        self._share = self._bottom / total
        # Centred, so that squares do not cancel. A share of nearly all leaves nearly no residual.
        self._off = top[kept] - self.value * self._bottom
        self._lever = 1 / np.maximum(1 - self._share, 1e-9)
        squares = float(np.sum((self._off * self._lever) ** 2))
        self.error = float(np.sqrt(squares * self._small())) / total

    def _small(self) -> float:
        return (self.count - 1) / self.count

    def freedom(self) -> float:
        """Degrees of freedom of the error when every document's loss varies alike.

        Bell and McCaffrey's tr(M)² / tr(M²), M the quadratic form of the 'HC2' error, written out
        for one ratio; `count - 1` for documents of one length.
        """
        variances = self._share**2
        pull = self._share * self._lever
        common = float(np.sum(self._share**2 * self._lever))
        diagonal = common - 2 * pull
        trace = float(np.sum(variances * (self._lever + diagonal)))
        v0, v1, v2 = (float(np.sum(variances * pull**power)) for power in range(3))
        square = common**2 * v0**2 + 2 * v0 * v2 + 2 * v1**2 - 4 * common * v0 * v1
        square += float(np.sum(variances**2 * ((self._lever + diagonal) ** 2 - diagonal**2)))
        return trace**2 / square

    def resampled(self, resamples: int, random: np.random.Generator) -> tuple[np.ndarray, ...]:
        """(resampled ratio - ratio, squared error of it) of each resample."""
        off, bottom, lever = self._off, self._bottom, self._lever**2
        # In sums, so that resampling is a matrix product.
        columns = np.stack(
            [off, bottom, lever * off * off, lever * off * bottom, lever * bottom * bottom], axis=1
        )
        sums, rows = [], max(1, _CELLS // self.count)
        odds = np.full(self.count, 1 / self.count)
        for start in range(0, resamples, rows):
            drawn = random.multinomial(self.count, odds, size=min(rows, resamples - start))
            sums.append(drawn @ columns)
        t, b, tt, tb, bb = np.concatenate(sums).T
        shift = t / b
        squares = np.maximum(tt - 2 * shift * tb + shift**2 * bb, 0.0)
        return shift, squares * self._small() / b**2
