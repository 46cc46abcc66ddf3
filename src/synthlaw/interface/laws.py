"""Fitted laws for use in Python: chosen by mixture, asked for losses, saved and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import format_count, parse_count
from synthlaw.interface.runs import runs_table
from synthlaw.laws.api import LawSet, fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.laws_file import read_laws as laws_in
from synthlaw.laws.laws_file import write_laws
from synthlaw.laws.rows import frame_of
from synthlaw.laws.table import RunsTable

Count = str | float
"""A number of parameters or tokens: "7B", 7e9."""

TakenFrom = tuple[RunsTable, dict[str, Any]]
"""A table of runs, and how a fit took its groups from it."""

SIZES = ("params", "tokens", "unique_tokens")


@dataclass(frozen=True, repr=False)
class Prediction:
    """A loss that a law expects, in nats per token.

    interval: of the expected loss; run_interval: of a single run's; None where the law has no
    replicates. level: their nominal coverage. extrapolation: how many times beyond the fitted
    runs each size lies (1 within them).
    """

    loss: float
    interval: tuple[float, float] | None
    run_interval: tuple[float, float] | None
    level: float
    extrapolation: dict[str, float] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.loss

    def __repr__(self) -> str:
        text = f"{self.loss:.4g} nats per token"
        if self.interval:
            low, high = self.interval
            text += f" [{low:.4g}, {high:.4g}]"
        far = [f"{factor:.2g}x in {n}" for n, factor in self.extrapolation.items() if factor > 1]
        return text + (f", {' and '.join(far)} beyond the runs" if far else "")


class Law:
    """One law of one mixture. `fit` is the whole of it; the other attributes are what one asks."""

    def __init__(self, fit: LawFit) -> None:
        self.fit = fit

    @property
    def mixture(self) -> str:
        """The mixture (or the synthetic type, for a ratio law) that the law is of."""
        return self.fit.mixture

    @property
    def coefficients(self) -> dict[str, float]:
        """Coefficients by name, for sizes in `fit.unit` (counts divided by 1e9 by default)."""
        return dict(self.fit.coefficients)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Interval of each coefficient, at the level `fit.level`."""
        return dict(self.fit.intervals)

    @property
    def warnings(self) -> list[str]:
        """What to know before believing the law."""
        return [caution.message for caution in self.fit.warnings]

    def predict(
        self,
        params: Count | None = None,
        tokens: Count | None = None,
        *,
        ratio: float | None = None,
        unique_tokens: Count | None = None,
    ) -> Prediction:
        """The expected loss at one place, such as predict("7B", "2T").

        ratio: the synthetic share, 0 to 1, for a ratio law. Sizes that the law does not read may
        be left out. Raises UsageError when one that it reads is missing or is no count.
        """
        asked = {"params": params, "tokens": tokens, "unique_tokens": unique_tokens}
        inputs = {n: parse_count(v, n) for n, v in asked.items() if v is not None}
        if ratio is not None:
            inputs["ratio"] = ratio
        found = self.fit.prediction(seed=0, **inputs)
        pairs = {n: tuple(found[n]) if found[n] else None for n in ("interval", "run_interval")}
        return Prediction(
            found["loss"],
            **pairs,
            level=self.fit.level,
            extrapolation=self.fit.extrapolation(**inputs),
        )

    def losses(self, **inputs: ArrayLike) -> NDArray[np.float64]:
        """Expected losses [points] at arrays of plain counts, e.g. losses(params=N, tokens=D)."""
        return self.fit.predict(**{n: np.asarray(v, dtype=float) for n, v in inputs.items()})

    def row(self) -> dict[str, Any]:
        """Name, place, coefficients and ends of their intervals, as one flat dictionary."""
        fit = self.fit
        found: dict[str, Any] = {"mixture": fit.mixture, "law": fit.law, "form": fit.form.name}
        found |= {name: value * fit.unit.get(name, 1.0) for name, value in fit.at.items()}
        for name, value in fit.coefficients.items():
            low, high = fit.intervals.get(name, (None, None))
            found |= {name: value, f"{name}_low": low, f"{name}_high": high}
        held = (fit.holdout or {}).get("rmabe")
        return {**found, "points": fit.points, "held_out_rmabe": held}

    def __repr__(self) -> str:
        at = ", ".join(
            f"{name}={format_count(value * self.fit.unit.get(name, 1.0))}"
            for name, value in self.fit.at.items()
        )
        shown = " ".join(f"{name}={value:.4g}" for name, value in self.fit.coefficients.items())
        place = f" at {at}" if at else ""
        return f"<{self.fit.law} law of '{self.mixture}'{place}: {shown}, {self.fit.points} runs>"


