"""What a study folder holds, as types. Every field that the page can do without is optional.

Losses are nats per token, an interval is (low, high) with None for an open end, `params` are
non-embedding parameters. Unknown keys are ignored, so that a newer study can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from synthlaw.laws.answer.portable import Case
from synthlaw.report.comparison import Comparison

Share = Annotated[float, Field(ge=0.0, le=1.0 + 1e-6)]
Count = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Interval = tuple[float | None, float | None]


class Artifact(BaseModel):
    """Common to all: unknown keys are ignored, numbers are finite, values do not change."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Warned(Artifact):
    """A caution with a code that the page explains and a message for the case at hand."""

    code: str
    message: str = ""


class Unit(Artifact):
    """What counts are divided by before they enter a law."""

    params: Positive = 1e9
    tokens: Positive = 1e9


class Holdout(Artifact):
    """Runs kept out of a fit; rmabe is the mean of |predicted - observed| / observed."""

    points: int = 0
    rmabe: float | None = None
    rows: Sequence[Mapping[str, Any]] = ()


class Law(Artifact):
    """One fitted law, in the fields that the page shows; `curves.fit_of` makes it calculable.

    at: the variables that the law does not see, in `unit`, where its runs hold them fixed.
    ranges: smallest and largest value of each size among its runs. drift: its error beyond them.
    level: nominal coverage of the intervals. replicates: bootstrap refits, one row each, in the
    order of `coefficients`.
    """

    mixture: str
    law: str
    form: str | None = None
    at: Mapping[str, Positive] = Field(default_factory=dict)
    coefficients: Mapping[str, float | None]
    ranges: Mapping[str, tuple[float, float]] = Field(default_factory=dict)
    drift: Mapping[str, float] = Field(default_factory=dict)
    unit: Unit = Unit()
    points: int = 0
    degrees_of_freedom: int = 0
    objective: str = ""
    value: float | None = None
    noise: float | None = None
    intervals: Mapping[str, Interval | None] = Field(default_factory=dict)
    level: Share | None = None
    interval_method: str = "none"
    replicates: Sequence[Sequence[float]] | None = None
    holdout: Holdout | None = None
    warnings: Sequence[Warned] = ()

    def fixed_at(self, variable: str) -> float | None:
        """The plain count at which the law's runs hold `variable`; None when they do not."""
        value = self.at.get(variable)
        if value is None:
            return None
        return value * (self.unit.params if variable == "params" else self.unit.tokens)


class Skipped(Artifact):
    """A law that the runs cannot carry; without a mixture: that of every mixture."""

    law: str
    mixture: str | None = None
    reason: str = ""


class Laws(Artifact):
    """laws.json."""

    laws: Sequence[Law] = ()
    skipped: Sequence[Skipped] = ()


class Question(Artifact):
    """The point at which advice was asked."""

    params: Positive
    tokens: Positive


class Candidate(Artifact):
    """One mixture at the question's point; differences are to the baseline, negative is better.

    speedup: the question's tokens over those with which this mixture reaches the loss that the
    baseline has there; 0 when it never does.
    """

    mixture: str
    synthetic_type: str | None = None
    synthetic_ratio: Share | None = None
    loss: float | None = None
    loss_interval: Interval | None = Field(None, validation_alias="interval")
    difference: float | None = None
    difference_interval: Interval | None = None
    probability_best: Share | None = None
    speedup: float | None = None
    speedup_interval: Interval | None = None


class RatioPoint(Artifact):
    """Loss at one synthetic share."""

    ratio: Share
    loss: float
    interval: Interval | None = None


class RatioCurve(Artifact):
    """Loss against the synthetic share, for one synthetic type."""

    synthetic_type: str
    points: Sequence[RatioPoint] = ()


class BestShare(Artifact):
    """The best share of a synthetic type at the question, by its ratio law."""

    synthetic_type: str
    best_ratio: float
    interval: Interval | None = None
    as_good: Interval | None = None
    at_edge: bool = False
    difference: float | None = None
    difference_interval: Interval | None = None
    probability_best: float | None = None
    at: Mapping[str, float] = Field(default_factory=dict)


class Advice(Artifact):
    """advice.json: the answer, as `laws.answer` gives it, and what the study cannot show."""

    headline: str = Field(validation_alias="advice")
    params: Positive | None = None
    tokens: Positive | None = None
    natural_tokens: Positive | None = None
    level: str = ""
    law: str | None = None
    natural: Candidate | None = Field(None, validation_alias="baseline")
    options: Sequence[Candidate] = ()
    ratios: Sequence[RatioCurve] = ()
    shares: Sequence[BestShare] = ()
    warnings: Sequence[Warned] = ()
    limits: Sequence[str] = ()

    @property
    def question(self) -> Question | None:
        """Where the answer was asked for."""
        if self.params is None or self.tokens is None:
            return None
        return Question(params=self.params, tokens=self.tokens)

    @property
    def baseline(self) -> str | None:
        """The name of the mixture that the others are compared with."""
        return None if self.natural is None else self.natural.mixture

    @property
    def mixtures(self) -> Sequence[Candidate]:
        """Every mixture, the baseline among them, from the lowest loss up."""
        rows = [*self.options, *([self.natural] if self.natural else [])]
        return sorted(rows, key=lambda row: (row.loss is None, row.loss or 0.0, row.mixture))


