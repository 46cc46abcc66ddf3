"""A run that another trainer makes: its folder, its command, and what it left, read with limits.

    run/run.json       what to train: shape, budget, schedule, seed, shares, data, domains
    run/data/          the mixture in the format asked for (tokens/export.py)
    run/result.json    by the command: {"loss": {domain: nats per token}} or {"checkpoint": folder}
    run/trainer.log    what the command printed

The command finds the folder as it left it when a stopped run goes on, so it can resume from files
of its own. The mixture is removed when the run is done: it can be written again.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.guarded_process import GuardedProcess
from synthlaw.study.run.task import RunTask
from synthlaw.study.spec.trainer import TrainerSpec
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.export import export_mixture
from synthlaw.tokens.mixture import Mixture
from synthlaw.tokens.tokenizer import Tokenizer
from synthlaw.training.interrupt import InterruptedRunError, stop_on_signal
from synthlaw.training.result import TrainingResult, write_result

FOLDER, RUN_FILE, RESULT, LOG = "run", "run.json", "result.json", "trainer.log"
LOSSES_FILE = "losses.json"
"""Beside our own result: losses by domain that the trainer gave itself."""

RUN_VERSION = 1
LARGEST_RESULT = 1 << 20
LOOK_EVERY_SECONDS = 0.2
EXPECTED = (
    'expected {"loss": {domain: nats per token, …}} or {"checkpoint": a Hugging Face folder}, '
    'or {"status": "diverged"}'
)


@dataclass(frozen=True)
class _Result:
    """What the trainer said. losses: by domain; checkpoint: a folder that we score."""

    diverged: bool = False
    losses: Mapping[str, float] | None = None
    checkpoint: Path | None = None
    seconds: float | None = None


def check_trainer(trainer: TrainerSpec, base: Path) -> None:
    """Raise UsageError when the command's program is not on this machine."""
    program = trainer.command[0]
    place = base / program if "/" in program else Path(shutil.which(program) or "")
    if "{run}" not in program and not place.is_file():
        raise UsageError(f"trainer.command: found no program {program!r}; expected one on PATH")


def train_elsewhere(task: RunTask, work: Path) -> float:
    """Train the run in `work` by the study's own command; returns seconds of this attempt.

    Leaves what our trainer leaves: `result.json`, and `model/` or `losses.json`. Raises
    SynthlawError, with the command's last words, when it fails or its result is of no use, and
    InterruptedRunError when we are told to stop: the command is told so too, and may save.
    """
    assert task.trainer is not None
    folder = work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    _prepare(task, folder)
    if not (folder / RESULT).exists():
        _run(task, folder)
    result = _read_result(task, folder)
    seconds = time.monotonic() - started
    _adopt(task, work, result, seconds if result.seconds is None else result.seconds)
    shutil.rmtree(folder / "data", ignore_errors=True)
    return seconds


def _prepare(task: RunTask, folder: Path) -> None:
    """Write the mixture and the description of the run."""
    assert task.trainer is not None
    config, form = task.config, task.trainer.format
    sampler = task.sampler()
    tokenizer = Tokenizer(task.tokenizer) if task.tokenizer and form != "megatron" else None
    windows = config.steps * config.rows
    facts = export_mixture(
        Mixture(sampler, windows, config.shape.vocab, tokenizer), form, folder / "data"
    )
    write_json(folder / RUN_FILE, description(task, facts))