class Laws(Sequence[Law]):
    """Laws of several mixtures: laws["33HQ"] by mixture, laws[0] by number.

    skipped: groups of runs that could not carry the law; left_out: rows that took no part; notes:
    how the table was read.
    """

    def __init__(self, fitted: LawSet, taken_from: TakenFrom | None = None) -> None:
        self._fitted, self._taken_from = fitted, taken_from
        self._laws = [Law(fit) for fit in fitted.laws]

    @property
    def mixtures(self) -> list[str]:
        """Names of the mixtures, each once, in the order of their laws."""
        return list(dict.fromkeys(law.mixture for law in self._laws))

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """Groups of runs that could not carry the law, each with its reason."""
        return self._fitted.skipped

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """Rows that took no part, each with its line and the reason."""
        return [row.to_json() for row in self._fitted.left_out]

    @property
    def notes(self) -> list[str]:
        """What to know of how the table was read."""
        return self._fitted.notes

    def of(self, mixture: str, **at: Count) -> Law:
        """The one law of `mixture` that was taken at the sizes `at`, such as params="1B".

        Raises UsageError when there is none, or more than one.
        """
        wanted = {name: parse_count(value, name) for name, value in at.items()}
        found = [
            law
            for law in self._laws
            if law.mixture == mixture
            and all(_near(law.fit.at.get(n, 0.0) * law.fit.unit.get(n, 1.0), v)
                    for n, v in wanted.items())
        ]  # fmt: skip
        if len(found) == 1:
            return found[0]
        if not found:
            known = "; ".join(map(repr, self._laws[:8]))
            place = f" at {at}" if at else ""
            raise UsageError(f"laws: found no law of {mixture!r}{place}; there are {known}")
        several = "; ".join(map(repr, found[:8]))
        raise UsageError(
            f"laws: found {len(found)} laws of {mixture!r} ({several}); expected one: "
            "name its size, as in laws.of(mixture, params='1B')"
        )

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per law; see `Law.row`. Needs pandas."""
        return frame_of([law.row() for law in self._laws])

    def plot(self, along: str = "tokens") -> Any:
        """A matplotlib Figure of the runs and laws' curves along "tokens" or "params", as the page
        draws them. Raises UsageError for laws that come without runs, such as a file's.
        """
        if self._taken_from is None:
            raise UsageError("laws: found no runs to draw beside them; expected laws of sl.fit")
        from synthlaw.report.charts import data_scaling, model_scaling
        from synthlaw.report.drawing import drawing
        from synthlaw.report.matplotlib_charts import matplotlib_figure
        from synthlaw.report.own_runs import study_of_table

        charts = {"tokens": data_scaling, "params": model_scaling}
        if along not in charts:
            raise UsageError(f"along: found {along!r}; expected tokens or params")
        table, how = self._taken_from
        chart = charts[along].of_study(study_of_table(table, self._fitted.laws, **how))
        if chart is None:
            raise UsageError(f"laws: found no law and no two runs to draw along {along}")
        with drawing():
            return matplotlib_figure(chart)

    def to_json(self) -> dict[str, Any]:
        """What `synthlaw fit --json` prints."""
        return self._fitted.to_json()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the laws for `read_laws` and `synthlaw recommend --laws`; replaces only laws."""
        write_laws(Path(path), self._fitted)

    def __getitem__(self, which: Any) -> Any:
        return self.of(which) if isinstance(which, str) else self._laws[which]

    def __len__(self) -> int:
        return len(self._laws)

    def __iter__(self) -> Iterator[Law]:
        return iter(self._laws)

    def __repr__(self) -> str:
        lines = [repr(law) for law in self._laws[:12]]
        if len(self) > 12:
            lines.append(f"and {len(self) - 12} more")
        return "\n".join([f"{len(self)} laws", *(f"  {line}" for line in lines)])


def fit(
    runs: Any,
    law: str = "joint",
    *,
    by: str | None = None,
    at: dict[str, Count] | None = None,
    holdout: str | None = None,
    where: str | None = None,
    form: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    objective: str = "log-huber",
    unit: Count = 1e9,
    level: float = 0.9,
) -> Laws:
    """Scaling laws of a table of runs, one for each mixture.

    runs: a table from `read_runs`, or whatever that function takes. law: data L(D), model L(N),
    joint L(N, D), ratio (with the synthetic share), repetition. by: the column that tells
    mixtures apart. at: keep the runs at one size, such as {"params": "1B"}. holdout, where:
    expressions such as "tokens>100e9"; held-out runs are predicted, not fitted. form: the name of
    a law's form, or an expression of your own. bootstrap: resamples, 0 for no intervals. unit:
    parameters and tokens per unit of the coefficients. level: nominal coverage of intervals.

    Raises UsageError when no mixture can carry the law; see docs/laws.md for the method.
    """
    one, table = parse_count(unit, "unit"), runs_table(runs)
    places = {name: parse_count(value, name) for name, value in (at or {}).items()}
    return Laws(
        fit_laws(
            table,
            law,
            by=by,
            at=places,
            holdout=holdout,
            where=where,
            form=form,
            bootstrap=bootstrap,
            seed=seed,
            objective=objective,
            unit=one,
            level=level,
        ),
        (table, {"by": by, "where": where, "at": places}),
    )


def read_laws(path: str | PathLike[str]) -> Laws:
    """Laws from a file that `Laws.save`, `synthlaw fit --out` or a study wrote."""
    return Laws(LawSet(laws_in(Path(path))))


def reference_laws() -> Laws:
    """The joint laws that the paper's Tables 4 and 5 imply (arXiv 2510.01631)."""
    from synthlaw.laws.answer.reference import joint_laws

    return Laws(LawSet(joint_laws()))


def _near(value: float, wanted: float) -> bool:
    return abs(value / wanted - 1) <= 0.05


def _pair(ends: list[float] | None) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends else None