class Recipe(Artifact):
    """What one recipe generated; dropped and finish_reasons count documents by reason."""

    recipe: str
    of: str | None = None
    version: str | int | None = None
    generator: str | None = None
    versions: int = 1
    target: float | None = None
    documents: Count = 0
    tokens: Count = 0
    completion_tokens: Count | None = None
    tokens_per_second: Count | None = None
    seconds: Count | None = None
    dropped: Mapping[str, Count] = Field(default_factory=dict)
    failed: Count = 0
    finish_reasons: Mapping[str, Count] = Field(default_factory=dict)


class Generator(Artifact):
    """Who wrote: its name in the study, its label, its engine, how its text was drawn."""

    generator: str
    label: str = ""
    engine: Mapping[str, Any] = Field(default_factory=dict)
    sampling: Mapping[str, Any] = Field(default_factory=dict)
    tokens_per_second: Count | None = None


class Generation(Artifact):
    """generation.json."""

    generators: Sequence[Generator] = ()
    recipes: Sequence[Recipe] = ()


class Output(Artifact):
    """One text that the generator wrote from a source."""

    recipe: str
    step: str | int | None = None
    text: str = ""
    kept: bool = True
    reason: str | None = None


class Sample(Artifact):
    """A source and what was written from it."""

    source_id: str | int
    source: str
    outputs: Sequence[Output] = ()


class MixedSource(Artifact):
    """A source's part in a mixture; shares are of tokens."""

    source: str
    share_asked: Share
    share_realised: Share | None = None
    tokens: Count | None = None
    epochs: Count | None = None


class Mixture(Artifact):
    """One mixture at one budget, as it was read. round: models that its text passed through."""

    mixture: str
    round: int = 0
    tokens: Count | None = None
    sources: Sequence[MixedSource] = ()


class Domain(Artifact):
    """One evaluation domain; untrained_loss is the loss of a model before its first step."""

    domain: str
    documents: Count | None = None
    tokens: Count | None = None
    kind: str | None = None
    untrained_loss: float | None = None


class DomainInterval(Artifact):
    """The interval of one run's loss on one domain, over documents."""

    run: str
    domain: str
    loss: float | None = None
    low: float | None = None
    high: float | None = None


class Evaluation(Artifact):
    """evaluation.json. level: nominal coverage of the intervals over documents."""

    level: Share | None = None
    domains: Sequence[Domain] = ()
    intervals: Sequence[DomainInterval] = ()


class Timing(Artifact):
    """Seconds of work of one stage, those of parallel workers added up."""

    stage: str
    seconds: Count


@dataclass(frozen=True)
class Run:
    """One row of runs.csv; `loss` is None for a run that diverged."""

    run: str
    mixture: str
    params: float
    tokens: float
    loss: float | None
    status: str = "done"
    seed: str = ""
    synthetic_type: str = ""
    synthetic_ratio: float | None = None
    generator: str = ""
    params_total: float | None = None
    flops: float | None = None
    domains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A study folder, read. A file that was not there is None (or empty) and named in `missing`.

    of_table: there is no folder: the runs are a table of anyone's, and only what a table and its
    laws can tell is shown. of_paper: the laws are the paper's own. cases: the same laws, and laws
    of the share, as the explorer asks them. kept: what several parts of the report need, so that
    it is worked out once.
    """

    name: str
    study_file: str | None = None
    runs: Sequence[Run] = ()
    laws: Sequence[Law] = ()
    cases: Sequence[Case] = ()
    skipped_laws: Sequence[Skipped] = ()
    advice: Advice | None = None
    generation: Generation | None = None
    samples: Sequence[Sample] = ()
    mixtures: Sequence[Mixture] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    timings: Sequence[Timing] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    comparison: Comparison | None = None
    missing: frozenset[str] = frozenset()
    of_table: bool = False
    of_paper: bool = False
    kept: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def finished_runs(self) -> Iterator[Run]:
        """Runs with a usable loss."""
        return (run for run in self.runs if run.status == "done" and run.loss is not None)

    def sizes(self) -> list[float]:
        """Model sizes that have finished runs, ascending."""
        return sorted({run.params for run in self.finished_runs()})

    def budgets(self) -> list[float]:
        """Token budgets that have finished runs, ascending."""
        return sorted({run.tokens for run in self.finished_runs()})

    def largest_mixtures(self) -> list[Mixture]:
        """Each mixture at the largest budget that it was read at, in order of appearance."""
        largest: dict[str, Mixture] = {}
        for mixture in self.mixtures:
            known = largest.get(mixture.mixture)
            if known is None or (mixture.tokens or 0.0) > (known.tokens or 0.0):
                largest[mixture.mixture] = mixture
        return list(largest.values())

    def level(self) -> float | None:
        """The nominal coverage of the laws' intervals, when they all have the same."""
        levels = {law.level for law in self.laws if law.intervals}
        return levels.pop() if len(levels) == 1 else None

    def laws_of(self, kind: str) -> list[Law]:
        """Laws of one kind ("data", "model", "joint", "ratio"), in file order."""
        return [law for law in self.laws if law.law == kind]
