"""Options of a study for sbatch, checked and written as sbatch's flags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.execute.base import ExecutorSettings

OWN = ("array", "job_name", "output", "error", "open_mode", "parsable", "test_only", "wait", "wrap")
"""Flags that the executor itself gives."""

GPU_FLAGS = ("gres", "gpus", "gpus_per_node", "gpus_per_task", "tres_per_task")
SHORT_SECONDS, WARNING_SECONDS = 600, 120
"""Jobs are told so long before their time ends; a job shorter than the first is told at its end,
since Slurm may send the signal a minute early."""

_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Request:
    """What jobs of one kind ask for. flags: sbatch's. setup: lines of shell that come before the
    worker, such as `module load cuda`. at_once: jobs of an array at once; None: as many as Slurm
    starts.
    """

    flags: list[str]
    setup: list[str]
    at_once: int | None


def request_of(settings: ExecutorSettings) -> Request:
    """What a kind's jobs ask for. Raises UsageError, naming the key, for what sbatch would misread.

    Options are sbatch's long ones, `-` or `_` between words; true for those without a value. Not
    among the flags: `setup` and `array_parallelism`.
    """
    options = settings.options
    flags = sbatch_flags(options, settings.threads, settings.gpus, settings.nodes)
    return Request(flags, setup_lines(options), parallelism(options))


def sbatch_flags(
    options: Mapping[str, Any], threads: int, gpus: int | None, nodes: int = 1
) -> list[str]:
    """Flags of every submission; see `request_of`."""
    named = {str(name).replace("-", "_"): value for name, value in options.items()}
    for name in OWN:
        if name in named:
            raise UsageError(f"execution.slurm.{name}: is given by the executor itself; remove it")
    _check_lists(named)
    if gpus == 0:
        named = {name: value for name, value in named.items() if name not in GPU_FLAGS}
    _check_gpus(named, gpus)
    _check_nodes(named, nodes)
    limit = _time_limit(named.get("time"))
    defaults: dict[str, Any] = {
        "nodes": nodes,
        "ntasks": nodes,
        "cpus_per_task": threads * (gpus or 1),
        "requeue": True,
    }
    if nodes > 1:
        defaults["ntasks_per_node"] = 1
    if gpus and not any(name in named for name in GPU_FLAGS):
        defaults["gpus_per_node"] = gpus
    if limit is None or limit >= SHORT_SECONDS:
        defaults["signal"] = f"B:TERM@{WARNING_SECONDS}"
    flags = []
    for name, value in {**defaults, **named}.items():
        if name in ("setup", "array_parallelism") or value is False:
            continue
        flag = "--" + name.replace("_", "-")
        flags.append(flag if value is True else f"{flag}={value}")
    return flags


def setup_lines(options: Mapping[str, Any]) -> list[str]:
    """Lines of shell that come before the worker, such as `module load cuda`."""
    found = options.get("setup", [])
    return [found] if isinstance(found, str) else list(found)


def parallelism(options: Mapping[str, Any]) -> int | None:
    """Jobs at once; None for as many as Slurm starts."""
    found = options.get("array_parallelism", options.get("array-parallelism"))
    return None if found is None else int(found)


def _check_lists(named: Mapping[str, Any]) -> None:
    for name, value in named.items():
        if isinstance(value, list) and name != "setup":
            raise UsageError(
                f"execution.slurm.{name}: found a list; expected one value (only setup has several)"
            )
    found = named.get("array_parallelism")
    if found is not None and (isinstance(found, bool) or not str(found).isdecimal() or not found):
        raise UsageError(
            f"execution.slurm.array_parallelism: found {found!r}; expected a number of jobs"
        )


def _check_nodes(named: Mapping[str, Any], nodes: int) -> None:
    """More machines than the run uses would stand idle."""
    for name in ("nodes", "ntasks"):
        if name in named and str(named[name]) != str(nodes):
            raise UsageError(
                f"execution.slurm.{name}: found {named[name]!r} for jobs of {nodes}; expected no "
                f"{name}: how many machines a run has is execution.resources.SIZE.nodes"
            )


def _check_gpus(named: Mapping[str, Any], gpus: int | None) -> None:
    """GPUs are asked for once, or twice alike: by a flag that names their type, and as a number."""
    for name in GPU_FLAGS if gpus else ():
        found = _gpus_in(name, str(named[name])) if name in named else None
        if found not in (None, gpus):
            raise UsageError(
                f"execution.slurm.{name}: found {named[name]!r} ({found} GPUs) and "
                f"execution.gpus_per_run {gpus}; expected the same number, or no {name}, since "
                "gpus_per_run asks for them"
            )


def _gpus_in(name: str, value: str) -> int | None:
    """GPUs in a flag's value such as gpu:2, gpu:h100:2, h100:2, gres/gpu=2 or 2; None for none."""
    parts = value.split(",")
    if name in ("gres", "tres_per_task"):
        parts = [part for part in parts if "gpu" in part]
    counts = [re.split("[:=]", part)[-1] for part in parts]
    found = [
        int(count) if count.isdecimal() else 1
        for part, count in zip(parts, counts, strict=True)
        if count.isdecimal() or "gpu" in part
    ]
    return sum(found) if found else None


def _time_limit(value: Any) -> int | None:
    """Seconds of a time as sbatch reads it: minutes, m:s, h:m:s, d-h, d-h:m, d-h:m:s."""
    if value is None or value in ("UNLIMITED", "INFINITE"):
        return None
    if not isinstance(value, str):
        raise UsageError(
            f"execution.slurm.time: found the number {value}; expected a time in quotes, such as "
            "'4:00:00' or '240' (minutes), since YAML reads 4:00:00 as a number"
        )
    found = _TIME.fullmatch(value.strip())
    if found is None:
        raise UsageError(
            f"execution.slurm.time: found {value!r}; expected minutes, 'h:mm:ss' or 'd-hh:mm:ss'"
        )
    days, first, second, third = (int(part) if part else None for part in found.groups())
    assert first is not None
    if days is not None:
        return days * 86400 + first * 3600 + (second or 0) * 60 + (third or 0)
    if third is not None:
        return first * 3600 + (second or 0) * 60 + third
    return first * 60 + (second or 0)
