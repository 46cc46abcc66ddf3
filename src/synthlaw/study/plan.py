"""What a study will cost before anything is spent: runs, FLOPs, tokens, hours, disk, memory.

Counts are arithmetic on the study file and its tokenizer; one that is not here is taken to have
Llama 3's 128,256 entries, and the plan says so. Durations need a speed: the plan states the speeds
that it assumes, and which of them were measured in this study folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthlaw.common.numbers import format_count, format_seconds
from synthlaw.execute.machine import default_workers
from synthlaw.study.generation_plan import expected_generation, generation_lines
from synthlaw.study.grid import (
    Run,
    planned_vocab,
    runs_of,
    steps_to_take,
    synthetic_part,
    tokens_needed,
    unread_shares,
)
from synthlaw.study.hardware import account_lines, gpu_account, hungriest
from synthlaw.study.measured import GENERATED, measured_speeds
from synthlaw.study.mixing import mean_shares
from synthlaw.study.precision import with_precision
from synthlaw.study.repetition import repetition_warnings
from synthlaw.study.rounds import rounds_of
from synthlaw.study.spec import NATURAL, Study
from synthlaw.study.token_sets import supply, supply_lines
from synthlaw.training.memory import machine_bytes, what_fits
from synthlaw.training.precision import PrecisionRecord

BYTES_PER_TOKEN_BPE = 4.0
"""English text per token of a byte-level BPE: 4,096 to 128k entries give 3.4 to 4.6 (measured
on the demo's text and stated by Llama 3); used for sizes on disk only."""

ASSUMED_FLOPS = 10e9
"""FLOP per second of one worker with one CPU thread, when no run of this folder was measured.
The demo's models ran at 8 to 15 GFLOP/s on one core (docs/demo.md); a GPU gives 1e14 and more."""

ASSUMED_GENERATION = 200.0
"""Completion tokens per second of the embedded engine on two cores, when none was measured."""


FACTORS = ("mixtures", "sizes", "budgets", "seeds")
"""Of a grid."""


def plan_study(
    study: Study,
    base: Path,
    folder: Path | None = None,
    precision: PrecisionRecord | None = None,
    measured: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The plan as one JSON document.

    base: where the study's relative paths start. folder: a study folder whose measured speeds to
    use. precision: what was settled for it. measured: speeds in place of the folder's.
    """
    study = with_precision(study, precision)
    vocab, known = planned_vocab(study, base)
    runs = runs_of(study, vocab)
    need = tokens_needed(study, runs)
    speeds = speeds_of(folder, measured)
    alone = sum(run.config.flops for run in runs)
    taken = steps_to_take(runs)
    flops = sum(run.config.flops * taken[run.name] / run.config.steps for run in runs)
    synthetic = {n: count for n, count in need.items() if n in study.generate.recipes}
    workers = default_workers(study.execution.workers, study.execution.threads)
    training_seconds = flops / (speeds["flops_per_second"] * workers)
    memory = _memory(study, runs)
    generation = expected_generation(study, need, folder)
    written: Counter[str] = Counter()
    for name, one in generation.items():
        written[study.generate.generator_name(name)] += one["completion_tokens"]
    account = gpu_account(study, runs, speeds, written)
    settled = {} if precision is None else {"precision": _precision(precision)}
    return {
        "study": study.name,
        **settled,
        "runs": len(runs),
        "sizes": [_size(study, name, vocab) for name in study.sizes],
        "budgets": study.budgets,
        "grids": _grids(study, runs),
        "rounds": _rounds(study, runs),
        "mixtures": [_mixture(name, mean_shares(study, name)) for name in study.mixtures],
        "seeds": study.seeds,
        "training": {
            "schedule": study.training.schedule,
            "tokens": sum(taken[run.name] * run.config.batch_tokens for run in runs),
            "flops": flops,
            "flops_saved": alone - flops,
            "seconds": training_seconds,
            "workers": workers,
            "worker_hours": training_seconds * workers / 3600,
        },
        "max_epochs": study.ladder.max_epochs,
        "natural_tokens_needed": need.get(NATURAL, 0),
        "source_tokens_needed": {n: need[n] for n in study.sources if n in need},
        "tokens_to_generate": synthetic,
        "supply": supply(need, folder),
        "generation": generation,
        "generation_seconds": _generation_seconds(study, written, speeds),
        "disk_bytes": _disk(runs, need),
        "memory_bytes_per_worker": memory["bytes"],
        "memory": memory,
        "speeds": speeds,
        "tokenizer": {"vocab": vocab, "known": known},
        "hardware": account,
        "warnings": unread_shares(study, runs) + repetition_warnings(study),
    }


def _precision(record: PrecisionRecord) -> dict[str, Any]:
    return {
        **record.model_dump(mode="json", exclude={"processor"}),
        "said": record.line(),
        "warning": record.warning(),
    }


def _size(study: Study, name: str, vocab: int) -> dict[str, Any]:
    shape = study.sizes[name].shape(vocab)
    return {
        "size": name,
        "dim": shape.dim,
        "layers": shape.layers,
        "heads": shape.heads,
        "params": shape.params,
        "params_total": shape.params_total,
    }


def _grids(study: Study, runs: list[Run]) -> list[dict[str, Any]]:
    """Runs of each grid; `shared` of them are in a grid before it too and are trained once."""
    counts = Counter(grid for run in runs for grid in run.grids)
    first = Counter(run.grids[0] for run in runs)
    return [
        {
            "grid": grid.name,
            "mixtures": len(grid.mixtures),
            "sizes": len(grid.sizes),
            "budgets": len(grid.budgets),
            "seeds": len(grid.seeds),
            "runs": counts[grid.name],
            "shared": counts[grid.name] - first[grid.name],
            "flops": sum(run.config.flops for run in runs if run.grids[0] == grid.name),
        }
        for grid in study.all_grids()
    ]


def _rounds(study: Study, runs: list[Run]) -> list[dict[str, Any]]:
    """Text and runs of each round; one round where the study's own models write nothing."""
    return [
        {
            "round": one.number,
            "recipes": list(one.recipes),
            "runs": len(one.runs),
            "writers": {name: run.name for name, run in one.writers.items()},
        }
        for one in rounds_of(study, runs)
    ]


def _mixture(name: str, shares: dict[str, float]) -> dict[str, Any]:
    kind, ratio = synthetic_part(shares)
    return {"mixture": name, "shares": shares, "synthetic_type": kind, "synthetic_ratio": ratio}


def _disk(runs: list[Run], need: dict[str, int]) -> float:
    """Models (fp32), states of trunks and one checkpoint with moments, token sets and texts."""
    models = sum(4 * run.config.shape.params_total for run in runs)
    models += sum(12 * run.config.shape.params_total for run in runs if run.config.trunk_steps)
    checkpoint = max(12 * run.config.shape.params_total for run in runs)
    tokens = sum(need.values())
    return models + checkpoint + tokens * (4 + BYTES_PER_TOKEN_BPE)


def _memory(study: Study, runs: list[Run]) -> dict[str, Any]:
    """What a process of the hungriest run needs, what this machine has for it, and what would fit.

    Machines of a cluster are not asked: there a run that does not fit says so before it begins.
    """
    execution = study.execution
    device = "cuda" if execution.asks_for_gpus and machine_bytes("cuda") else "cpu"
    run, need = hungriest(study, runs, device)
    processes = execution.processes_of(run.size)
    found = machine_bytes(device)
    if found is not None and device == "cpu":
        found /= default_workers(execution.workers, execution.threads) * processes
    fits = found is None or need <= found
    advice = "" if fits or found is None else what_fits(run.config, found, processes, device)
    return {"bytes": need, "found": found, "device": device, "fits": fits, "advice": advice}


def speeds_of(folder: Path | None, now: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Speeds measured `now`, else in `folder` by an earlier run of it, else the assumed ones."""
    measured = {**measured_speeds(folder), **(now or {})}
    return {
        "flops_per_second": measured.get("flops_per_second", ASSUMED_FLOPS),
        GENERATED: measured.get(GENERATED, {}),
        "measured": sorted(measured),
        "where": "now, on this machine" if now else "in this folder",
    }


def _generation_seconds(
    study: Study, written: Mapping[str, float], speeds: Mapping[str, Any]
) -> float:
    """Servers write side by side; engines that take this machine for themselves, in turn."""
    here, elsewhere = 0.0, [0.0]
    for name, tokens in written.items():
        seconds = tokens / speeds[GENERATED].get(name, ASSUMED_GENERATION)
        if study.generate.used_generators[name].base_url:
            elsewhere.append(seconds)
        else:
            here += seconds
    return max(here, *elsewhere)


def _given_lines(plan: dict[str, Any]) -> list[str]:
    needed = plan["source_tokens_needed"].items()
    listed = ", ".join(f"{name} {format_count(count)}" for name, count in needed)
    return [f"sources       {listed} tokens needed"] if listed else []


def _precision_lines(plan: dict[str, Any]) -> list[str]:
    found = plan.get("precision")
    if found is None:
        return []
    warning = [f"WARNING       {found['warning']}"] if found["warning"] else []
    return [f"precision     {found['said']}", *warning]


def _saving(training: dict[str, Any]) -> str:
    """What budgets that share a trunk save."""
    if not training["flops_saved"]:
        return ""
    share = training["flops_saved"] / (training["flops"] + training["flops_saved"])
    return (
        f"; budgets share a trunk, which saves {format_count(training['flops_saved'])} FLOP "
        f"({share:.0%} of separate runs)"
    )


def _vocabulary(tokenizer: dict[str, Any]) -> str:
    entries = f"; {tokenizer['vocab']:,} tokenizer entries"
    return entries if tokenizer["known"] else f"{entries} assumed: the tokenizer is not here"


def _room(memory: dict[str, Any]) -> str:
    if memory["found"] is None:
        return ""
    has = f" of {memory['found'] / 1e9:.3g} GB free for it on this machine's {memory['device']}"
    return has if memory["fits"] else f"{has}: DOES NOT FIT; {memory['advice']}"


def _run_lines(plan: dict[str, Any]) -> list[str]:
    """How many runs there are, by grid where there are several."""
    rows = []
    for grid in plan["grids"]:
        shared = f", {grid['shared']} of them in a grid above too" if grid["shared"] else ""
        rows.append(
            f"{grid['runs']}: "
            + " x ".join(_counted(grid[word], word) for word in FACTORS)
            + shared
        )
    if len(rows) == 1:
        return [f"runs          {rows[0]}", *_round_lines(plan["rounds"])]
    named = zip(plan["grids"], rows, strict=True)
    return [
        f"runs          {plan['runs']} in {len(rows)} grids",
        *(f"  {grid['grid']:<11} {row}" for grid, row in named),
        *_round_lines(plan["rounds"]),
    ]


def _round_lines(rounds: list[dict[str, Any]]) -> list[str]:
    """Rounds after the first: whose text is read, and how many runs read it."""
    lines = []
    for one in rounds[1:]:
        writers = ", ".join(dict.fromkeys(one["writers"].values()))
        lines.append(f"round {one['round']:<8}{one['runs']} runs read text by {writers}")
    return lines


def _counted(count: int, words: str) -> str:
    return f"{count} {words if count != 1 else words.removesuffix('s')}"


def _time_lines(plan: dict[str, Any]) -> list[str]:
    """Time and memory on machines like this one; a plan for GPUs has its own."""
    if plan["hardware"] is not None:
        return []
    training, speeds = plan["training"], plan["speeds"]
    where = f"measured {speeds['where']}"
    basis = where if speeds["measured"] else "assumed, not measured"
    return [
        f"time          generation {format_seconds(plan['generation_seconds'])}, training "
        f"{format_seconds(training['seconds'])} with {training['workers']} workers (speeds "
        f"{basis}: {format_count(speeds['flops_per_second'])} FLOP/s a worker, "
        f"{_generation_speeds(speeds)} generated tokens/s)",
        f"memory        {plan['memory_bytes_per_worker'] / 1e9:.3g} GB a process"
        + _room(plan["memory"]),
    ]


def _generation_speeds(speeds: dict[str, Any]) -> str:
    rates = speeds[GENERATED]
    if len(rates) < 2:
        return format_count(next(iter(rates.values()), ASSUMED_GENERATION))
    return " and ".join(f"{format_count(rate)} ({name})" for name, rate in rates.items())


def _bytes(count: float) -> str:
    return f"{count / 1e12:.3g} TB" if count >= 1e12 else f"{count / 1e9:.3g} GB"


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """The plan for people."""
    training = plan["training"]
    sizes = ", ".join(
        f"{s['size']} ({format_count(s['params'])} non-embedding, "
        f"{format_count(s['params_total'])} in all)"
        for s in plan["sizes"]
    )
    generated = ", ".join(
        f"{name} {format_count(count)}" for name, count in plan["tokens_to_generate"].items()
    )
    return [
        *_run_lines(plan),
        f"sizes         {sizes}{_vocabulary(plan['tokenizer'])}",
        f"budgets       {', '.join(format_count(b) for b in plan['budgets'])} tokens",
        f"training      {format_count(training['tokens'])} tokens, "
        f"{format_count(training['flops'])} FLOP{_saving(training)}",
        *_precision_lines(plan),
        f"natural       {format_count(plan['natural_tokens_needed'])} tokens needed; no source is "
        f"read more than {plan['max_epochs']:g} time{'s' if plan['max_epochs'] > 1 else ''}",
        *_given_lines(plan),
        *supply_lines(plan["supply"]),
        f"to generate   {generated or 'nothing'} tokens",
        *generation_lines(plan["generation"]),
        *account_lines(plan["hardware"]),
        *_time_lines(plan),
        f"disk          {_bytes(plan['disk_bytes'])}",
        *(f"warning       {warning}" for warning in plan["warnings"]),
    ]
