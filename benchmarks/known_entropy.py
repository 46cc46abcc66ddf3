"""A ladder on text of known entropy: does the fitted floor E find it?

    python benchmarks/known_entropy.py --out DIR [--order 2] [--vocab 8] [--seeds 1]

The text is an order-k Markov chain with random transition rows. Its entropy per token has a closed
form: the stationary distribution over contexts times the entropy of each context's row. No model
can do better, and a model that learns every row reaches it. A real ladder is trained (sizes by
budgets, one epoch of fresh text), each run is scored on the same held-out text at positions that
see k tokens, and the data law of every size is fitted to the losses as to any other runs. The joint
law is not asked: any size learns the chain, so the losses hold no term in the size. Prints one
JSON document; runs that DIR holds are not trained again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthlaw.common.digest import digest_of
from synthlaw.common.progress import say
from synthlaw.laws.api import fit_laws
from synthlaw.laws.table import RunsTable
from synthlaw.training.checkpoint import load_model
from synthlaw.training.config import TrainingConfig
from synthlaw.training.loop import train
from synthlaw.training.presets import ModelShape

CONTEXT = 64
BATCH_TOKENS = 1024
SIZES = (1, 2, 3)
"""The integer n of the tiny family: n layers, n heads of 32, width 32 n."""
BUDGETS = (250e3, 500e3, 1e6, 2e6)
HELD_OUT_ROWS = 8192


@dataclass(frozen=True)
class MarkovSource:
    """An order-k Markov chain: one row of next-token probabilities for every k tokens.

    Rows are drawn from a Dirichlet distribution (concentration 0.3: a few likely tokens each).
    """

    vocab: int
    order: int
    seed: int = 0

    @cached_property
    def rows(self) -> np.ndarray:
        """Probabilities [vocab^order, vocab]; a context's number has its newest token last."""
        random = np.random.default_rng([self.seed, 0])
        return random.dirichlet(np.full(self.vocab, 0.3), size=self.vocab**self.order)

    @cached_property
    def stationary(self) -> np.ndarray:
        """Long-run probability of every context, by powers of the chain."""
        contexts = self.vocab**self.order
        chance = np.full(contexts, 1 / contexts)
        for _ in range(10_000):
            joint = (chance[:, None] * self.rows).reshape(self.vocab, -1, self.vocab)
            after = joint.sum(0).ravel()
            if np.abs(after - chance).sum() < 1e-14:
                break
            chance = after
        return chance

    @property
    def entropy(self) -> float:
        """Nats per token given the k tokens before it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            surprise = np.where(self.rows > 0, -self.rows * np.log(self.rows), 0.0).sum(1)
        return float(self.stationary @ surprise)

    def draw(self, random: np.random.Generator, rows: int, length: int) -> np.ndarray:
        """Independent pieces of the chain, int64 [rows, length]."""
        contexts = self.vocab**self.order
        state = random.choice(contexts, size=rows, p=self.stationary)
        digits = self.vocab ** np.arange(self.order - 1, -1, -1)
        out = np.empty((rows, length), dtype=np.int64)
        out[:, : self.order] = state[:, None] // digits % self.vocab
        reach = np.cumsum(self.rows, axis=1)
        for place in range(self.order, length):
            chosen = (reach[state] < random.random((rows, 1))).sum(1).clip(max=self.vocab - 1)
            out[:, place] = chosen
            state = (state * self.vocab + chosen) % contexts
        return out

    def surprise(self, tokens: np.ndarray) -> np.ndarray:
        """The chain's own -log p of every token after the first k, [rows, length - k]."""
        state = np.zeros(len(tokens), dtype=np.int64)
        out = []
        for place in range(tokens.shape[1]):
            if place >= self.order:
                out.append(-np.log(self.rows[state, tokens[:, place]]))
            state = (state * self.vocab + tokens[:, place]) % self.vocab**self.order
        return np.stack(out, 1)


@dataclass(frozen=True)
class MarkovSampler:
    """Fresh text of the chain: a pure function of (seed, step)."""

    source: MarkovSource
    context: int
    seed: int

    def batch(self, step: int, rows: int) -> np.ndarray:
        """See `training.batches.BatchSampler`."""
        random = np.random.default_rng([self.source.seed, 1 + self.seed, step])
        return self.source.draw(random, rows, self.context + 1)

    def identity(self) -> str:
        """Digest of all that determines the text."""
        source = self.source
        return digest_of([source.vocab, source.order, source.seed, self.context, self.seed])


def config_of(source: MarkovSource, n: int, budget: float, seed: int) -> TrainingConfig:
    """One run of the ladder; wider models take a lower rate."""
    return TrainingConfig(
        shape=ModelShape(dim=32 * n, layers=n, heads=n, vocab=source.vocab),
        context=CONTEXT,
        batch_tokens=BATCH_TOKENS,
        budget=round(budget),
        seed=seed,
        learning_rate=1e-2 / n,
        threads=1,
        device="cpu",
        keep_optimizer=False,
    )


def held_out_loss(folder: Path, source: MarkovSource, tokens: np.ndarray) -> float:
    """Mean nats per token of a trained model, at positions that see k tokens."""
    model = load_model(folder)
    rows = torch.from_numpy(tokens)
    wanted = torch.ones(rows[:, 1:].shape, dtype=torch.bool)
    wanted[:, : source.order - 1] = False
    losses = [
        model.token_losses(part[:, :-1], part[:, 1:], mask)
        for part, mask in zip(rows.split(256), wanted.split(256), strict=True)
    ]
    return float(torch.cat(losses).double().mean())


def ladder(
    source: MarkovSource,
    out: Path,
    *,
    sizes: tuple[int, ...] = SIZES,
    budgets: tuple[float, ...] = BUDGETS,
    seeds: int = 1,
) -> dict[str, Any]:
    """Train, score and fit. Returns what is printed."""
    random = np.random.default_rng([source.seed, 0, 0])
    tokens = source.draw(random, HELD_OUT_ROWS, CONTEXT + 1)
    own = source.surprise(tokens)
    rows = []
    for n in sizes:
        for budget in budgets:
            for seed in range(seeds):
                config = config_of(source, n, budget, seed)
                place = out / f"n{n}-{budget:g}-s{seed}"
                result = train(config, MarkovSampler(source, CONTEXT, seed), place)
                loss = held_out_loss(place / "model", source, tokens)
                rows.append({"mixture": "chain", "params": result.params, "seed": seed})
                rows[-1] |= {"tokens": result.tokens, "loss": loss}
                say(f"n {n}, {result.tokens:,} tokens, seed {seed}: loss {loss:.4f}")
    table = RunsTable(rows, "known entropy")
    laws = fit_laws(table, "data", bootstrap=500).laws
    floors = [
        {
            "params": n_params,
            "floor": law.to_json()["coefficients"]["E"],
            "interval": law.to_json()["intervals"]["E"],
            "relative_error": law.to_json()["coefficients"]["E"] / source.entropy - 1,
        }
        for n_params, law in zip(sorted({row["params"] for row in rows}), laws, strict=True)
    ]
    return {
        "entropy": source.entropy,
        "held_out": {
            "tokens": own.size,
            "chain_loss": float(own.mean()),
            "standard_error": float(own.std() / np.sqrt(own.size)),
        },
        "floors": floors,
        "runs": rows,
    }


def main() -> None:
    """Run the ladder that the command line describes and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--order", type=int, default=2)
    parser.add_argument("--vocab", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    source = MarkovSource(arguments.vocab, arguments.order)
    print(json.dumps(ladder(source, arguments.out, seeds=arguments.seeds), indent=2))


if __name__ == "__main__":
    main()
