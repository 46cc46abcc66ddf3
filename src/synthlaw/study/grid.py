"""The grid of a study: which runs there are, each with its configuration, by arithmetic alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.common.seeds import derive_seed
from synthlaw.study.mixing import mean_shares, windows_needed
from synthlaw.study.repetition import unique_tokens
from synthlaw.study.spec import NATURAL, Study
from synthlaw.tokens.tokenizer import Tokenizer, known_vocab
from synthlaw.training.config import TrainingConfig
from synthlaw.training.presets import LLAMA3_VOCAB


@dataclass(frozen=True)
class Run:
    """One training run: a mixture at a size, a budget and a seed. grids: those that it is in."""

    name: str
    mixture: str
    size: str
    seed: int
    config: TrainingConfig
    data_seed: int
    grids: tuple[str, ...] = ()

    @property
    def windows(self) -> int:
        """Windows that the run reads."""
        return self.config.steps * self.config.rows

    @property
    def trunk(self) -> str:
        """The trunk that runs of other budgets share with this one, by name."""
        return f"{self.mixture}-{self.size}-s{self.seed}"


def runs_of(study: Study, vocab: int, bos: int = 0) -> list[Run]:
    """Every run of the grids, the cheapest first; one that several grids share once.

    vocab, bos: entries of the tokenizer, and the token that begins a document.

    The data order depends on the run's seed alone: runs of one seed that share a source read it
    in the same order, so that mixtures and budgets are compared on the same text.
    """
    labels = _labels(study.budgets)
    shapes = {name: size.shape(vocab) for name, size in study.sizes.items()}
    warmup = _shared_warmup(study)
    runs = []
    for (mixture, size, budget, seed), grids in _cells(study).items():
        base = {"shape": shapes[size], "warmup_steps": warmup}
        runs.append(
            Run(
                name=f"{mixture}-{size}-{labels[budget]}-s{seed}",
                mixture=mixture,
                size=size,
                seed=seed,
                config=_config(study, budget, seed, bos, base),
                data_seed=derive_seed(study.seed, "data", seed),
                grids=tuple(grids),
            )
        )
    return sorted(runs, key=lambda run: (run.config.flops, run.name))


def _labels(budgets: Sequence[float]) -> dict[float, str]:
    """Budgets as names say them: three digits, or as many as tell them apart."""
    for digits in range(3, 17):
        labels = {budget: format_count(budget, digits) for budget in budgets}
        if len(set(labels.values())) == len(labels):
            break
    return labels


def _cells(study: Study) -> dict[tuple[str, str, float, int], list[str]]:
    """(mixture, size, budget, seed) of every run, each with the grids that it is in."""
    cells: dict[tuple[str, str, float, int], list[str]] = {}
    for grid in study.all_grids():
        for cell in product(grid.mixtures, grid.sizes, grid.budgets, grid.seeds):
            cells.setdefault(cell, []).append(grid.name)
    return cells


def _config(
    study: Study, budget: float, seed: int, bos: int, base: dict[str, Any]
) -> TrainingConfig:
    """A run's configuration; base: what it shares with others, its shape first of all."""
    part = study.training
    settled: dict[str, Any] = {
        "budget": round(budget),
        # Runs of one seed and size start from the same weights, whatever the mixture.
        "seed": derive_seed(study.seed, "init", seed),
        "document_start": bos if part.document_masking else None,
        # Counts, all that is asked of a study before this is settled, do not depend on it.
        "dtype": "fp32" if part.dtype == "auto" else part.dtype,
        "threads": study.execution.threads,
    }
    return TrainingConfig(**part.model_dump() | settled | base)


def _shared_warmup(study: Study) -> int | None:
    """Steps of warm-up of the trunk that budgets share, a part of the smallest; None without."""
    part = study.training
    if part.schedule == "cosine":
        return None
    return int(part.warmup * min(study.steps(budget) for budget in study.budgets))


def steps_to_take(runs: list[Run]) -> dict[str, int]:
    """Optimizer steps that each run takes of its own, by name.

    A step that budgets share is counted once, with the smallest budget that takes it.
    """
    taken: dict[str, int] = {}
    shared: dict[str, int] = {}
    for run in sorted(runs, key=lambda run: run.config.steps):
        before = shared.get(run.trunk, 0)
        taken[run.name] = run.config.steps - before
        shared[run.trunk] = run.config.trunk_steps
    return taken


def tokens_needed(study: Study, runs: list[Run]) -> dict[str, int]:
    """Unique tokens that each source must hold for the grid without exceeding `max_epochs`."""
    windows: dict[str, int] = {}
    context, epochs = study.training.context, study.ladder.max_epochs
    for mixture, length in dict.fromkeys((run.mixture, run.windows) for run in runs):
        unique = unique_tokens(study, mixture, length)
        for source, count in windows_needed(study, mixture, length).items():
            need = int(unique[source] // context) if source in unique else int(-(-count // epochs))
            windows[source] = max(windows.get(source, 0), need)
    # One token more than whole windows: the last window's last target.
    return {s: n * context + 1 for s, n in windows.items()}


def unread_shares(study: Study, runs: list[Run]) -> list[str]:
    """Sentences on sources whose share of a run comes to no window, so that it reads none of them.

    A run reads whole windows: a small share of few windows can be none.
    """
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        for source, count in windows_needed(study, run.mixture, run.windows).items():
            if count == 0 and mean_shares(study, run.mixture).get(source, 0) > 0:
                found.setdefault((run.mixture, source), []).append(run)
    sentences = []
    for (mixture, source), dry in found.items():
        share = mean_shares(study, mixture)[source]
        budgets = ", ".join(dict.fromkeys(format_count(run.config.budget) for run in dry))
        least = math.ceil(1 / share) * study.training.context
        sentences.append(
            f"mixtures.{mixture}: a share of {share:.3g} of {source} is less than one window of "
            f"{study.training.context} tokens in runs of {budgets} tokens, so these read none of "
            f"it; expected budgets of {format_count(least)} tokens or more, or a smaller context"
        )
    return sentences


def planned_vocab(study: Study, base: Path) -> tuple[int, bool]:
    """The entries of the study's tokenizer, and whether they are known.

    base: where relative paths start. A file that is not here, and an encoding that would have to be
    fetched, are taken to have Llama 3's.
    """
    spec = study.tokenizer
    if spec.path is None and spec.name is None:
        return spec.vocab, True
    if spec.name is not None:
        known = known_vocab(spec.name)
        return (LLAMA3_VOCAB, False) if known is None else (known, True)
    assert spec.path is not None
    path = study.place(spec.path, base)
    return (Tokenizer(path).vocab, True) if path.is_file() else (LLAMA3_VOCAB, False)


def synthetic_part(shares: dict[str, float]) -> tuple[str, float]:
    """The synthetic type of a mixture ('' if none, names joined by + if several) and its share."""
    kinds = [name for name, share in shares.items() if name != NATURAL and share > 0]
    return "+".join(sorted(kinds)), sum(shares[name] for name in kinds)
