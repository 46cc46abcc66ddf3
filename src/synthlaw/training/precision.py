"""In which precision to multiply: settled once, recorded, and kept where the record goes.

    asked     device                          becomes
    fp32      any                          fp32
    bf16      any                          bf16; where it is emulated, with a warning of its cost
    auto      emulates bf16                fp32, without a measurement
    auto      multiplies bf16 natively     bf16 if a step of training at the asked shapes takes at
                                           most `NO_SLOWER` times as long as in fp32, else fp32

What may be measured comes last, and only where bf16 can win, so a machine that emulates it always
gives the same answer. Run as a module, this settles the request on standard input and prints the
record: a study asks a process of its own, so that its own process need not load torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.machine import die_with, processor_digest, processor_name
from synthlaw.training.config import Precision, TrainingConfig
from synthlaw.training.presets import ModelShape

if TYPE_CHECKING:  # brings torch
    import torch

AskedPrecision = Literal["auto", "bf16", "fp32"]

PRECISION_FILE = "precision.json"

NO_SLOWER = 1.05
"""A step in bf16 that takes so many times fp32's counts as no slower: the measurement's noise."""

MEASURE_SECONDS = 0.8
STEP_SECONDS, STEP_SECONDS_EMULATED = 0.05, 0.01
"""An fp32 step is made this long, if the batch allows. Emulated products take some fifty times as
long, so that one step then takes half a second."""

AWAIT_SECONDS = 120.0

HEAD_WEIGHTS = 1 << 24
"""The measured head has at most so many weights: a part of a large vocabulary stands for it."""


class PrecisionRequest(BaseModel):
    """What is asked and the shapes that it is for: the most costly run's.

    rows: of a forward pass. threads: of the CPU, 0 to leave torch's setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: AskedPrecision
    shape: ModelShape
    context: int
    rows: int
    device: str = "auto"
    threads: int = 0


