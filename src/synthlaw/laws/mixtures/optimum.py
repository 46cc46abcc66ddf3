"""The best mixture of several sources, within bounds: its interval, and what is as good."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from synthlaw.common.errors import UsageError
from synthlaw.laws.mixtures.fitting import MixtureLaw

Array = NDArray[np.float64]
Loss = Callable[[Array], Array]
"""Expected losses [points] of shares [points, sources] or [sources]."""


@dataclass(frozen=True)
class Bounds:
    """What a mixture may be: lowest and highest share of each source, and its price.

    price: per token of each source, in any unit; most: the highest mean price of a token.
    """

    low: Array
    high: Array
    price: Array | None = None
    most: float = np.inf


def bounds_for(
    law: MixtureLaw,
    *,
    least: Mapping[str, float] | None = None,
    most: Mapping[str, float] | None = None,
    supply: Mapping[str, float] | None = None,
    tokens: float | None = None,
    price: Mapping[str, float] | None = None,
    highest_price: float | None = None,
    tried: Array | None = None,
) -> Bounds:
    """Bounds from shares, from tokens at hand (none repeats), and from prices.

    least, most: shares by source. supply: tokens at hand by source, for a run of `tokens`. price:
    money per million tokens by source (others: 0); highest_price: that of the mixture. tried: the
    largest share of each source among the runs, beyond which nothing is recommended.
    Raises UsageError for an unknown source, and when no mixture satisfies all.
    """
    for name in {**(least or {}), **(most or {}), **(supply or {}), **(price or {})}:
        if name not in law.sources:
            raise UsageError(f"found the source {name!r}; expected {', '.join(law.sources)}")
    if supply and tokens is None:
        raise UsageError("supply: found no tokens of the run; expected them (--tokens)")
    low = np.array([(least or {}).get(s, 0.0) for s in law.sources])
    high = np.array([(most or {}).get(s, 1.0) for s in law.sources])
    if supply and tokens:
        high = np.minimum(high, [supply.get(s, np.inf) / tokens for s in law.sources])
    if tried is not None:
        high = np.minimum(high, tried)
    costs = np.array([(price or {}).get(s, 0.0) for s in law.sources]) if price else None
    found = Bounds(low, high, costs, np.inf if highest_price is None else highest_price)
    if np.any(low > high) or low.sum() > 1 + 1e-9 or high.sum() < 1 - 1e-9:
        raise UsageError(
            f"bounds: found shares from {low.sum():.3g} to {high.sum():.3g} in all; expected room "
            "for a mixture, which sums to 1"
        )
    if costs is not None and _cheapest(found) @ costs > found.most + 1e-12:
        raise UsageError(
            f"price: found {found.most:g}; expected at least {_cheapest(found) @ costs:.4g}, that "
            "of the cheapest mixture within the bounds"
        )
    return found


def best_mixture(
    laws: Sequence[MixtureLaw],
    bounds: Bounds,
    *,
    level: float = 0.9,
    progress: Callable[[float], None] = lambda _: None,
    sizes: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The mixture with the lowest expected loss (the mean over `laws`).

    "shares" has each source's share with its interval and the region that is as good: the shares
    that mixtures can have whose expected loss is no more above the lowest than resampled fits
    show the best mixture itself to be (the `level` quantile of its regret, "tolerance").
    """
    sources = laws[0].sources

    def loss_of(replicate: int | None) -> Loss:
        thetas = [law.theta if replicate is None else law.replicates[replicate] for law in laws]

        def loss(shares: Array) -> Array:
            each = [
                law.predict(shares, theta, **(sizes or {}))
                for law, theta in zip(laws, thetas, strict=True)
            ]
            return np.asarray(np.mean(each, axis=0))

        return loss

    chosen = loss_of(None)
    best = _lowest(chosen, bounds, _beginnings(bounds))
    count = min(len(law.replicates) for law in laws)
    found, regret, losses = [], [], []
    for i in range(count):
        resampled = loss_of(i)
        one = _lowest(resampled, bounds, [best])
        found.append(one)
        losses.append(float(resampled(best)[0]))
        regret.append(max(losses[-1] - float(resampled(one)[0]), 0.0))
        progress(1 / count)
    result: dict[str, Any] = {
        "loss": float(chosen(best)[0]),
        "interval": None,
        "tolerance": None,
        "shares": {s: {"share": float(x)} for s, x in zip(sources, best, strict=True)},
    }
    if count:
        tail = (1 - level) / 2
        low, high = np.quantile(np.array(found), [tail, 1 - tail], axis=0)
        tolerance = float(np.quantile(regret, level))
        result["interval"] = [float(x) for x in np.quantile(losses, [tail, 1 - tail])]
        result["tolerance"] = tolerance
        limit = result["loss"] + tolerance
        for j, source in enumerate(sources):
            flat = [_extreme(chosen, bounds, best, (j, way, limit)) for way in (1, -1)]
            result["shares"][source] |= {
                "interval": [float(low[j]), float(high[j])],
                "as_good": [min(flat[0], float(best[j])), max(flat[1], float(best[j]))],
            }
    return result


