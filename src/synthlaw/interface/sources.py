"""Laws of mixtures of several sources in Python: what `synthlaw sources` prints, as an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count
from synthlaw.common.progress import meter
from synthlaw.interface.laws import Count
from synthlaw.laws.mixtures.fitting import MixtureLaw, fit_mixture_laws
from synthlaw.laws.mixtures.optimum import best_mixture, bounds_for
from synthlaw.laws.mixtures.reading import MixtureRuns, read_mixtures


@dataclass(frozen=True)
class SourceLaws:
    """Laws of one or more losses over the shares of several sources. laws: one per loss."""

    laws: list[MixtureLaw]
    runs: MixtureRuns

    def best(
        self,
        params: Count | None = None,
        tokens: Count | None = None,
        *,
        least: Mapping[str, float] | None = None,
        most: Mapping[str, float] | None = None,
        supply: Mapping[str, Count] | None = None,
        price: Mapping[str, float] | None = None,
        highest_price: float | None = None,
        level: float = 0.9,
    ) -> dict[str, Any]:
        """The mixture with the lowest expected loss (the mean over the laws), with intervals.

        least, most: bounds of shares by source; supply: tokens at hand by source, none repeated;
        price: money per million tokens by source, highest_price: that of the mixture. No share
        beyond the largest among the runs is considered. Raises UsageError when the bounds leave
        no mixture, or a size that the laws read is missing.
        """
        asked = {"params": params, "tokens": tokens}
        sizes = {n: parse_count(v, n) for n, v in asked.items() if v is not None}
        needed = self.laws[0].form.sizes
        if missing := [name for name in needed if name not in sizes]:
            raise UsageError(
                f"found no {', '.join(missing)}; expected it, as the runs differ in it"
            )
        bounds = bounds_for(
            self.laws[0],
            least=least,
            most=most,
            supply={n: parse_count(v, n) for n, v in (supply or {}).items()},
            tokens=sizes.get("tokens"),
            price=price,
            highest_price=highest_price,
            tried=self.runs.shares.max(axis=0),
        )
        with meter("best mixture", 1.0, "parts") as progress:
            return best_mixture(
                self.laws,
                bounds,
                level=level,
                progress=progress.advance,
                sizes={name: sizes[name] for name in needed},
            )

    def to_json(self) -> dict[str, Any]:
        """{"laws", "left_out"} as `synthlaw sources --json` prints them."""
        return {
            "laws": [law.to_json() for law in self.laws],
            "left_out": [row.to_json() for row in self.runs.left_out],
        }


def fit_sources(
    runs: str | PathLike[str] | Sequence[Mapping[str, Any]],
    weights: str,
    losses: str | Sequence[str] = "loss",
    *,
    join: str | PathLike[str] | None = None,
    params: str | None = None,
    tokens: str | None = None,
    form: str | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> SourceLaws:
    """Laws of a wide table: a weight column per source, one or more columns of losses.

    runs: a file or rows. weights: a pattern of the weight columns ("train_*") or their names by
    commas. losses: names or patterns. join: a second file of the same runs, matched by the columns
    that both have. params, tokens: columns of sizes. form: exponential, additive, transfer or
    interplay, by default the one with the smallest held-out error. bootstrap: refits for intervals.

    Raises UsageError for a table that cannot be read or cannot carry a law; see docs/laws.md.
    """
    table = read_mixtures(
        runs,
        weights,
        [losses] if isinstance(losses, str) else losses,
        join=join,
        columns={"params": params, "tokens": tokens},
    )
    with meter("mixture laws", float(len(table.losses)), "losses") as progress:
        laws = fit_mixture_laws(
            table, form=form, bootstrap=bootstrap, seed=seed, progress=progress.advance
        )
    return SourceLaws(laws, table)