def description(task: RunTask, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.json` says; see docs/training.md."""
    config = task.config
    return {
        "version": RUN_VERSION,
        "name": task.name,
        "seed": config.seed,
        "model": {
            **config.shape.model_dump(mode="json"),
            "hidden": config.shape.hidden,
            "params": config.shape.params,
            "params_total": config.shape.params_total,
        },
        "training": {
            "context": config.context,
            "batch_tokens": config.batch_tokens,
            "windows_per_step": config.rows,
            "steps": config.steps,
            "tokens": config.tokens,
            "learning_rate": config.learning_rate,
            "warmup": config.warmup,
            "min_lr_ratio": config.min_lr_ratio,
            "betas": [config.beta1, config.beta2],
            "epsilon": config.epsilon,
            "weight_decay": config.weight_decay,
            "clip": config.clip,
            "dtype": config.dtype,
        },
        "phases": [{"window": start, "shares": shares} for start, shares in task.phases],
        "data": {"folder": "data", **facts},
        "tokenizer": task.tokenizer,
        "domains": {name: str(path) for name, path in task.domains.items()},
        "result": RESULT,
    }


def _run(task: RunTask, folder: Path) -> None:
    assert task.trainer is not None
    log = folder / LOG
    command = task.trainer.words(str(folder))
    threads = {"OMP_NUM_THREADS": str(task.config.threads or 1)}
    with stop_on_signal() as stop:
        process = GuardedProcess(
            command, environment={**threads, **os.environ}, log=log, folder=task.base
        )
        try:
            while (ended := process.ended()) is None:
                if stop.came:
                    process.stop()
                    raise InterruptedRunError(
                        f"stopped by {stop.signal.name}; run again to go on", stop.signal
                    )
                time.sleep(LOOK_EVERY_SECONDS)
        finally:
            process.stop()
    if not process.succeeded():
        raise SynthlawError(f"trainer.command: {ended}: {process.last_errors()}")
    if not (folder / RESULT).exists():
        raise SynthlawError(
            f"trainer.command: ended well and left no {folder / RESULT}; {EXPECTED}"
        )


def _read_result(task: RunTask, folder: Path) -> _Result:
    """The command's result, checked; one of no use is set aside, so that a rerun asks again."""
    path = folder / RESULT
    try:
        return _parsed(task, folder, _table(path))
    except SynthlawError:
        path.replace(path.with_suffix(".refused.json"))
        raise


def _table(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_RESULT:
        raise SynthlawError(f"{path}: found more than 1 MiB; {EXPECTED}")
    try:
        value = read_json(path)
    except (ValueError, RecursionError) as error:
        raise SynthlawError(f"{path}: found no JSON ({error}); {EXPECTED}") from None
    if not isinstance(value, dict):
        raise SynthlawError(f"{path}: found {type(value).__name__}; {EXPECTED}")
    return value


def _parsed(task: RunTask, folder: Path, value: Mapping[str, Any]) -> _Result:
    path = folder / RESULT
    seconds = value.get("seconds")
    if seconds is not None and not (_is_number(seconds) and 0 <= seconds < math.inf):
        raise SynthlawError(f"{path}: seconds: found {seconds!r}; expected a number")
    if value.get("status", "finished") == "diverged":
        return _Result(diverged=True, seconds=seconds)
    if value.get("status", "finished") != "finished":
        raise SynthlawError(
            f"{path}: status: found {value['status']!r}; expected finished or diverged"
        )
    given = [key for key in ("loss", "checkpoint") if key in value]
    if len(given) != 1:
        raise SynthlawError(f"{path}: found {sorted(value)}; {EXPECTED}")
    if task.downstream is not None and given != ["checkpoint"]:
        raise SynthlawError(f"{path}: found losses; evaluation.tasks need a checkpoint to answer")
    if given == ["checkpoint"]:
        place = folder / str(value["checkpoint"])
        if not place.is_dir():
            raise SynthlawError(f"{path}: checkpoint: found no folder {place}; {EXPECTED}")
        return _Result(checkpoint=place, seconds=seconds)
    return _Result(losses=_losses(task, path, value["loss"]), seconds=seconds)


def _losses(task: RunTask, path: Path, found: Any) -> dict[str, float]:
    """A loss for every domain of the study."""
    if not isinstance(found, dict) or set(found) != set(task.domains):
        names = sorted(found) if isinstance(found, dict) else found
        raise SynthlawError(
            f"{path}: loss: found {names!r}; expected a number for each of "
            f"{', '.join(task.domains)}"
        )
    for name, loss in found.items():
        if not _is_number(loss) or not 0 < loss < math.inf:
            raise SynthlawError(
                f"{path}: loss.{name}: found {loss!r}; expected nats per token above 0, or "
                '{"status": "diverged"}'
            )
    return {name: float(found[name]) for name in task.domains}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _adopt(task: RunTask, work: Path, result: _Result, seconds: float) -> None:
    """Leave the result as our own trainer would."""
    config = task.config
    model = None
    if result.checkpoint is not None:
        model = work / "model"
        _import(task, result.checkpoint, model)
    if result.losses is not None:
        write_json(work / LOSSES_FILE, dict(result.losses))
    left = TrainingResult(
        status="diverged" if result.diverged else "finished",
        steps=config.steps,
        tokens=config.tokens,
        params=config.shape.params,
        params_total=config.shape.params_total,
        flops=config.flops,
        loss=math.nan,
        seconds=seconds,
        message="trained by the study's own command",
        model=model,
    )
    assert task.trainer is not None
    identity = {"config": config.identity(), "trainer": task.trainer.model_dump(mode="json")}
    write_result(left, work, identity)


def _import(task: RunTask, checkpoint: Path, model: Path) -> None:
    """Keep the checkpoint as our own model. Raises SynthlawError for another model than asked."""
    import torch

    from synthlaw.training.checkpoint import CheckpointState, save_model
    from synthlaw.training.export import import_model
    from synthlaw.training.parallel import World

    llama = import_model(checkpoint)
    asked, found = task.config.shape, llama.shape
    for name in ("dim", "layers", "heads", "hidden"):
        if getattr(found, name) != getattr(asked, name):
            raise SynthlawError(
                f"{checkpoint}: {name}: found {getattr(found, name)}; run.json asks for "
                f"{getattr(asked, name)}"
            )
    largest = max(TokenDataset(path).manifest.vocab for path in task.domains.values())
    if found.vocab < largest:
        raise SynthlawError(
            f"{checkpoint}: vocab: found {found.vocab}; the tokenizer has {largest} entries"
        )
    state = CheckpointState(task.config.steps, task.config.tokens, 0.0, {})
    save_model(model, llama, state, World(0, 1, torch.device("cpu")))