class PrecisionRecord(BaseModel):
    """What was settled, and from what.

    machine: the device's name. native: its instructions for bf16, empty where it emulates them.
    ratio: seconds of a training step in bf16 over those in fp32; None when not measured.
    processor: see `machine.processor_digest`.
    """

    model_config = ConfigDict(frozen=True)

    asked: AskedPrecision
    dtype: Precision
    machine: str
    native: str
    processor: str
    ratio: float | None = None

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The record in `folder`, None where there is none. Raises UsageError for a damaged one."""
        path = folder / PRECISION_FILE
        try:
            return cls.model_validate(read_json(path))
        except FileNotFoundError:
            return None
        except ValueError as error:
            said = " ".join(str(error).split())
            raise UsageError(
                f"{path}: is no record of a precision ({said}); restore it, or remove it to settle "
                "the precision again"
            ) from None

    def write(self, folder: Path) -> None:
        """Leave the record in `folder`."""
        write_json(folder / PRECISION_FILE, self.model_dump(mode="json"))

    def line(self) -> str:
        """What was settled and why, for people."""
        has = f"bf16 by {self.native}" if self.native else "no instructions for bf16"
        took = "" if self.ratio is None else f"; a step in bf16 took {self.ratio:.3g} x fp32's"
        return f"{self.dtype} ({self.asked} was asked; {self.machine}: {has}{took})"

    def warning(self) -> str | None:
        """What bf16 costs where it is emulated; None where nothing is to be said."""
        if self.dtype == "fp32" or self.ratio is None or self.ratio <= NO_SLOWER:
            return None
        return (
            f"dtype bf16 is emulated on this machine ({self.machine}): a step of training was "
            f"measured to take {self.ratio:.3g} times as long as in fp32, which dtype auto takes"
        )


def request_of(config: TrainingConfig, asked: AskedPrecision) -> PrecisionRequest:
    """What is asked for a run of `config` in one process."""
    return PrecisionRequest(
        asked=asked,
        shape=config.shape,
        context=config.context,
        rows=config.micro_batch or config.rows,
        device=config.device,
        threads=config.threads,
    )


def settle_precision(request: PrecisionRequest) -> PrecisionRecord:
    """The precision of the request on this machine, by the rule at the head of this file.

    Takes about a second where it measures. Raises UsageError for a device that is not there.
    """
    from synthlaw.training.device import bf16_instructions, choose_device

    device = choose_device(request.device)
    native = bf16_instructions(device)
    machine = processor_name() if device.type == "cpu" else native or device.type
    record = PrecisionRecord(
        asked=request.asked,
        dtype="fp32",
        machine=machine,
        native=native,
        processor=processor_digest(),
    )
    if request.asked == "fp32" or (request.asked == "auto" and not native):
        return record
    if request.asked == "bf16" and native:
        return record.model_copy(update={"dtype": "bf16"})
    ratio = measured_ratio(request, device, bool(native))
    wanted = request.asked == "bf16" or ratio <= NO_SLOWER
    return record.model_copy(
        update={"dtype": "bf16" if wanted else "fp32", "ratio": float(f"{ratio:.3g}")}
    )


def kept_precision(
    folder: Path, asked: AskedPrecision, settle: Callable[[], PrecisionRecord]
) -> PrecisionRecord:
    """The precision of what `folder` holds: the one on record, unless another is asked by name.

    Where there is no record, `settle` makes it.
    """
    found = PrecisionRecord.read(folder)
    if found is not None and asked in ("auto", found.dtype):
        return found
    record = settle()
    folder.mkdir(parents=True, exist_ok=True)
    record.write(folder)
    return record


def awaited_precision(folder: Path, asked: AskedPrecision) -> Precision:
    """What the first of several processes settles and leaves in `folder`, which all of them see.

    Raises SynthlawError when nothing is left there in time.
    """
    if asked != "auto":
        return asked
    until = time.monotonic() + AWAIT_SECONDS
    while (record := PrecisionRecord.read(folder)) is None:
        if time.monotonic() > until:
            raise SynthlawError(
                f"{folder / PRECISION_FILE}: the first process has left none within "
                f"{AWAIT_SECONDS:g} s; expected a folder that all processes share"
            )
        time.sleep(0.05)
    return record.dtype


def measured_ratio(request: PrecisionRequest, device: torch.device, native: bool) -> float:
    """Seconds of forward and backward in bf16 over those in fp32, the least of several each.

    One layer of the shape and its head, on as much of the batch as fp32 takes STEP_SECONDS for.
    One thread is timed in CPU seconds, which other work on the machine does not stretch.
    """
    from synthlaw.training.device import cpu_threads

    with cpu_threads(request.threads):
        step = _Step(request, device, STEP_SECONDS if native else STEP_SECONDS_EMULATED)
        until = time.monotonic() + MEASURE_SECONDS
        fp32, bf16 = step.seconds("fp32"), step.seconds("bf16")
        while time.monotonic() < until:
            fp32 = min(fp32, step.seconds("fp32"))
            bf16 = min(bf16, step.seconds("bf16"))
    return bf16 / fp32


class _Step:
    """A training step without its update, grown until fp32 takes `enough` seconds for it."""

    def __init__(self, request: PrecisionRequest, device: torch.device, enough: float) -> None:
        import torch

        from synthlaw.training.model import Llama, initialise

        vocab = min(request.shape.vocab, max(256, HEAD_WEIGHTS // request.shape.dim))
        self.shape = request.shape.model_copy(update={"layers": 1, "vocab": vocab})
        self.model, self.device = Llama(self.shape), device
        initialise(self.model, 0)
        self.model.to(device)
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        self.clock = time.process_time if alone else time.perf_counter
        rows, context = 1, min(64, request.context)
        while True:
            self.tokens = torch.randint(vocab, (rows, context + 1), device=device)
            if min(self.seconds("fp32"), self.seconds("fp32")) >= enough:
                break
            if context < request.context:
                context = min(2 * context, request.context)
            elif rows < request.rows:
                rows = min(2 * rows, request.rows)
            else:
                break

    def seconds(self, dtype: Precision) -> float:
        """How long one step takes."""
        from synthlaw.training.device import autocast

        self._wait()
        started = self.clock()
        with autocast(self.device, dtype):
            loss = self.model(self.tokens[:, :-1], self.tokens[:, 1:])
        loss.backward()
        self._wait()
        return self.clock() - started

    def _wait(self) -> None:
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize()


def settle_here(request: PrecisionRequest) -> PrecisionRecord:
    """`settle_precision` in a process of its own, which is all that loads torch.

    Raises SynthlawError, or UsageError for a device that is not there.
    """
    command = [sys.executable, "-m", "synthlaw.training.precision"]
    done = subprocess.run(
        command, input=request.model_dump_json(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        kind = UsageError if done.returncode == UsageError.exit_status else SynthlawError
        raise kind(said)
    return PrecisionRecord.model_validate_json(done.stdout)


def settle_json(text: str) -> str:
    """`settle_precision` for a request that travelled as JSON; runs on the machine of a worker."""
    return settle_precision(PrecisionRequest.model_validate_json(text)).model_dump_json()


def settle_job(request: dict[str, Any], report: Callable[[float], None]) -> dict[str, Any]:
    """`settle_precision` as a job of an executor."""
    return settle_precision(PrecisionRequest.model_validate(request)).model_dump(mode="json")


if __name__ == "__main__":
    die_with(os.getppid())
    try:
        sys.stdout.write(settle_json(sys.stdin.read()))
    except SynthlawError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_status)
