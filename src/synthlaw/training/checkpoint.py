"""Checkpoints: a folder of safetensors and JSON, whole under its name or not there at all.

    step-00000120/
      model.safetensors      fp32 weights, Hugging Face names without the leading `model.`
      model.json             the shape
      optimizer.safetensors  Adam's moments (absent when only the weights are kept)
      state.json             step, tokens, seconds, and the identity of the run

A new checkpoint gets a new name; older ones are removed only once it stands, so a kill at any
moment leaves at least one that loads.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.training.model import Llama
from synthlaw.training.optimizer import optimizer_tensors, restore_optimizer
from synthlaw.training.presets import ModelShape

PREFIX = "step-"


@dataclass(frozen=True)
class CheckpointState:
    """Where a run stands. step: updates done. tokens: trained on. seconds: spent training."""

    step: int
    tokens: int
    seconds: float
    identity: dict[str, Any]


def save_checkpoint(
    folder: Path,
    model: Llama,
    state: CheckpointState,
    optimizer: torch.optim.AdamW | None = None,
) -> Path:
    """Write a checkpoint as `folder`, atomically; without `optimizer` only weights and state.

    Raises SynthlawError when the disk refuses (full, read-only): nothing appears under the name.
    """
    try:
        with atomic_folder(folder) as aside:
            _save_tensors(model.state_dict(), aside / "model.safetensors")
            write_json(aside / "model.json", model.shape.model_dump(mode="json"))
            if optimizer is not None:
                moments = optimizer_tensors(model, optimizer)
                _save_tensors(moments, aside / "optimizer.safetensors")
            write_json(aside / "state.json", vars(state))
    except (OSError, SafetensorError) as error:
        copies = 3 if optimizer is not None else 1
        need = copies * sum(p.numel() * p.element_size() for p in model.parameters())
        raise SynthlawError(
            f"{folder}: could not write the checkpoint of {need / 1e6:.0f} MB: {error}. "
            "Earlier checkpoints are untouched; free space and run again to resume"
        ) from error
    return folder


def _save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    save_file(plain, path, metadata={"format": "pt"})


def load_shape(folder: Path) -> ModelShape:
    """The shape of a saved model. Raises UsageError when the folder holds none."""
    path = folder / "model.json"
    try:
        return ModelShape.model_validate(read_json(path))
    except (OSError, ValueError, ValidationError) as error:
        raise UsageError(
            f"{folder}: expected a model (model.json and model.safetensors); {error}"
        ) from error


def load_model(folder: Path, device: str = "cpu") -> Llama:
    """The model saved in a checkpoint or model folder, fp32, in evaluation mode.

    Raises UsageError when the folder holds no model or its weights do not fit its shape.
    """
    shape = load_shape(folder)
    with torch.device("meta"):
        model = Llama(shape)
    try:
        weights = load_file(folder / "model.safetensors", device=device)
        model.load_state_dict(weights, assign=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UsageError(f"{folder}: model.safetensors cannot be used: {error}") from error
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model.eval()


def load_checkpoint(
    folder: Path, model: Llama, optimizer: torch.optim.AdamW | None = None
) -> CheckpointState:
    """Fill `model` (and `optimizer`) from a checkpoint, in place, bit for bit.

    Raises SynthlawError when a file is missing or damaged.
    """
    try:
        state = CheckpointState(**read_json(folder / "state.json"))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        if optimizer is not None:
            moments = load_file(folder / "optimizer.safetensors")
            restore_optimizer(model, optimizer, moments, state.step)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise SynthlawError(
            f"{folder}: the checkpoint cannot be read: {error}. Remove this folder to resume "
            "from an earlier one"
        ) from error
    return state


def step_folder(checkpoints: Path, step: int) -> Path:
    """Name of the checkpoint after `step` updates."""
    return checkpoints / f"{PREFIX}{step:08d}"


def saved_steps(checkpoints: Path) -> list[int]:
    """Steps that have a whole checkpoint, rising."""
    found = checkpoints.glob(f"{PREFIX}*") if checkpoints.is_dir() else ()
    return sorted(int(p.name.removeprefix(PREFIX)) for p in found)


def keep_last(checkpoints: Path, count: int) -> None:
    """Remove all but the `count` newest checkpoints."""
    for step in saved_steps(checkpoints)[:-count]:
        shutil.rmtree(step_folder(checkpoints, step))
