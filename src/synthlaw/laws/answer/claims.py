"""The paper's statements about mixtures (arXiv 2510.01631), judged by anyone's laws.

Every statement is a quantity and a bound, and its verdict is that of the quantity's interval:
"agree" when all of it lies on the stated side, "disagree" when none of it does, else "cannot tell".
A statement about several mixtures holds when it holds for each. Statements are judged at one size
and budget, with intervals widened beyond the runs as in `advice.recommend`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.comparison import floor_difference, losses, paired, spread
from synthlaw.laws.answer.options import (
    Option,
    Situation,
    mixture_options,
    tokens_for_base_loss,
)
from synthlaw.laws.answer.predictors import baseline_of, predictors
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.shares import best_ratio

Array = NDArray[np.float64]

NOTABLE = 0.005
"""A relative difference of losses that the paper's figures would still show."""

NOTHING = 1e-9
"""A spread of replicates that is rounding: they say nothing of this quantity."""

REPHRASED = ("HQ", "QA")
TEXTBOOKS = ("TXBK", "TEXTBOOK")
ROLES = {"third": (0.25, 0.42), "two thirds": (0.58, 0.75), "alone": (0.99, 1.0)}
"""Shares that count as the paper's 33, 67 and 100 percent."""

GOOD_SHARE = (0.2, 0.4)
"""Best shares that count as the paper's "about 30 percent"."""


@dataclass(frozen=True)
class Finding:
    """One quantity behind a statement: of what, its value, its interval, its unit."""

    of: str
    value: float
    interval: tuple[float | None, float | None] | None
    unit: str
    verdict: str


@dataclass(frozen=True)
class Judgement:
    """A statement, where the paper makes it, what these laws say of it."""

    statement: str
    section: str
    verdict: str
    findings: Sequence[Finding]
    missing: str = ""


@dataclass
class _Ground:
    """What statements are judged on: the mixtures at the question, beside the natural one."""

    laws: Sequence[LawFit]
    situation: Situation
    options: Sequence[Option]

    def of(self, kinds: Sequence[str], role: str) -> list[Option]:
        """Mixtures of these types whose share has this role."""
        low, high = ROLES[role]
        return [
            option
            for option in self.options
            if option.predictor.synthetic_type.upper() in kinds
            and option.predictor.share is not None
            and low <= option.predictor.share <= high
        ]

    def twins(
        self, kinds: Sequence[str], first: str, second: str
    ) -> Iterator[tuple[Option, Option]]:
        """Mixtures of one type in both roles."""
        for one in self.of(kinds, first):
            for other in self.of(kinds, second):
                if one.predictor.synthetic_type == other.predictor.synthetic_type:
                    yield one, other

    @property
    def natural(self) -> LawFit:
        """The natural mixture's law."""
        base = self.options[0].baseline
        assert base is not None
        return base.predictor.law


def _finding(of: str, law: LawFit, values: Array, bound: float, unit: str = "nats") -> Finding:
    """The verdict on values [1 + replicates] > bound."""
    pair = spread(law, values)
    if len(values) > 1 and np.ptp(values[1:]) < NOTHING:  # the replicates do not vary it
        pair = None
    verdict = "cannot tell"
    if pair is not None:
        low = -np.inf if pair[0] is None else pair[0]
        high = np.inf if pair[1] is None else pair[1]
        verdict = "agree" if low > bound else "disagree" if high < bound else verdict
    return Finding(
        of, float(values[0]), None if pair is None else (pair[0], pair[1]), unit, verdict
    )


def _reversed(finding: Finding) -> Finding:
    """The same quantity for a statement that it lies below its bound."""
    other = {"agree": "disagree", "disagree": "agree"}.get(finding.verdict, finding.verdict)
    return Finding(finding.of, finding.value, finding.interval, finding.unit, other)


def _gap(option: Option) -> Array:
    assert option.baseline is not None
    return option.losses - option.baseline.losses


def _between(one: Option, other: Option) -> Array:
    rows = min(len(one.losses), len(other.losses))
    return one.losses[:rows] - other.losses[:rows]


