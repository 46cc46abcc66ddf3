"""Tokens that one set uses more than another: log-odds ratios with an informative prior.

    delta = log odds of the token in the first set minus those in the second, after adding to both
            the counts of `PRIOR_TOKENS` tokens of their pooled text
    z     = delta / sqrt(1 / first + 1 / second)

(Monroe, Colaresi and Quinn, "Fightin' Words", Political Analysis 16, 2008.) The prior pulls rare
tokens, whose ratio is chance, towards no difference.

z takes tokens as drawn one by one. A name that one document repeats a hundred times gets a large z
and tells nothing of the set, so a second z, `z_documents`, has the standard error of the jackknife
over blocks of documents instead. Tokens are ranked by the smaller of the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthlaw.statistics.jackknife import FEWEST_BLOCKS, standard_errors
from synthlaw.statistics.unigrams import Unigrams

PRIOR_TOKENS = 10_000.0


@dataclass(frozen=True)
class Overuse:
    """All arrays are float64 [vocab]; positive where the first set uses the token more.

    log_odds: delta, in nats. z_documents: NaN when a set has too few blocks of documents.
    """

    log_odds: np.ndarray
    z: np.ndarray
    z_documents: np.ndarray

    def most(self, count: int) -> np.ndarray:
        """Ids of the tokens most surely overused, at most `count`, by the smaller z."""
        surely = np.fmin(self.z, self.z_documents)
        found = np.argsort(-surely, kind="stable")[:count]
        return np.asarray(found[surely[found] > 0])


def overuse(first: Unigrams, second: Unigrams) -> Overuse:
    """How much more `first` uses each token than `second` does. The sets may differ in size."""
    pooled = (first.probabilities() + second.probabilities()) / 2
    prior = pooled * PRIOR_TOKENS
    a, b = first.counts.astype(np.float64), second.counts.astype(np.float64)
    log_odds = _log_odds(a, prior) - _log_odds(b, prior)
    with np.errstate(divide="ignore"):
        variance = 1 / (a + prior) + 1 / (b + prior)
    z = np.divide(log_odds, np.sqrt(variance), out=np.zeros_like(log_odds), where=prior > 0)
    spread = np.hypot(_error(first, prior), _error(second, prior))
    with np.errstate(divide="ignore", invalid="ignore"):
        by_documents = np.where(prior > 0, log_odds / spread, 0.0)
    return Overuse(log_odds, z, by_documents)


def _log_odds(counts: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Log odds of every token under its posterior mean; 0 for tokens that neither set has."""
    mass = counts + prior
    rest = mass.sum() - mass
    odds = np.divide(mass, rest, out=np.ones_like(mass), where=(mass > 0) & (rest > 0))
    log_odds: np.ndarray = np.log(odds)
    return log_odds


def _error(unigrams: Unigrams, prior: np.ndarray) -> np.ndarray:
    """Standard error of the log odds over blocks of documents, float64 [vocab]."""
    blocks = [block for block in unigrams.blocks.astype(np.float64) if block.any()]
    if len(blocks) < FEWEST_BLOCKS:
        return np.full(unigrams.vocab, np.nan)
    whole = sum(blocks[1:], start=blocks[0].copy())
    left = np.stack([_log_odds(whole - block, prior) for block in blocks])
    sizes = np.array([block.sum() for block in blocks])
    return standard_errors(_log_odds(whole, prior), left, sizes)
