"""Zipf's and Zipf-Mandelbrot's law of frequency against rank, by maximum likelihood.

    p(r) = (r + b)^-a / sum over ranks 1 to R of (s + b)^-a          b = 0 is Zipf's law

R is the last rank whose token was counted at least `FEWEST` times; tokens beyond are left out, and
the law is that of a token given that it is one of the first R. Likelihood weighs every *token* of
the text alike; a line drawn through the log-log plot by least squares, the usual picture, weighs
the rarest types most.

Ranks come from the same counts as the frequencies, which flatters the fit (Piantadosi,
Psychonomic Bulletin & Review 21, 2014): the most frequent of equals always gets the lower rank.
`fit_zipf` therefore counts samples drawn from the fitted law in the same way, and takes off the
bias that they show. Intervals come from blocks of documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from synthlaw.common.seeds import derive_seed
from synthlaw.statistics.divergence import kl_divergence
from synthlaw.statistics.jackknife import FEWEST_BLOCKS, LEVEL, Estimate, standard_errors, unbounded

FEWEST = 10
"""Counts below this say little of a token's rank."""

FEWEST_RANKS = 20

BOUNDS = ((1e-3, 30.0), (-7.0, float(np.log(1e6))))
"""Of a and log(1 + b). Text has a near 1 and b below 100; the shift is measured in ranks."""

SIMULATIONS = 24


@dataclass(frozen=True)
class ZipfFit:
    """A fitted law. shift: Mandelbrot's b, exactly 0 for Zipf's law.

    ranks: R, the ranks fitted. tokens: their tokens. misfit: KL divergence of their relative
    frequencies from the law, in nats. When fewer than `FEWEST_RANKS` ranks can be used, there is
    no fit: all figures are NaN. Nor is there one for counts that follow no such law, such as equal
    ones: their likelihood rises to the end of `BOUNDS`.
    """

    exponent: Estimate
    shift: Estimate
    ranks: int
    tokens: int
    misfit: float


def fit_zipf(blocks: np.ndarray, *, shifted: bool, seed: int = 0) -> ZipfFit:
    """Fit the law to a set's counts by block [blocks, vocab]; shifted: Zipf-Mandelbrot.

    A set of fewer than 4 blocks gets no interval.
    """
    total = blocks.sum(axis=0, dtype=np.uint64)
    ranked = ranked_counts(total)
    if len(ranked) < FEWEST_RANKS:
        nothing = unbounded(float("nan"))
        return ZipfFit(nothing, nothing, len(ranked), int(ranked.sum()), float("nan"))
    plain = maximum_likelihood(ranked, shifted=shifted)
    if not _inside(np.array([plain[0], np.log1p(plain[1])] if shifted else [plain[0]])):
        nothing = unbounded(float("nan"))
        return ZipfFit(nothing, nothing, len(ranked), int(ranked.sum()), float("nan"))
    law = zipf_law(len(ranked), *plain)
    bias, bias_error = _bias(plain, ranked, len(total), shifted, seed)
    value = np.array(plain) - bias
    exponent, shift = _intervals(blocks, total, plain, value, bias_error, shifted)
    misfit = kl_divergence(ranked / ranked.sum(), law)
    return ZipfFit(exponent, shift, len(ranked), int(ranked.sum()), misfit)


def ranked_counts(counts: np.ndarray) -> np.ndarray:
    """Counts of at least `FEWEST`, largest first, float64."""
    kept = counts[counts >= FEWEST].astype(np.float64)
    ranked: np.ndarray = np.sort(kept)[::-1]
    return ranked


def zipf_law(ranks: int, exponent: float, shift: float) -> np.ndarray:
    """Probabilities of ranks 1 to `ranks`."""
    weights = (np.arange(1, ranks + 1) + shift) ** -exponent
    law: np.ndarray = weights / weights.sum()
    return law


def maximum_likelihood(
    ranked: np.ndarray, *, shifted: bool, start: tuple[float, float] | None = None
) -> tuple[float, float]:
    """(a, b) of the highest likelihood of counts by rank [ranks], with exact derivatives.

    b is above -1, so that the first rank has a probability; its scale is log(1 + b).
    """
    rank = np.arange(1, len(ranked) + 1, dtype=np.float64)
    share = ranked / ranked.sum()
    exponent, shift = start or (1.0, 1.0)
    x0 = np.array([exponent, np.log1p(shift)] if shifted else [exponent])
    x = _free_minimum(x0, rank, share)
    if x is None:
        x = _bounded_minimum(x0, rank, share)
    return (float(x[0]), float(np.expm1(x[1]))) if shifted else (float(x[0]), 0.0)


