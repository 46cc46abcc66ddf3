"""Fit mixture laws: the form by held-out error, intervals by resampling whole runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.laws.mixtures.forms import NAMES, MixtureForm, forms_for
from synthlaw.laws.mixtures.reading import MixtureRuns
from synthlaw.laws.mixtures.solver import minimise

Array = NDArray[np.float64]
Seen = tuple[Array, Mapping[str, Array], Array]

FOLDS = 5
REFIT_STEPS = 30
LEVELS_TO_EXTRAPOLATE = 3
"""Distinct sizes from which on the largest is held out as well when a form is chosen."""


@dataclass(frozen=True)
class MixtureLaw:
    """The law of one loss over the sources of a table.

    theta: parameters in the order of `form.names`; replicates: [count, parameters] refits on
    resampled runs. reference: what sizes are divided by. held_out: root mean square relative error
    of each form on runs that it had not seen. noise: spread of ln loss around the law.
    """

    loss: str
    sources: tuple[str, ...]
    form: MixtureForm
    theta: Array
    replicates: Array
    reference: dict[str, float]
    ranges: dict[str, tuple[float, float]]
    held_out: dict[str, float]
    noise: float
    points: int
    warnings: list[dict[str, str]] = field(default_factory=list)

    def predict(self, shares: Array, theta: Array | None = None, **sizes: float) -> Array:
        """Expected losses [points] of `shares` [points, sources] at plain counts of sizes."""
        missing = [name for name in self.form.sizes if name not in sizes]
        if missing:
            raise UsageError(
                f"mixture law of '{self.loss}': found no {', '.join(missing)}; expected a value "
                f"for each of {', '.join(self.form.sizes)}"
            )
        rows = np.atleast_2d(np.asarray(shares, dtype=float))
        logs = {
            name: np.full(len(rows), np.log(sizes[name] / self.reference[name]))
            for name in self.form.sizes
        }
        chosen = self.theta if theta is None else theta
        return self.form.evaluate(chosen, rows, logs)[0]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        names = self.form.names(self.sources)
        return {
            "law": "mixture",
            "loss": self.loss,
            "form": self.form.name,
            "sources": list(self.sources),
            "sizes": list(self.form.sizes),
            "reference": self.reference,
            "coefficients": dict(zip(names, map(float, self.theta), strict=True)),
            "points": self.points,
            "noise": self.noise,
            "held_out_error": self.held_out,
            "ranges": {name: list(pair) for name, pair in self.ranges.items()},
            "warnings": self.warnings,
        }


def fit_mixture_laws(
    runs: MixtureRuns,
    *,
    form: str | None = None,
    bootstrap: int = 200,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> list[MixtureLaw]:
    """A law for every loss of `runs`, the form chosen by held-out error unless named.

    bootstrap: refits on resampled runs. progress: called with the part of the work just done, of
    one per loss. Raises UsageError for an unknown form, and when no form has fewer parameters than
    there are runs.
    """
    if form is not None and form not in NAMES:
        raise UsageError(f"form: found {form!r}; expected one of {', '.join(NAMES)}")
    sizes = tuple(n for n, values in runs.sizes.items() if len(np.unique(values)) > 1)
    reference = {n: float(np.exp(np.mean(np.log(runs.sizes[n])))) for n in sizes}
    logs = {n: np.log(runs.sizes[n] / reference[n]) for n in sizes}
    known = forms_for(len(runs.sources), sizes)
    carried = [f for f in known if f.count < len(runs) and form in (None, f.name)]
    if not carried:
        least = min(f.count for f in known)
        raise UsageError(
            f"found {len(runs)} runs of {len(runs.sources)} sources; expected more than {least}"
            + (f", or sizes that the form '{form}' reads" if form else "")
        )
    ranges = {n: (float(v.min()), float(v.max())) for n, v in runs.sizes.items()}
    laws = []
    for name, loss in runs.losses.items():
        seen: Seen = (runs.shares, logs, np.log(loss))
        errors = {}
        for candidate in carried if len(carried) > 1 else []:
            errors[candidate.name] = held_out_error(candidate, seen, seed)
            progress(0.5 / len(carried))
        chosen = min(carried, key=lambda f: errors.get(f.name, 0.0))
        theta, square = best_fit(chosen, seen)
        replicates = _resampled(chosen, theta, seen, bootstrap, derive_seed(seed, "mixture", name))
        progress(0.5 if errors else 1.0)
        degrees = len(loss) - chosen.count
        noise = float(np.sqrt(square * len(loss) / max(degrees, 1)))
        law = MixtureLaw(
            name, runs.sources, chosen, theta, replicates, reference, ranges, errors, noise,
            len(loss),
        )  # fmt: skip
        law.warnings.extend(_cautions(runs, law, degrees))
        laws.append(law)
    return laws


def best_fit(form: MixtureForm, seen: Seen) -> tuple[Array, float]:
    """The best of the fits from all of the form's starts."""
    fits = [minimise(form, start, seen) for start in form.starts(np.exp(seen[2]))]
    return min(fits, key=lambda fit: fit[1])


