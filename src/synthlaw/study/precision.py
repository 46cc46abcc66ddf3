"""The precision of a study: settled on the workers' machines once, before the first run.

`precision.json` in the study folder keeps it. It is part of every run's key, so a study that goes
on elsewhere goes on in the precision that it began with, whatever `auto` would say there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from synthlaw.common.errors import SynthlawError
from synthlaw.common.machine import processor_digest
from synthlaw.common.progress import say
from synthlaw.execute.base import Executor, Failure
from synthlaw.study.grid import planned_vocab, runs_of
from synthlaw.study.spec import Study
from synthlaw.training.precision import (
    PrecisionRecord,
    PrecisionRequest,
    kept_precision,
    request_of,
)

PRECISION = "synthlaw.training.precision"

Settle = Callable[[PrecisionRequest], PrecisionRecord]
"""Asks a machine of the kind that runs are executed on."""


def precision_request(study: Study, base: Path) -> PrecisionRequest:
    """What the study asks, at the shapes of its most costly run; base: where its paths start."""
    vocab, _ = planned_vocab(study, base)
    config = max(runs_of(study, vocab), key=lambda run: run.config.flops).config
    return request_of(config, study.training.dtype)


def settled_by(executor: Executor, request: PrecisionRequest) -> PrecisionRecord:
    """`settle_precision` on a machine that the executor's jobs run on.

    Raises SynthlawError when none can be asked.
    """
    ((_, answer),) = executor.map(f"{PRECISION}:settle_job", [request.model_dump(mode="json")])
    if isinstance(answer, Failure):
        raise SynthlawError(f"precision: no worker could settle it: {answer.message}")
    return PrecisionRecord.model_validate(answer)


def settled_study(
    study: Study, base: Path, folder: Path, settle: Settle, *, local: bool = True
) -> Study:
    """The study with the precision that its folder keeps, settled now if there is none.

    local: runs are executed on this machine, so that what has changed since can be told.
    """
    request = precision_request(study, base)
    before = PrecisionRecord.read(folder)
    record = kept_precision(folder, request.asked, lambda: settle(request))
    if before is None:
        say(f"precision: {record.line()}")
    elif record.dtype != before.dtype:
        say(f"precision: {record.line()}; runs made in {before.dtype} are no part of it any more")
    elif local and record.processor != processor_digest():
        here = settle(request.model_copy(update={"asked": record.dtype}))
        record = _elsewhere(record, here)
    if warning := record.warning():
        say(f"warning: {warning}")
    return with_precision(study, record)


def _elsewhere(record: PrecisionRecord, here: PrecisionRecord) -> PrecisionRecord:
    """Say that the study began on another kind of machine; what its precision costs on this one."""
    has = f"this one has bf16 by {here.native}" if here.native else "this one emulates bf16"
    say(
        f"precision: {record.dtype}, as this study began on another machine ({record.machine}); "
        f"{has}, and every run of a study keeps to one precision"
    )
    return record.model_copy(
        update={"machine": here.machine, "native": here.native, "ratio": here.ratio}
    )


def with_precision(study: Study, record: PrecisionRecord | None) -> Study:
    """The study with `auto` replaced by what was settled, if anything was."""
    if record is None:
        return study
    training = study.training.model_copy(update={"dtype": record.dtype})
    return study.model_copy(update={"training": training})
