"""How a run ended: `result.json` in its folder, written last, and read again by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.training.metrics import read_metrics

MODEL_FOLDER = "model"
RESULT_FILE = "result.json"
DATA_FILE = "data.json"
"""Beside a run: the token sets that it reads, by identity, and their tokenizer."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended; also `result.json` in its folder, written last.

    status: 'finished', or 'diverged' when a loss or gradient stopped being finite; `steps` and
    `tokens` are then what was trained before. loss: mean training loss of the last steps (a tenth
    of them, at most 100), nats per token. seconds: spent training, all attempts that counted.
    model: folder of the trained weights; None when the run diverged.
    """

    status: Literal["finished", "diverged"]
    steps: int
    tokens: int
    params: int
    params_total: int
    flops: float
    loss: float
    seconds: float
    message: str
    model: Path | None


def finished_result(out: Path, identity: dict[str, Any]) -> TrainingResult | None:
    """The result in `out`, None when there is none yet; UsageError when it is another run's."""
    path = out / RESULT_FILE
    if not path.exists():
        return None
    values = read_json(path)
    check_same_run(values.pop("identity"), identity, out)
    values["model"] = out / values["model"] if values["model"] else None
    values["loss"] = math.nan if values["loss"] is None else values["loss"]
    return TrainingResult(**values)


def check_same_run(found: dict[str, Any], wanted: dict[str, Any], out: Path) -> None:
    """Raise UsageError, naming every difference, when `out` holds a run of another identity."""
    if found == wanted:
        return
    old, new = {**found, **found["config"]}, {**wanted, **wanted["config"]}
    names = sorted(set(old) | set(new))
    changed = [n for n in names if n != "config" and old.get(n) != new.get(n)]
    said = "; ".join(f"{n}: found {old.get(n)!r}, now {new.get(n)!r}" for n in changed)
    raise UsageError(f"{out}: holds another run ({said}); choose another folder or remove this one")


def write_result(result: TrainingResult, out: Path, identity: dict[str, Any]) -> None:
    """Write the result with the identity of its run."""
    values: dict[str, Any] = {**vars(result), "identity": identity}
    values["loss"] = result.loss if math.isfinite(result.loss) else None
    values["model"] = MODEL_FOLDER if result.model else None
    write_json(out / RESULT_FILE, values)


def recent_loss(path: Path) -> float:
    """Mean loss of the last tenth of the logged steps, at most 100; NaN when there is none."""
    losses = [row["loss"] for row in read_metrics(path)]
    count = min(100, max(1, len(losses) // 10))
    return float(np.mean(losses[-count:])) if losses else math.nan