def held_out_error(form: MixtureForm, seen: Seen, seed: int) -> float:
    """Root mean square relative error on runs left out, fifth by fifth.

    Where params or tokens take three values or more, the runs of the largest are left out too, and
    count as much as all fifths together: a law must carry beyond its runs.
    """
    _, logs, target = seen
    order = np.random.default_rng(derive_seed(seed, "folds")).permutation(len(target))
    folds = np.empty(len(target), dtype=int)
    folds[order] = np.arange(len(target)) % FOLDS
    squares = np.concatenate([_errors(form, seen, folds == k) for k in range(FOLDS)])
    found = [float(np.mean(squares))]
    for values in logs.values():
        if len(np.unique(values)) >= LEVELS_TO_EXTRAPOLATE:
            out = values == values.max()
            if form.count < np.count_nonzero(~out):
                found.append(float(np.mean(_errors(form, seen, out))))
    return float(np.sqrt(np.mean(found)))


def _errors(form: MixtureForm, seen: Seen, out: NDArray[np.bool_]) -> Array:
    shares, logs, target = seen
    theta, _ = best_fit(form, (shares[~out], {n: v[~out] for n, v in logs.items()}, target[~out]))
    loss, _ = form.evaluate(theta, shares[out], {n: v[out] for n, v in logs.items()})
    return np.asarray((np.log(np.maximum(loss, 1e-300)) - target[out]) ** 2)


def _resampled(form: MixtureForm, theta: Array, seen: Seen, count: int, seed: int) -> Array:
    """Refits [count, parameters] around the fit with the residuals of resampled runs.

    Residuals are enlarged for the degrees of freedom; every run keeps its place, as a resample of
    runs may lose a source that few of them hold.
    """
    shares, logs, target = seen
    generator = np.random.default_rng(seed)
    fitted = np.log(np.maximum(form.evaluate(theta, shares, logs)[0], 1e-300))
    residual = target - fitted
    points = len(target)
    residual = (residual - residual.mean()) * np.sqrt(points / max(points - form.count, 1))
    found = np.empty((count, len(theta)))
    for i in range(count):
        drawn = fitted + generator.choice(residual, points)
        found[i] = minimise(form, theta, (shares, logs, drawn), steps=REFIT_STEPS)[0]
    return found


def _cautions(runs: MixtureRuns, law: MixtureLaw, degrees: int) -> list[dict[str, str]]:
    found = []
    if degrees < law.form.count:
        found.append(
            {
                "code": "few-points",
                "message": f"{law.points} runs for {law.form.count} coefficients: the intervals "
                "are rough",
            }
        )
    never = [s for s, most in zip(runs.sources, runs.shares.max(axis=0), strict=True) if most == 0]
    if never:
        found.append(
            {"code": "unseen-source", "message": f"no run holds {', '.join(never)}: left at 0"}
        )
    return found