def _against_natural(
    kinds: Sequence[str], role: str, bound: float, below: bool = False
) -> Callable[[_Ground], list[Finding]]:
    """Loss minus that of natural text, above `bound` times the loss (or below it)."""

    def found(ground: _Ground) -> list[Finding]:
        rows = []
        for option in ground.of(kinds, role):
            limit = bound * float(option.losses[0])
            name = f"{option.predictor.name} − {option.baseline.predictor.name}"  # type: ignore[union-attr]
            finding = _finding(name, option.predictor.law, _gap(option), limit)
            rows.append(_reversed(finding) if below else finding)
        return rows

    return found


def _lower(kinds: Sequence[str], first: str, second: str) -> Callable[[_Ground], list[Finding]]:
    """The first role's loss is below the second's."""

    def found(ground: _Ground) -> list[Finding]:
        return [
            _reversed(
                _finding(
                    f"{one.predictor.name} − {other.predictor.name}",
                    one.predictor.law,
                    _between(one, other),
                    0.0,
                )
            )
            for one, other in ground.twins(kinds, first, second)
        ]

    return found


def _faster(ground: _Ground) -> list[Finding]:
    rows = []
    for option in ground.of(REPHRASED, "third"):
        with np.errstate(divide="ignore"):
            speedups = ground.situation.tokens / tokens_for_base_loss(option, ground.situation)
        if np.isfinite(speedups[0]):
            rows.append(_finding(option.predictor.name, option.predictor.law, speedups, 5.0, "×"))
    return rows


def _alike(ground: _Ground) -> list[Finding]:
    """A third and two thirds differ by less than what is notable, on either side."""
    rows = []
    for one, other in ground.twins(REPHRASED, "third", "two thirds"):
        limit, gap = NOTABLE * float(one.losses[0]), _between(one, other)
        name = f"{one.predictor.name} − {other.predictor.name}"
        above = _finding(name, one.predictor.law, gap, -limit)
        below = _reversed(_finding(name, one.predictor.law, gap, limit))
        rows.append(above if above.verdict == "disagree" or below.verdict == "agree" else below)
    return rows


def _floors(ground: _Ground) -> list[tuple[LawFit, Finding]]:
    """Every mixture's floor against the natural one's, by joint laws."""
    natural = ground.natural
    found = []
    for option in ground.options:
        law = option.predictor.law
        if all("E" in one.coefficients and one.reads("params") and one.reads("tokens")
               for one in (law, natural)):  # fmt: skip
            gap = floor_difference(law, natural)
            pair = gap["interval"]
            ends = None if pair is None else (pair[0], pair[1])
            verdict = "cannot tell"
            if ends is not None and ends[0] is not None and ends[1] is not None:
                verdict = "agree" if ends[1] < 0 else "disagree" if ends[0] > 0 else verdict
            name = f"E of {law.mixture} − {natural.mixture}"
            found.append((law, Finding(name, gap["difference"], ends, "nats", verdict)))
    return found


def _lower_floors(ground: _Ground) -> list[Finding]:
    pure_qa = {option.predictor.name for option in ground.of(("QA",), "alone")}
    return [finding for law, finding in _floors(ground) if law.mixture not in pure_qa]


def _lowest_floor(ground: _Ground) -> list[Finding]:
    """The floor of a third of HQ lies below every other one."""
    own = [option.predictor.law for option in ground.of(("HQ",), "third")]
    floors = [law for law, _ in _floors(ground)]
    if len(own) != 1 or own[0] not in floors:
        return []
    others = [law for law in [*floors, ground.natural] if law is not own[0]]
    mine, *rest = paired(own[0], *others)
    place = [list(law.coefficients).index("E") for law in (own[0], *others)]
    least = np.min([v[:, k] for v, k in zip(rest, place[1:], strict=True)], axis=0)
    gap = mine[:, place[0]] - least
    name = f"E of {own[0].mixture} − the least other"
    return [_reversed(_finding(name, own[0], gap, 0.0))]


def _with_size(ground: _Ground) -> list[Finding]:
    """How two thirds minus a third of rephrased text moves from the smallest to the largest run."""
    rows = []
    for one, other in ground.twins(REPHRASED, "two thirds", "third"):
        laws = one.predictor.law, other.predictor.law
        if not all(law.reads("params") for law in laws) or "params" not in laws[0].ranges:
            continue
        vectors = paired(*laws)

        def gap(params: float, laws: tuple[LawFit, ...] = laws, v: list[Array] = vectors) -> Array:
            sizes = {"params": params, "tokens": ground.situation.tokens, "ratio": 0.0}
            return losses(laws[0], v[0], **sizes) - losses(laws[1], v[1], **sizes)

        low, high = laws[0].ranges["params"]
        name = f"{one.predictor.name} − {other.predictor.name}, largest size minus smallest"
        rows.append(_finding(name, laws[0], gap(high) - gap(low), 0.0))
    return rows