def _constraints(bounds: Bounds) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"type": "eq", "fun": lambda w: w.sum() - 1}]
    if bounds.price is not None and np.isfinite(bounds.most):
        price = bounds.price
        found.append({"type": "ineq", "fun": lambda w: bounds.most - price @ w})
    return found


def _with_slope(loss: Loss, shares: Array) -> tuple[float, Array]:
    """The logarithm of the loss and its derivatives by differences, in one call."""
    step = 1e-6
    rows = np.vstack([shares, shares + step * np.eye(len(shares))])
    values = np.log(loss(rows))
    return float(values[0]), np.asarray((values[1:] - values[0]) / step)


def _lowest(loss: Loss, bounds: Bounds, starts: Sequence[Array]) -> Array:
    """The shares with the lowest loss, by sequential quadratic programming from each start."""
    best, value = starts[0], np.inf
    for start in starts:
        found = minimize(
            lambda w: _with_slope(loss, np.clip(w, 0, 1)),
            start,
            jac=True,
            method="SLSQP",
            bounds=list(zip(bounds.low, bounds.high, strict=True)),
            constraints=_constraints(bounds),
            options={"maxiter": 60, "ftol": 1e-8},
        )
        shares = _inside(found.x, bounds)
        if (reached := float(loss(shares)[0])) < value:
            best, value = shares, reached
    return best


def _extreme(loss: Loss, bounds: Bounds, best: Array, asked: tuple[int, int, float]) -> float:
    """The smallest (way 1) or largest (way -1) share of a source with a loss up to a limit."""
    j, way, limit = asked
    found = minimize(
        lambda w: way * w[j],
        best,
        method="SLSQP",
        bounds=list(zip(bounds.low, bounds.high, strict=True)),
        constraints=[
            *_constraints(bounds),
            {
                "type": "ineq",
                "fun": lambda w: np.log(limit) - _with_slope(loss, np.clip(w, 0, 1))[0],
                "jac": lambda w: -_with_slope(loss, np.clip(w, 0, 1))[1],
            },
        ],
        options={"maxiter": 40, "ftol": 1e-6},
    )
    return float(np.clip(found.x[j], bounds.low[j], bounds.high[j]))


def _inside(shares: Array, bounds: Bounds) -> Array:
    clipped = np.clip(shares, bounds.low, bounds.high)
    return np.asarray(clipped / clipped.sum())


def _cheapest(bounds: Bounds) -> Array:
    """The cheapest mixture within the bounds of shares: the cheap sources first."""
    price = np.zeros(len(bounds.low)) if bounds.price is None else bounds.price
    return _filled(bounds, np.argsort(price))


def _filled(bounds: Bounds, order: Any) -> Array:
    shares = bounds.low.copy()
    for j in order:
        shares[j] += min(bounds.high[j] - shares[j], 1 - shares.sum())
    return shares


def _beginnings(bounds: Bounds) -> list[Array]:
    """Mixtures to start from: an even one, and one led by each source (eight at most)."""
    room = bounds.high - bounds.low
    even = bounds.low + room * (1 - bounds.low.sum()) / max(room.sum(), 1e-12)
    count = len(bounds.low)
    led = [_filled(bounds, np.roll(np.arange(count), -j)) for j in range(min(count, 8))]
    return [even, *[0.5 * even + 0.5 * one for one in led]]
