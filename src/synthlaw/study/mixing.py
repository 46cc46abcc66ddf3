"""What a mixture of the study file is for a run: constant shares, or phases of its windows."""

from __future__ import annotations

from synthlaw.common.errors import UsageError
from synthlaw.study.spec import Study
from synthlaw.tokens.shares import Phase, ShareSchedule


def phases_of_run(study: Study, mixture: str, windows: int) -> list[Phase]:
    """The phases of a run of `windows` windows. Raises UsageError when it is too short for them."""
    first = Phase(0, study.mixtures[mixture])
    later = [
        Phase(round(phase.after * windows), phase.shares) for phase in study.phases.get(mixture, [])
    ]
    starts = [phase.start for phase in [first, *later]]
    if len(set(starts)) < len(starts) or starts[-1] >= windows:
        raise UsageError(
            f"phases.{mixture}: a run of {windows} windows is too short; its phases would start at "
            f"windows {', '.join(map(str, starts))}"
        )
    return [first, *later]


def mean_shares(study: Study, mixture: str) -> dict[str, float]:
    """Shares over a whole run: those asked for, weighted by the length of their phases."""
    phases = study.phases.get(mixture)
    if not phases:
        return study.mixtures[mixture]
    edges = [0.0, *(phase.after for phase in phases), 1.0]
    total: dict[str, float] = {}
    parts = [study.mixtures[mixture], *(phase.shares for phase in phases)]
    for number, shares in enumerate(parts):
        for name, share in shares.items():
            total[name] = total.get(name, 0.0) + share * (edges[number + 1] - edges[number])
    return {name: round(share, 12) for name, share in total.items()}


def windows_needed(study: Study, mixture: str, windows: int) -> dict[str, int]:
    """Windows of each source that a run of `windows` windows reads, repeated ones included."""
    return ShareSchedule(phases_of_run(study, mixture, windows)).counts(windows)
