"""Advice in Python: what `synthlaw recommend` prints, as an object."""

from __future__ import annotations

import html
from dataclasses import dataclass
from os import PathLike
from typing import Any

from synthlaw.common.numbers import parse_count
from synthlaw.interface.laws import Count, Laws, read_laws
from synthlaw.laws.answer.advice import recommend as advise
from synthlaw.laws.answer.costs import Costs
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.answer.reference import citation, laws_at
from synthlaw.laws.forms.repetition import PUBLISHED_DECAY
from synthlaw.report.laws_text import advice_text


@dataclass(frozen=True)
class Advice:
    """The best mixture for a run, how sure that is, and what it saves.

    record: all of it, as `synthlaw recommend --json` prints it. Prints as the command does, and
    shows itself as a table in a notebook.
    """

    record: dict[str, Any]

    @property
    def text(self) -> str:
        """The advice in one sentence, with its uncertainty."""
        return str(self.record["advice"])

    @property
    def settled(self) -> bool:
        """Whether the laws settle the order of the mixtures."""
        return bool(self.record["level"] != "undecided")

    @property
    def best(self) -> dict[str, Any] | None:
        """The mixture with the lowest expected loss: share, loss, interval, speed-up, account."""
        found: dict[str, Any] | None = self.record["best"]
        return found

    @property
    def options(self) -> list[dict[str, Any]]:
        """Every mixture beside the natural baseline, lowest expected loss first."""
        found: list[dict[str, Any]] = self.record["options"]
        return found

    @property
    def warnings(self) -> list[str]:
        """What to know before believing the numbers."""
        return [warning["message"] for warning in self.record["warnings"]]

    def __str__(self) -> str:
        return advice_text(self.record)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(advice_text(self.record))}</pre>"


def recommend(
    laws: Laws | str | PathLike[str] | None = None,
    *,
    params: Count,
    tokens: Count,
    natural_tokens: Count | None = None,
    baseline: str | None = None,
    generator_cost: float | None = None,
    training_cost: float | None = None,
    gpu_flops: Count | None = None,
    generator_speed: Count | None = None,
    decay: float = PUBLISHED_DECAY,
) -> Advice:
    """Advice on a run of `params` parameters and `tokens` training tokens.

    laws: from `fit` or `read_laws`, a file of them, or None for the laws that the paper
    published. natural_tokens: unique natural tokens at hand; more are repeated, with the worth
    that `decay` (R_D*, in epochs) gives them. baseline: the natural mixture, where shares do not
    tell. generator_cost: money per million generated tokens. training_cost: money per training
    FLOP. gpu_flops: sustained FLOP/s of a training GPU. generator_speed: generated tokens per
    second of a GPU.

    Raises UsageError when the laws cannot answer or a number is absurd.
    """
    situation = Situation(
        parse_count(params, "params"),
        parse_count(tokens, "tokens"),
        _optional(natural_tokens, "natural_tokens"),
        Costs(
            generator_cost,
            training_cost,
            _optional(gpu_flops, "gpu_flops"),
            _optional(generator_speed, "generator_speed"),
        ),
        baseline,
        decay,
    )
    if laws is None:
        return Advice({"source": citation(), **advise(laws_at(situation.params), situation)})
    fitted = laws if isinstance(laws, Laws) else read_laws(laws)
    source = "the laws given" if isinstance(laws, Laws) else str(laws)
    return Advice({"source": source, **advise([law.fit for law in fitted], situation)})


def _optional(value: Count | None, name: str) -> float | None:
    return None if value is None else parse_count(value, name)