def _free_minimum(x0: np.ndarray, rank: np.ndarray, share: np.ndarray) -> np.ndarray | None:
    """The minimum that Newton's steps find from `x0`; None where they leave the bounds.

    Near-uniform counts have their likelihood's maximum at infinity, where the steps overflow.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = optimize.minimize(
                _loss,
                x0,
                args=(rank, share),
                jac=True,
                hess=_hessian,
                method="trust-exact",
                options={"gtol": 1e-10, "maxiter": 200},
            )
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None
    x = np.asarray(found.x, dtype=np.float64)
    return x if np.isfinite(found.fun) and _inside(x) else None


def _bounded_minimum(x0: np.ndarray, rank: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The minimum within `BOUNDS`, on one of them where the likelihood goes on rising."""
    bounds = BOUNDS[: len(x0)]
    low, high = np.array(bounds).T
    found = optimize.minimize(
        _loss,
        np.clip(np.where(np.isfinite(x0), x0, 1.0), low, high),
        args=(rank, share),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
    )
    return np.asarray(found.x, dtype=np.float64)


def _inside(x: np.ndarray) -> bool:
    """Whether parameters in (a, log(1 + b)) lie within `BOUNDS` and on none of them."""
    return bool(np.isfinite(x).all()) and all(
        low < value < high for value, (low, high) in zip(x, BOUNDS, strict=False)
    )


def _terms(x: np.ndarray, rank: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray, float]:
    """a, 1 + b, log(r + b), the law's probabilities, and its log normaliser."""
    a = float(x[0])
    stretch = float(np.exp(x[1])) if len(x) > 1 else 1.0
    logs = np.log(rank + (stretch - 1))
    weights = np.exp(-a * logs)
    total = float(weights.sum())
    return a, stretch, logs, weights / total, float(np.log(total))


def _loss(x: np.ndarray, rank: np.ndarray, share: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus log likelihood per token, and its gradient in (a, log(1 + b))."""
    a, stretch, logs, law, normaliser = _terms(x, rank)
    value = a * float(share @ logs) + normaliser
    slope = [float(share @ logs) - float(law @ logs)]
    if len(x) > 1:
        inverse = np.exp(-logs)
        slope.append(a * stretch * (float(share @ inverse) - float(law @ inverse)))
    return value, np.array(slope)


def _hessian(x: np.ndarray, rank: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Second derivatives of `_loss`."""
    a, stretch, logs, law, _ = _terms(x, rank)
    mean = float(law @ logs)
    aa = float(law @ logs**2) - mean**2
    if len(x) == 1:
        return np.array([[aa]])
    inverse = np.exp(-logs)
    seen, expected = float(share @ inverse), float(law @ inverse)
    square = float(law @ inverse**2)
    ab = seen - expected + a * (float(law @ (logs * inverse)) - mean * expected)
    bb = a * (square - float(share @ inverse**2)) + a**2 * (square - expected**2)
    gradient = a * (seen - expected)
    # From b to log(1 + b).
    return np.array([[aa, ab * stretch], [ab * stretch, bb * stretch**2 + gradient * stretch]])


def _bias(
    fitted: tuple[float, float], ranked: np.ndarray, vocab: int, shifted: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What counting and ranking adds to (a, b) on average, and the standard error of that.

    Tokens beyond the last rank follow the same law on to the end of the vocabulary: some of them
    are counted often enough to get a rank.
    """
    random = np.random.default_rng(derive_seed(seed, "zipf", len(ranked)))
    inside = zipf_law(len(ranked), *fitted)
    whole = zipf_law(vocab, *fitted)
    expected = whole * (ranked.sum() * inside[0] / whole[0])
    found = []
    for _ in range(SIMULATIONS):
        drawn = ranked_counts(random.poisson(expected))
        if len(drawn) >= FEWEST_RANKS:
            found.append(maximum_likelihood(drawn, shifted=shifted, start=fitted))
    if len(found) < 2:
        return np.zeros(2), np.zeros(2)
    offsets = np.array(found) - np.array(fitted)
    return offsets.mean(axis=0), offsets.std(axis=0, ddof=1) / np.sqrt(len(found))


def _intervals(
    blocks: np.ndarray,
    total: np.ndarray,
    plain: tuple[float, float],
    value: np.ndarray,
    bias_error: np.ndarray,
    shifted: bool,
) -> tuple[Estimate, Estimate]:
    used = [block for block in blocks if block.any()]
    if len(used) < FEWEST_BLOCKS:
        return unbounded(float(value[0])), unbounded(float(value[1]))
    left = np.array(
        [
            maximum_likelihood(ranked_counts(total - block), shifted=shifted, start=plain)
            for block in used
        ]
    )
    sizes = np.array([float(block.sum()) for block in used])
    errors = np.hypot(standard_errors(np.array(plain), left, sizes), bias_error)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(used) - 1))
    exponent, shift = (
        Estimate(float(v), float(e), float(v - reach * e), float(v + reach * e))
        for v, e in zip(value, errors, strict=True)
    )
    return exponent, shift
