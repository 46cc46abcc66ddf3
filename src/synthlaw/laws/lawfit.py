"""A fitted law: coefficients with intervals and warnings, predictions, and its JSON form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.forms.power import Form
from synthlaw.laws.intervals import LEVEL, interval
from synthlaw.laws.plain import without_infinities

Array = NDArray[np.float64]


COMPUTE = "compute"
"""Name of params x tokens, a sixth of the FLOPs of training, among ranges and drifts."""

SAME = 1.05
"""Sizes within 5% are one size."""

ASSUMED_DRIFT = 0.01
"""Relative error of the loss per factor of e beyond the runs, where a table cannot show its own:
what smaller fits show on public ladders (Chinchilla's and OLMo's, 0.9% to 1.1%)."""

UNSEEN_DRIFT = 0.05
"""The same for a size that the law does not read: the loss itself changes by about so much."""


@dataclass(frozen=True)
class Caution:
    """Something a reader must know before believing a number; `code` is stable."""

    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        """As plain data."""
        return {"code": self.code, "message": self.message}


@dataclass
class LawFit:
    """One law of one mixture (or of one synthetic type, for a ratio law).

    coefficients: for sizes in `unit` (counts divided by 1e9 by default).
    at: the variables that the law does not see, in `unit`, where its runs hold them fixed.
    ranges: smallest and largest value of each variable among the runs, as plain counts.
    noise: residual spread, log of loss for log objectives, else nats per token.
    rivals: laws of other forms that held-out error cannot tell from this one.
    replicates: refits on resampled runs [count, coefficients], in the order of `coefficients`.
    drift: relative error of the loss per factor of e beyond the runs, by size and by their product,
    as smaller fits showed it (`fit.distance.measured_drift`).
    """

    mixture: str
    law: str
    form: Form
    coefficients: dict[str, float]
    unit: dict[str, float]
    points: int
    objective: str
    value: float
    at: dict[str, float] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    synthetic_type: str = ""
    ratio: float | None = None
    noise: float = 0.0
    degrees: int = 0
    level: float = LEVEL
    method: str = "none"
    replicates: Array | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    holdout: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)
    warnings: list[Caution] = field(default_factory=list)
    rivals: list[LawFit] = field(default_factory=list)
    drift: dict[str, float] = field(default_factory=dict)

    @property
    def vector(self) -> Array:
        """The coefficients in order [K + P]."""
        return np.array(list(self.coefficients.values()))

    @property
    def count_free(self) -> int:
        """Number of coefficients that the fit chose."""
        return self.points - self.degrees if self.degrees > 0 else len(self.coefficients)

    def reads(self, variable: str) -> bool:
        """Whether the law depends on `variable` (params, tokens, ratio, unique_tokens)."""
        return variable in self.form.inputs

    def predict(self, **inputs: float | Array) -> Array:
        """Expected loss (nats per token) at plain counts, e.g. predict(params=7e9, tokens=2e12).

        Inputs broadcast; those that the law does not read are ignored. Raises UsageError when one
        that it reads is missing.
        """
        result: Array = self.evaluate(self.vector[None], inputs)[0]
        return result

    def predict_replicates(self, **inputs: float | Array) -> Array:
        """Expected losses of every replicate: [count, points]; [1, points] without replicates."""
        vectors = self.vector[None] if self.replicates is None else self.replicates
        return self.evaluate(vectors, inputs)

    def evaluate(self, vectors: Array, inputs: Mapping[str, float | Array]) -> Array:
        """Losses [vectors, points] of coefficient vectors [vectors, K + P] at plain counts."""
        missing = [name for name in self.form.inputs if name not in inputs]
        if missing:
            raise UsageError(
                f"{self.law} law of '{self.mixture}': found no {', '.join(missing)}; "
                f"expected a value for each of {', '.join(self.form.inputs)}"
            )
        arrays = np.broadcast_arrays(
            *[np.atleast_1d(np.asarray(inputs[n], dtype=float)) for n in self.form.inputs]
        )
        bound = self.form.bind(
            dict(zip(self.form.inputs, arrays, strict=True)), self.unit_of(self.form.inputs)
        )
        K = len(self.form.linear)
        columns = bound.columns(vectors[:, K:])
        result: Array = np.matmul(vectors[:, None, :K], columns)[:, 0]
        return result

    def unit_of(self, names: Sequence[str]) -> dict[str, float]:
        """The unit of each size variable in `names`; unique tokens share the tokens' unit."""
        units = {**self.unit, "unique_tokens": self.unit.get("tokens", 1.0)}
        return {name: units[name] for name in names if name in units}

    def interval_of(self, values: Array) -> tuple[float, float]:
        """Interval of a quantity computed from each replicate [count], at the fit's level."""
        low, high = interval(values, self.level, self.method, self.points, self.count_free)
        return float(low), float(high)

    def interval_of_many(self, values: Array) -> tuple[Array, Array]:
        """Intervals of quantities computed from each replicate [count, quantities]."""
        low, high = interval(values, self.level, self.method, self.points, self.count_free)
        return low, high

    def prediction(self, *, seed: int = 0, **inputs: float) -> dict[str, Any]:
        """Expected loss with its interval, and the interval of a single run's loss.

        The first covers the law's uncertainty; the second adds the spread between runs.
        """
        loss = float(self.predict(**inputs)[0])
        if self.replicates is None:
            return {"loss": loss, "interval": None, "run_interval": None}
        values = self.predict_replicates(**inputs)[:, 0]
        values = values * self.beyond(values, inputs)
        generator = np.random.default_rng(seed)
        draws = generator.standard_normal(len(values)) * self.noise
        log = self.objective in ("log-huber", "lad")
        single = values * np.exp(draws) if log else values + draws
        return {
            "loss": loss,
            "interval": list(self.interval_of(values)),
            "run_interval": list(self.interval_of(single)),
        }

    def extrapolation(self, **inputs: float) -> dict[str, float]:
        """How far each variable lies beyond the runs: as a factor, 1 inside their range.

        A variable that the law does not read counts where its runs hold it fixed.
        """
        factors = {}
        for name, value in inputs.items():
            if name == "ratio":
                continue
            if name in self.at and name not in self.form.inputs:
                low = high = self.at[name] * self.unit[name]
            elif name in self.ranges and name in self.form.inputs:
                low, high = self.ranges[name]
            else:
                continue
            factor = max(value / high, low / value, 1.0)
            factors[name] = factor if factor > SAME else 1.0
        return factors

    def beyond(self, values: Array, inputs: Mapping[str, float]) -> Array:
        """Factors [count] that widen replicates' losses [count] by the error of extrapolation.

        The spread of the logarithm is at least `error_beyond`; what the replicates already show of
        it counts.
        """
        wanted = self.error_beyond(inputs) ** 2
        if len(values) < 2 or wanted == 0:
            return np.ones(len(values))
        with np.errstate(divide="ignore", invalid="ignore"):
            known = float(np.nanvar(np.log(values)))
        missing = math.sqrt(max(wanted - (known if math.isfinite(known) else 0.0), 0.0))
        result: Array = np.exp(missing * beyond_draws(self, len(values)))
        return result

    def error_beyond(self, inputs: Mapping[str, float]) -> float:
        """Relative error of the loss that the distance from the runs makes likely, one deviation.

        The drift times the distance ln(factor) in each size, summed in squares, or the same along
        compute where that is more: a large model trained long may lie within both sizes' ranges and
        far beyond every run. Sizes without a measured drift take ASSUMED_DRIFT, those that the law
        does not read UNSEEN_DRIFT. Rival forms add how far they lie apart, within the runs, too.
        """
        far = self.extrapolation(**inputs)
        wanted = sum((self.drift_in(name) * math.log(factor)) ** 2 for name, factor in far.items())
        farther = self.drift.get(COMPUTE, 0.0) * math.log(self.compute_beyond(inputs))
        return math.sqrt(max(wanted, farther**2) + self._apart(inputs) ** 2)

    def _apart(self, inputs: Mapping[str, float]) -> float:
        """The largest relative difference of a rival form's loss (joint laws; else none)."""
        rivals = [] if self.reads("ratio") else self.rivals
        if not rivals or not set(self.form.inputs) <= set(inputs):
            return 0.0
        own = float(self.predict(**inputs)[0])
        return max(abs(math.log(float(rival.predict(**inputs)[0]) / own)) for rival in rivals)

    def compute_beyond(self, inputs: Mapping[str, float]) -> float:
        """How far params x tokens lies beyond the runs': a factor, 1 within them or if unknown."""
        if COMPUTE not in self.ranges or not {"params", "tokens"} <= set(inputs):
            return 1.0
        factor = inputs["params"] * inputs["tokens"] / self.ranges[COMPUTE][1]
        return factor if factor > SAME else 1.0

    def drift_in(self, name: str) -> float:
        """The relative error per factor of e beyond the runs in a size, assumed where unknown."""
        unread = name not in self.form.inputs
        return self.drift.get(name, UNSEEN_DRIFT if unread else ASSUMED_DRIFT)

    def to_json(self, *, replicates: int = 0) -> dict[str, Any]:
        """The contract's dictionary; `replicates` > 0 adds so many of them, for `recommend`."""
        result: dict[str, Any] = {
            "mixture": self.mixture,
            "law": self.law,
            "form": self.form.name,
            "coefficients": dict(self.coefficients),
            "unit": dict(self.unit),
            "at": dict(self.at),
            "points": self.points,
            "degrees_of_freedom": self.degrees,
            "objective": self.objective,
            "value": self.value,
            "noise": self.noise,
            "intervals": {name: finite_pair(pair) for name, pair in self.intervals.items()},
            "level": self.level,
            "interval_method": self.method,
            "ranges": {name: list(pair) for name, pair in self.ranges.items()},
            "drift": dict(self.drift),
            "synthetic_type": self.synthetic_type,
            "synthetic_ratio": self.ratio,
            "holdout": self.holdout,
            **self.details,
            "warnings": [caution.to_json() for caution in self.warnings],
        }
        if replicates and self.replicates is not None:
            kept = self.replicates[:replicates]
            result["replicates"] = [[float(f"{v:.8g}") for v in row] for row in kept]
            result["rivals"] = [rival.to_json(replicates=replicates) for rival in self.rivals]
        plain: dict[str, Any] = without_infinities(result)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any], place: str) -> LawFit:
        """A law back from its JSON form. Raises UsageError naming `place` and what is wrong."""
        try:
            form = form_named(str(data.get("form", data["law"])), data)
            coefficients = {
                name: float(data["coefficients"][name]) for name in [*form.linear, *form.shape]
            }
            kept = data.get("replicates")
            return cls(
                mixture=str(data["mixture"]),
                law=str(data["law"]),
                form=form,
                coefficients=coefficients,
                unit={k: float(v) for k, v in data["unit"].items()},
                points=int(data.get("points", 0)),
                objective=str(data.get("objective", "log-huber")),
                value=float(data.get("value") or 0.0),
                at={k: float(v) for k, v in data.get("at", {}).items()},
                ranges={k: (float(v[0]), float(v[1])) for k, v in data.get("ranges", {}).items()},
                synthetic_type=str(data.get("synthetic_type", "")),
                ratio=_optional(data.get("synthetic_ratio")),
                noise=float(data.get("noise", 0.0)),
                degrees=int(data.get("degrees_of_freedom", 0)),
                level=float(data.get("level", LEVEL)),
                method=str(data.get("interval_method", "none")),
                replicates=np.array(kept, dtype=float) if kept else None,
                intervals={k: (v[0], v[1]) for k, v in data.get("intervals", {}).items() if v},
                holdout=data.get("holdout"),
                warnings=[Caution(w["code"], w["message"]) for w in data.get("warnings", [])],
                drift={k: float(v) for k, v in data.get("drift", {}).items()},
                rivals=[cls.from_json(rival, place) for rival in data.get("rivals", [])],
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise UsageError(
                f"{place}: found {type(error).__name__} {error}; expected a law as "
                "'synthlaw fit --out' writes it"
            ) from None


def beyond_draws(law: LawFit, count: int) -> Array:
    """The normal draws by which `LawFit.beyond` widens `count` replicates: fewer are the first."""
    generator = np.random.default_rng(derive_seed(0, "beyond", law.mixture, law.law))
    return generator.standard_normal(count)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def finite_pair(pair: tuple[float, float]) -> list[float | None]:
    """JSON has no infinity: an open end becomes null."""
    return [value if math.isfinite(value) else None for value in pair]
