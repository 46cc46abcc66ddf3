"""What each section of the page shows, worked out from the study; the templates only lay it out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synthlaw.report.artifacts import Candidate, Law, Mixture, Output, Recipe, Sample, Study, Warned
from synthlaw.report.curves import floor_determined, floors
from synthlaw.report.glossary import explain
from synthlaw.report.heat import baseline_of
from synthlaw.report.marks import Mark, Scale, scale_of
from synthlaw.report.numerals import count, counted, percent

COEFFICIENTS = ("E", "A", "alpha", "B", "beta")
MAKERS = {
    "study.yaml": "the study file as it was run",
    "runs.csv": "the losses of the runs, written by evaluation",
    "laws.json": "the fitted laws, written by the laws stage",
    "advice.json": "the answer, written by the laws stage",
    "generation.json": "what the generator wrote, from the generate stage",
    "samples.json": "samples of generated text, from the generate stage",
    "mixtures.json": "the realised mixtures, from the tokens stage",
    "plan.json": "the plan, written before the first stage",
    "evaluation.json": "the evaluation domains and their intervals, from evaluation",
    "timings.json": "the time of each stage, written at the end",
    "machine.json": "the machine and versions",
    "statistics/statistics.json": "the statistics of the token sets, from the statistics stage",
}
"""What each file of a study folder is, for the sentence that says it is missing."""


@dataclass(frozen=True)
class AnswerRow:
    """One mixture of the answer, with the mark of its difference to the baseline."""

    candidate: Candidate
    mark: Mark | None
    best: bool
    baseline: bool


@dataclass(frozen=True)
class AnswerTable:
    """Rows from the lowest loss up; `scale` is that of the difference's marks."""

    rows: Sequence[AnswerRow]
    scale: Scale | None


def answer_table(study: Study) -> AnswerTable | None:
    """The mixtures at the question's point; None when there is no advice."""
    if study.advice is None or not study.advice.mixtures:
        return None
    candidates = sorted(
        study.advice.mixtures,
        key=lambda row: (row.loss is None, row.loss or 0.0, row.mixture),
    )
    scale = scale_of(
        [row.difference for row in candidates],
        [row.difference_interval for row in candidates],
        zero=True,
    )
    rows = [
        AnswerRow(
            candidate=row,
            mark=scale.mark(row.difference, row.difference_interval) if scale else None,
            best=index == 0 and row.loss is not None,
            baseline=row.mixture == study.advice.baseline,
        )
        for index, row in enumerate(candidates)
    ]
    return AnswerTable(rows, scale)


@dataclass(frozen=True)
class Fact:
    """A figure at a glance: its name, the figure, and what it rests on."""

    name: str
    figure: str
    note: str


def glance(study: Study) -> list[Fact]:
    """What the answer rests on, in a handful of figures."""
    facts = []
    finished = list(study.finished_runs())
    if finished:
        mixtures = len({run.mixture for run in finished})
        lost = len(study.runs) - len(finished)
        note = counted(mixtures, "mixture") + (f"; {lost} did not finish" if lost else "")
        facts.append(Fact("runs", str(len(finished)), note))
        facts.append(Fact("model sizes", _span(study.sizes()), "non-embedding parameters"))
        facts.append(
            Fact("token budgets", _span(study.budgets()), counted(len(study.budgets()), "step"))
        )
    errors = [law.holdout.rmabe for law in study.laws if law.holdout and law.holdout.points]
    known = [error for error in errors if error is not None]
    if known:
        note = f"mean over {len(known)} laws; the worst {percent(max(known), 1)}"
        facts.append(Fact("held-out error", percent(sum(known) / len(known), 2), note))
    if study.generation and study.generation.recipes:
        recipes = study.generation.recipes
        documents = sum(recipe.documents for recipe in recipes)
        note = f"tokens in {count(documents)} documents"
        facts.append(Fact("generated", count(sum(r.tokens for r in recipes)), note))
    return facts


LONG_HEADLINE = 110
"""A headline of more characters than this is set in two parts."""


def headline_parts(headline: str) -> tuple[str, str]:
    """A long headline as its first clause and the rest, so that the first can be set large."""
    if len(headline) <= LONG_HEADLINE:
        return headline, ""
    cuts = [at for stop in (": ", "; ", ". ") if (at := headline.find(stop)) > 0]
    if not cuts:
        return headline, ""
    first, rest = headline[: min(cuts)], headline[min(cuts) + 2 :]
    return f"{first}.", rest[:1].upper() + rest[1:]


def names_its_question(study: Study) -> bool:
    """Whether the headline itself says at which size and budget it holds."""
    advice = study.advice
    if advice is None or advice.question is None:
        return True
    asked = (count(advice.question.params), count(advice.question.tokens))
    return all(number in advice.headline for number in asked)


def _span(values: Sequence[float]) -> str:
    low, high = count(values[0]), count(values[-1])
    return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class FloorTable:
    """Floors E with intervals on one scale; `kind` is the law they come from.

    A row without a mark is a floor that the runs do not determine: it has no rank.
    """

    kind: str
    at: str
    rows: Sequence[tuple[Law, Mark | None]]
    scale: Scale | None


