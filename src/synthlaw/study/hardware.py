"""GPU-hours, days and money of a planned study, by grid and by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.study.grid import Run, steps_to_take
from synthlaw.study.spec import Study
from synthlaw.training.gpus import GPUS, PlanSettings
from synthlaw.training.memory import memory_need, what_fits
from synthlaw.training.presets import flops_per_token

OVERLAP = 2.0
"""Scoring slides windows by half their length, so that a position is computed about twice."""


def gpu_account(
    study: Study, runs: Sequence[Run], speeds: Mapping[str, Any], written: Mapping[str, float]
) -> dict[str, Any] | None:
    """GPU-hours by grid and stage, days and money; None where the study names no GPU.

    speeds: of the plan; one measured in the folder takes the place of peak times mfu. written:
    tokens that each generator writes.
    """
    plan = study.plan
    if plan.gpu is None:
        return None
    gpu = GPUS[plan.gpu]
    measured = "flops_per_second" in speeds["measured"]
    speed = speeds["flops_per_second"] if measured else gpu.peak_flops * plan.mfu
    taken = steps_to_take(list(runs))
    grids = {grid.name: 0.0 for grid in study.all_grids()}
    for run in runs:
        flops = run.config.flops * taken[run.name] / run.config.steps
        grids[run.grids[0]] += flops / speed / 3600
    scoring = sum(_scoring_flops(study, run) for run in runs) / speed / 3600
    generation = {name: _generation_hours(plan, name, count) for name, count in written.items()}
    known = [hours for hours in generation.values() if hours is not None]
    stages = {"training": sum(grids.values()), "scoring": scoring, "generation": sum(known)}
    total = sum(stages.values())
    run, need = hungriest(study, runs, "cuda")
    fits = need <= gpu.memory
    processes = study.execution.processes_of(run.size)
    advice = "" if fits else what_fits(run.config, gpu.memory, processes, "cuda")
    return {
        "gpu": plan.gpu,
        "gpus": plan.gpus,
        "peak_flops": gpu.peak_flops,
        "flops_per_second": speed,
        "basis": "measured in this folder" if measured else f"peak x {plan.mfu:g} (mfu, assumed)",
        "hours_by_grid": grids,
        "hours": {**stages, "total": total},
        "not_counted": [name for name, hours in generation.items() if hours is None],
        "days": total / plan.gpus / 24,
        "money": _money(plan, stages, generation, written),
        "memory_bytes": need,
        "memory_fits": fits,
        "memory_advice": advice,
    }


def hungriest(study: Study, runs: Sequence[Run], device: str) -> tuple[Run, float]:
    """The run of which a process needs most memory on a 'cpu' or 'cuda' device, and the bytes."""

    def need(run: Run) -> float:
        return memory_need(run.config, study.execution.processes_of(run.size), device).total

    run = max(runs, key=need)
    return run, need(run)


def _scoring_flops(study: Study, run: Run) -> float:
    """At most: every domain has all the documents that are asked for, at full length."""
    wanted = study.evaluation
    tokens = (len(wanted.domains) + 1) * wanted.documents * wanted.max_tokens * OVERLAP
    return tokens * flops_per_token(run.config.shape, run.config.context) / 3


def _generation_hours(plan: PlanSettings, name: str, written: float) -> float | None:
    """GPU-hours of one generator; None where its speed is not known."""
    rate = plan.of_generator(name).tokens_per_second
    return None if rate is None else written / rate / 3600


def _money(
    plan: PlanSettings,
    stages: Mapping[str, float],
    generation: Mapping[str, float | None],
    written: Mapping[str, float],
) -> dict[str, float] | None:
    """Money by stage, as far as prices are given. Bought tokens are not paid for in hours too."""
    hour = plan.price
    found = {} if hour is None else {name: hours * hour for name, hours in stages.items()}
    found.pop("generation", None)
    for name, hours in generation.items():
        million = plan.of_generator(name).price
        if million is not None:
            spent = written[name] / 1e6 * million
        elif hour is not None and hours is not None:
            spent = hours * hour
        else:
            continue
        found["generation"] = found.get("generation", 0.0) + spent
    return {**found, "total": sum(found.values())} if found else None


def _not_counted(generators: Sequence[str]) -> str:
    if not generators:
        return ""
    if len(generators) == 1:
        return "; generation is not counted: give plan.generator.tokens_per_second"
    named = ", ".join(generators)
    return f"; what {named} write is not counted: give plan.generators.NAME.tokens_per_second"


def account_lines(account: Mapping[str, Any] | None) -> list[str]:
    """The account for people."""
    if account is None:
        return []
    hours = account["hours"]
    parts = ", ".join(
        f"{stage} {format_count(hours[stage])}"
        for stage in ("training", "scoring", "generation")
        if hours[stage]
    )
    missing = _not_counted(account["not_counted"])
    lines = [
        f"GPU-hours     {format_count(hours['total'])} on {account['gpu']} "
        f"({format_count(account['flops_per_second'])} FLOP/s each: {account['basis']}): "
        f"{parts}{missing}",
    ]
    if len(account["hours_by_grid"]) > 1:
        lines += [
            f"  {name:<11} {format_count(spent)} GPU-hours of training"
            for name, spent in account["hours_by_grid"].items()
        ]
    lines.append(
        f"days          {format_count(account['days'])} with {account['gpus']:,} GPUs at once, "
        "kept busy"
    )
    if account["money"]:
        listed = ", ".join(
            f"{stage} {format_count(spent)}"
            for stage, spent in account["money"].items()
            if stage != "total"
        )
        lines.append(f"money         {format_count(account['money']['total'])} ({listed})")
    fits = "fits" if account["memory_fits"] else f"DOES NOT FIT; {account['memory_advice']}"
    lines.append(
        f"GPU memory    {account['memory_bytes'] / 1e9:.3g} GB a process of "
        f"{GPUS[account['gpu']].memory / 1e9:g} GB: {fits}"
    )
    return lines
