"""What could not be read of an input, as one summary for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.corpus.readers.input_file import ReadReport

_MANY = 0.1
_SHOWN_FILES = 5
_SHOWN_REASONS = 3


def faults_of(report: ReadReport) -> dict[str, Any]:
    """The report on one file as JSON values to be summed: counts, reasons, the file if broken."""
    broken = [{"file": report.path, "reason": report.broken}] if report.broken is not None else []
    return {
        "read": report.documents,
        "bad_records": report.bad_count,
        "skipped": dict(report.skipped),
        "bad_reasons": dict(report.reasons),
        "broken_files": broken,
    }


def sum_faults(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of what `faults_of` gave, or this."""
    total = {"read": 0, "bad_records": 0}
    skipped: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    broken: list[dict[str, str]] = []
    for part in parts:
        for name in total:
            total[name] += part[name]
        skipped.update(part["skipped"])
        reasons.update(part["bad_reasons"])
        broken += part["broken_files"]
    return {
        **total,
        "skipped": dict(sorted(skipped.items())),
        "bad_reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "broken_files": broken,
    }


def fault_lines(faults: dict[str, Any]) -> Iterator[str]:
    """Sentences on what could not be read; a high share of it is said first."""
    bad, read, broken = faults["bad_records"], faults["read"], faults["broken_files"]
    if bad > _MANY * (bad + read):
        share = bad / (bad + read)
        yield f"WARNING: {share:.0%} of the records could not be read"
    if broken:
        yield f"broken: {len(broken):,} files could not be read, or not to their end:"
    for found in broken[:_SHOWN_FILES]:
        yield f"  {found['file']}: {found['reason']}"
    if len(broken) > _SHOWN_FILES:
        yield f"  and {len(broken) - _SHOWN_FILES:,} more"
    if bad:
        yield f"bad: {bad:,} records, {_common(faults['bad_reasons'])}"


def _common(reasons: dict[str, int]) -> str:
    shown = "; ".join(
        f"{n:,} with: {reason}" for reason, n in list(reasons.items())[:_SHOWN_REASONS]
    )
    left = len(reasons) - _SHOWN_REASONS
    return f"{shown}; {left} further reasons" if left > 0 else shown


def require_whole(faults: dict[str, Any]) -> None:
    """Raise UsageError, saying what, when something could not be read."""
    lines = list(fault_lines(faults))
    if lines:
        raise UsageError("not everything could be read, and the run is strict\n" + "\n".join(lines))


def require_documents(faults: dict[str, Any]) -> None:
    """Raise UsageError, saying what was found instead, when no document was read."""
    if faults["read"]:
        return
    lines = list(fault_lines(faults))
    lines += [f"skipped: {n:,} records with {reason}" for reason, n in faults["skipped"].items()]
    raise UsageError("no document was read\n" + "\n".join(lines))