def floor_table(study: Study) -> FloorTable | None:
    """The floors, lowest first, then those that the runs leave open; None without laws."""
    kind, laws = floors(study)
    if not laws:
        return None
    ordered = sorted(
        laws,
        key=lambda law: (not floor_determined(law), law.coefficients["E"] or 0.0, law.mixture),
    )
    ranked = [law for law in ordered if floor_determined(law)]
    shown = ranked or ordered
    scale = scale_of(
        [law.coefficients["E"] for law in shown], [law.intervals.get("E") for law in shown]
    )
    rows = [
        (law, scale.mark(law.coefficients["E"], law.intervals.get("E")) if scale else None)
        if law in ranked
        else (law, None)
        for law in ordered
    ]
    return FloorTable(kind, at_text(ordered[0]), rows, scale)


def at_text(law: Law) -> str:
    """What a law holds fixed: '1M parameters'."""
    names = {"params": "parameters", "tokens": "tokens"}
    return ", ".join(f"{count(law.fixed_at(key))} {names.get(key, key)}" for key in law.at)


def coefficient_names(laws: Iterable[Law]) -> list[str]:
    """Every coefficient that some law has: the usual ones first."""
    found = dict.fromkeys(name for law in laws for name in law.coefficients)
    known = [name for name in COEFFICIENTS if name in found]
    return known + [name for name in found if name not in COEFFICIENTS]


@dataclass(frozen=True)
class DropTable:
    """Documents of each recipe by what became of them; rows are (fate, counts, is it kept)."""

    recipes: Sequence[Recipe]
    attempts: Sequence[float]
    rows: Sequence[tuple[str, Sequence[float], bool]]


def drop_table(recipes: Sequence[Recipe]) -> DropTable:
    """Kept, dropped by reason (most frequent first) and failed."""
    totals: Counter[str] = Counter()
    for recipe in recipes:
        totals.update({reason: int(n) for reason, n in recipe.dropped.items()})
    reasons = sorted(totals, key=lambda reason: (-totals[reason], reason))
    rows = [("kept", [recipe.documents for recipe in recipes], True)]
    for reason in reasons:
        rows.append((reason, [recipe.dropped.get(reason, 0) for recipe in recipes], False))
    rows.append(("failed", [recipe.failed for recipe in recipes], False))
    attempts = [sum(counts) for counts in zip(*(row[1] for row in rows), strict=True)]
    return DropTable(recipes, attempts, rows)


def sample_columns(sample: Sample) -> list[tuple[str, list[Output]]]:
    """A sample's outputs by recipe, in the order in which they were written."""
    columns: dict[str, list[Output]] = {}
    for output in sample.outputs:
        columns.setdefault(output.recipe, []).append(output)
    return list(columns.items())


def sampled_recipes(study: Study) -> list[str]:
    """Every recipe that has a sample, in the order of first appearance."""
    every = (output.recipe for sample in study.samples for output in sample.outputs)
    return list(dict.fromkeys(every))


@dataclass(frozen=True)
class MixtureShare:
    """One source's slice of a mixture's bar: left edge and width in percent."""

    source: str
    left: float
    width: float
    colour: int


def share_bars(mixtures: Sequence[Mixture]) -> tuple[list[list[MixtureShare]], list[str]]:
    """For each mixture the slices of its realised shares; and the sources, by colour number."""
    sources = list(dict.fromkeys(s.source for mixture in mixtures for s in mixture.sources))
    bars = []
    for mixture in mixtures:
        left, slices = 0.0, []
        for source in mixture.sources:
            share = source.share_realised
            width = 100 * (source.share_asked if share is None else share)
            slices.append(
                MixtureShare(
                    source.source, round(left, 3), round(width, 3), sources.index(source.source)
                )
            )
            left += width
        bars.append(slices)
    return bars, sources


def natural_sources(study: Study) -> set[str]:
    """The sources of the baseline mixture: natural text, drawn without a hue."""
    baseline = baseline_of(study)
    return {s.source for mix in study.mixtures if mix.mixture == baseline for s in mix.sources}


@dataclass(frozen=True)
class WarningGroup:
    """All warnings of one code; `places` says for each message which laws gave it.

    answers: whether they touch the answer.
    """

    code: str
    explanation: str
    messages: Sequence[tuple[str, Sequence[str]]]
    answers: bool = False

    @property
    def count(self) -> int:
        """How many laws, the answer among them, are warned of."""
        return len({place for _, places in self.messages for place in places})


def warning_groups(study: Study) -> list[WarningGroup]:
    """The warnings by code: those that touch the answer first, then those of other laws.

    A law's warning touches the answer when the answer repeats it under the mixture's name.
    """
    of_answer = {(w.code, w.message) for w in _of_answer(study)}
    groups: dict[tuple[bool, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    told = set()
    kind = study.advice.law if study.advice else None
    for law in study.laws:
        place = f"{law.mixture}, {law.law} law"
        if law.at:
            place += f" at {at_text(law)}"
        for warning in law.warnings:
            repeated = (warning.code, f"'{law.mixture}': {warning.message}")
            touches = law.law == kind and repeated in of_answer
            told |= {repeated} if touches else set()
            groups[touches, warning.code][warning.message].append(place)
    for code, message in dict.fromkeys((w.code, w.message) for w in _of_answer(study)):
        if (code, message) not in told:
            groups[True, code][message].append("the answer")
    return [
        WarningGroup(code, explain(code), list(messages.items()), answers)
        for (answers, code), messages in sorted(groups.items(), key=lambda item: not item[0][0])
    ]


def _of_answer(study: Study) -> Sequence[Warned]:
    return study.advice.warnings if study.advice else ()
