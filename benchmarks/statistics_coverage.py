"""How often nominal 90% intervals of the statistics hold the truth, on simulated sets.

    python benchmarks/statistics_coverage.py [--trials 400]

Zipf-Mandelbrot: tokens drawn from laws of known exponent and shift; the fit does not know which
token has which rank. Good-Turing: the true unseen mass of each sample. Documents: every document
has a topic that doubles or halves some tokens, so tokens are not drawn one by one.
"""

from __future__ import annotations

import argparse

import numpy as np

from synthlaw.statistics.divergence import entropy
from synthlaw.statistics.jackknife import jackknife
from synthlaw.statistics.support import support
from synthlaw.statistics.zipf import fit_zipf, maximum_likelihood, ranked_counts, zipf_law

LAWS = ((1.0, 0.0, 4096, 300_000), (1.1, 2.7, 4096, 1_000_000), (1.2, 5.0, 32_768, 1_000_000))
BLOCKS = 16


def zipf(trials: int) -> None:
    for exponent, shift, vocab, tokens in LAWS:
        random = np.random.default_rng(vocab + tokens)
        inside, plain, fits = [], [], []
        for trial in range(trials):
            law = random.permutation(zipf_law(vocab, exponent, shift))
            blocks = random.multinomial(tokens // BLOCKS, law, size=BLOCKS).astype(np.uint64)
            fit = fit_zipf(blocks, shifted=True, seed=trial)
            a, b = fit.exponent, fit.shift
            inside.append((a.low <= exponent <= a.high, b.low <= shift <= b.high))
            fits.append((a.value, b.value))
            plain.append(maximum_likelihood(ranked_counts(blocks.sum(axis=0)), shifted=True))
        covered = np.mean(inside, axis=0)
        offset = np.mean(fits, axis=0) - (exponent, shift)
        before = np.mean(plain, axis=0) - (exponent, shift)
        spread = np.std(fits, axis=0)
        print(
            f"a = {exponent}, b = {shift}, {vocab:,} types, {tokens:,} tokens: covered "
            f"a {covered[0]:.1%}, b {covered[1]:.1%}; bias in standard deviations "
            f"a {offset[0] / spread[0]:+.2f}, b {offset[1] / spread[1]:+.2f} "
            f"(without correction {before[0] / spread[0]:+.2f}, {before[1] / spread[1]:+.2f})"
        )


def good_turing(trials: int) -> None:
    for tokens in (3_000, 100_000):
        random = np.random.default_rng(tokens)
        law = zipf_law(128_256, 1.1, 2.7)
        inside = 0
        for _ in range(trials):
            counts = random.multinomial(tokens, law)
            found = support(counts)
            inside += found.unseen_low <= law[counts == 0].sum() <= found.unseen_high
        print(f"Good-Turing, {tokens:,} tokens: covered {inside / trials:.1%}")


def documents(trials: int) -> None:
    """Entropy of sets whose documents differ: blocks against tokens drawn one by one."""
    random = np.random.default_rng(7)
    vocab, size, count = 500, 400, 96
    law = zipf_law(vocab, 1.0, 3.0)

    def draw(number: int) -> np.ndarray:
        topics = law * np.exp(random.normal(0, 1.0, (number, vocab)))
        topics /= topics.sum(axis=1, keepdims=True)
        rows = np.stack([random.multinomial(size, topic) for topic in topics])
        return rows.reshape(BLOCKS, -1, vocab).sum(axis=1).astype(np.uint64)

    # What sets of this size have on average: plug-in entropy depends on the size.
    truth = np.mean(
        [entropy(b.sum(axis=0) / b.sum()) for b in (draw(count) for _ in range(trials))]
    )
    inside = 0
    for _ in range(trials):
        found = jackknife(draw(count), lambda c: entropy(c / c.sum()))[0]
        inside += found.low <= truth <= found.high
    print(f"entropy over documents of different topics: covered {inside / trials:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=400)
    trials = parser.parse_args().trials
    zipf(trials)
    good_turing(trials)
    documents(trials)


if __name__ == "__main__":
    main()
