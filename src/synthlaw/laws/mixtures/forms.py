"""Forms of a mixture law: L(w, N, D) with the shares w of several sources on the simplex.

    L = exp(e) + exp(u(w, N, D)) + exp(a) N^-alpha + exp(b) D^-beta

The terms in N and D are there where these vary among the runs and u does not read them. The forms
differ in u, which carries the sources:

    exponential   t.w                                    Ye et al., arXiv 2403.16952
    additive      -log sum_i exp(c_i) w_i^exp(g_i)       Shukor et al., arXiv 2507.09404
    transfer      -gamma log(D sum_i exp(c_i) w_i)       tokens of a source count as exp(c_i) each
    interplay     t.w + log(N) s.w                       every source's effect changes with N

All parameters are free real numbers; what must be positive enters as an exponential. `interplay`
is our capacity-aware form, in the sense of arXiv 2603.08022, whose own formula we have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NAMES = ("exponential", "additive", "transfer", "interplay")

SMALL_SHARE = 1e-12
"""Keeps the logarithm of a share finite; a share this small has no weight in any form."""


@dataclass(frozen=True)
class MixtureForm:
    """One form for `sources` sources. sizes: which of params and tokens vary among the runs."""

    name: str
    sources: int
    sizes: tuple[str, ...] = ()

    @property
    def additive_sizes(self) -> tuple[str, ...]:
        """The sizes that have a term of their own."""
        read = {"transfer": "tokens", "interplay": "params"}.get(self.name)
        return tuple(size for size in self.sizes if size != read)

    @property
    def of_sources(self) -> int:
        """Number of parameters of u."""
        k = self.sources
        return {"exponential": k, "additive": 2 * k, "transfer": k + 1, "interplay": 2 * k}[
            self.name
        ]

    @property
    def count(self) -> int:
        """Number of parameters."""
        return 1 + self.of_sources + 2 * len(self.additive_sizes)

    def names(self, sources: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        first = {"exponential": "t", "additive": "c", "transfer": "c", "interplay": "t"}[self.name]
        found = ["e", *(f"{first}/{source}" for source in sources)]
        if self.name == "transfer":
            found.append("log_gamma")
        elif self.name != "exponential":
            second = "g" if self.name == "additive" else "s"
            found += [f"{second}/{source}" for source in sources]
        for size in self.additive_sizes:
            found += ["a", "log_alpha"] if size == "params" else ["b", "log_beta"]
        return tuple(found)

    def starts(self, loss: Array) -> list[Array]:
        """Parameter vectors to start from: floors from low to near the smallest loss."""
        found = []
        for share in (0.3, 0.7, 0.9):
            floor = share * float(loss.min())
            rest = float(np.median(loss)) - floor
            theta = np.zeros(self.count)
            theta[0] = np.log(floor)
            parts = 1 + len(self.additive_sizes)
            level = np.log(rest / parts)
            end = 1 + self.sources
            if self.name == "transfer":
                theta[end] = np.log(0.2)
                theta[1:end] = -level / 0.2
            else:
                theta[1:end] = -level if self.name == "additive" else level
                if self.name == "additive":
                    theta[end : end + self.sources] = np.log(0.3)
            at = 1 + self.of_sources
            for k in range(len(self.additive_sizes)):
                theta[at + 2 * k : at + 2 * k + 2] = level, np.log(0.3)
            found.append(theta)
        return found

    def evaluate(
        self, theta: Array, shares: Array, logs: Mapping[str, Array]
    ) -> tuple[Array, Array]:
        """Losses [points] and derivatives [points, count].

        shares: [points, sources]; logs: logarithms of sizes over their reference, each [points].
        """
        floor = np.exp(theta[0])
        u, slope = self._sources(theta[1 : 1 + self.of_sources], shares, logs)
        part = np.exp(np.minimum(u, 50.0))
        jacobian = np.empty((len(shares), self.count))
        jacobian[:, 0] = floor
        jacobian[:, 1 : 1 + self.of_sources] = part[:, None] * slope
        loss = floor + part
        at = 1 + self.of_sources
        for size in self.additive_sizes:
            exponent = np.exp(theta[at + 1])
            term = np.exp(np.minimum(theta[at] - exponent * logs[size], 50.0))
            jacobian[:, at] = term
            jacobian[:, at + 1] = -term * exponent * logs[size]
            loss = loss + term
            at += 2
        return loss, jacobian

    def _sources(
        self, theta: Array, shares: Array, logs: Mapping[str, Array]
    ) -> tuple[Array, Array]:
        """u [points] and its derivatives by its own parameters [points, of_sources]."""
        k = self.sources
        if self.name == "exponential":
            return shares @ theta, shares
        if self.name == "interplay":
            log = logs["params"][:, None]
            return shares @ theta[:k] + (log * shares) @ theta[k:], np.hstack(
                [shares, log * shares]
            )
        if self.name == "transfer":
            worth = np.exp(np.clip(theta[:k], -60, 60)) * shares
            total = np.maximum(worth.sum(axis=1), 1e-300)
            gamma = np.exp(theta[k])
            inner = np.log(total) + logs.get("tokens", np.zeros(len(shares)))
            return -gamma * inner, np.hstack(
                [-gamma * worth / total[:, None], -(gamma * inner)[:, None]]
            )
        powers = np.exp(np.clip(theta[k:], -6, 3))
        log_share = np.log(np.maximum(shares, SMALL_SHARE))
        worth = np.exp(np.clip(theta[:k], -60, 60) + powers * log_share) * (shares > SMALL_SHARE)
        total = np.maximum(worth.sum(axis=1), 1e-300)
        part = worth / total[:, None]
        return -np.log(total), np.hstack([-part, -part * powers * log_share])


def forms_for(sources: int, sizes: tuple[str, ...]) -> list[MixtureForm]:
    """The forms that runs with these varying sizes can tell apart, fewest parameters first."""
    names = [name for name in NAMES if name != "interplay" or "params" in sizes]
    forms = [MixtureForm(name, sources, sizes) for name in names]
    return sorted(forms, key=lambda form: form.count)