def _best_share(ground: _Ground) -> list[Finding]:
    """The best share of rephrased text, by laws of the share."""
    rows = []
    for law in ground.laws:
        if law.law != "ratio" or (law.synthetic_type or law.mixture).upper() not in REPHRASED:
            continue
        found = best_ratio(law, params=ground.situation.params, tokens=ground.situation.tokens)
        verdict, pair = "cannot tell", found["interval"]
        if pair is not None:
            inside = GOOD_SHARE[0] <= pair[0] and pair[1] <= GOOD_SHARE[1]
            outside = pair[1] < GOOD_SHARE[0] or pair[0] > GOOD_SHARE[1]
            verdict = "agree" if inside else "disagree" if outside else verdict
        ends = None if pair is None else (pair[0], pair[1])
        name = f"best share of {law.synthetic_type or law.mixture}"
        rows.append(Finding(name, found["ratio"], ends, "share", verdict))
    return rows


STATEMENTS: Sequence[tuple[str, str, Callable[[_Ground], list[Finding]], str]] = (
    (
        "Rephrased text alone is no better than natural text",
        "4.1.3",
        _against_natural(REPHRASED, "alone", -NOTABLE),
        "rephrased text (HQ, QA) alone and natural text",
    ),
    (
        "Textbooks alone are notably worse than natural text",
        "4.1.3",
        _against_natural(TEXTBOOKS, "alone", NOTABLE),
        "textbooks alone and natural text",
    ),
    (
        "A third of rephrased text reaches natural text's loss with a fifth of the tokens or fewer",
        "1",
        _faster,
        "a third of rephrased text, by laws of the budget",
    ),
    (
        "A third of a synthetic type mixed in is better than that type alone",
        "4.1.3",
        _lower((*REPHRASED, *TEXTBOOKS), "third", "alone"),
        "one type both as a third and alone",
    ),
    (
        "Of rephrased text a third and two thirds are about as good",
        "4.1.3",
        _alike,
        "rephrased text as a third and as two thirds",
    ),
    (
        "Of textbooks a third is better than two thirds",
        "4.1.3",
        _lower(TEXTBOOKS, "third", "two thirds"),
        "textbooks as a third and as two thirds",
    ),
    (
        "A third of textbooks is better than natural text",
        "4.1.3",
        _against_natural(TEXTBOOKS, "third", 0.0, below=True),
        "a third of textbooks and natural text",
    ),
    (
        "For larger models two thirds of rephrased text fall behind a third",
        "4.1.4",
        _with_size,
        "laws of the model size for a third and two thirds of rephrased text",
    ),
    (
        "Every mixture but QA alone has a lower irreducible loss than natural text",
        "4.1.5",
        _lower_floors,
        "joint laws",
    ),
    (
        "A third of HQ has the lowest irreducible loss",
        "4.1.5",
        _lowest_floor,
        "joint laws, one of them of a third of HQ",
    ),
    (
        "The best share of rephrased text is about 30 percent",
        "5.1",
        _best_share,
        "laws of the share of HQ or QA",
    ),
)
"""Statement, section of the paper, what it rests on, what a study needs to be asked."""


def judged(laws: Sequence[LawFit], situation: Situation) -> list[Judgement]:
    """The paper's statements at a question, each with its findings; all of them "cannot tell"
    where these laws compare nothing with natural text."""
    plain = predictors(laws, situation.params, situation.tokens)
    try:
        options = mixture_options(plain, baseline_of(plain, situation.baseline), situation)
    except UsageError:
        options = []
    ground = _Ground(laws, situation, options)
    rows = []
    for statement, section, found, needed in STATEMENTS:
        try:
            findings = found(ground) if options or found is _best_share else []
        except UsageError:  # a form that is no power law of its sizes
            findings = []
        verdicts = {finding.verdict for finding in findings}
        verdict = "cannot tell"
        if "disagree" in verdicts:
            verdict = "disagree"
        elif verdicts == {"agree"}:
            verdict = "agree"
        missing = "" if findings else f"it needs {needed}"
        rows.append(Judgement(statement, section, verdict, findings, missing))
    return rows
