"""Checkpoints and trained models: safetensors and JSON, whole under their name or not there.

    step-00000120/                             one that a run resumes from; see `save_checkpoint`
      shard-00001-model-00001-of-00003.safetensors    process 1's slices of the fp32 weights,
      shard-00001-model-00002-of-00003.safetensors    of Adam's first moments,
      shard-00001-model-00003-of-00003.safetensors    and of the second
      model.json             the shape
      state.json             step, tokens, seconds, identity of the run, the files and their sizes
    model/                                     what a run ends with; see `save_model`
      model.safetensors      fp32 weights, Hugging Face names without the leading `model.`
      optimizer.safetensors  the moments, if kept
      model.json, state.json

Slices are written and read by torch.distributed.checkpoint, so another number of processes can
go on. A new checkpoint gets a new name; older ones are removed only once it stands, so a kill at
any moment leaves at least one that loads.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.training.model import Llama
from synthlaw.training.optimizer import MOMENTS, optimizer_tensors, restore_optimizer
from synthlaw.training.parallel import World, whole_tensor
from synthlaw.training.presets import ModelShape

PREFIX = "step-"
STATE_FILE = "state.json"
SHAPE_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
ALONE = "shard-00001-model-{:05d}-of-00003.safetensors"
"""The file of one kind of tensors that a single process writes, by DCP's rule for names."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class CheckpointState:
    """Where a run stands. step: updates done. tokens: trained on. seconds: spent training."""

    step: int
    tokens: int
    seconds: float
    identity: dict[str, Any]


def save_checkpoint(
    folder: Path, model: Llama, state: CheckpointState, optimizer: torch.optim.AdamW, world: World
) -> None:
    """Write the checkpoint `folder`, atomically, every process its slices; all must call.

    Raises SynthlawError when the disk refuses (full, read-only): nothing appears under the name.
    """
    weights: Tensors = dict(model.state_dict())
    tensors = {**weights, **optimizer_tensors(model, optimizer)}

    def fill(aside: Path) -> None:
        _write_slices(tensors, aside, world)

    def finish(aside: Path) -> None:
        write_json(aside / SHAPE_FILE, model.shape.model_dump(mode="json"))
        files = {path.name: path.stat().st_size for path in sorted(aside.glob("*.safetensors"))}
        write_json(aside / STATE_FILE, {**asdict(state), "files": files})

    _write_folder(folder, fill, finish, world, _bytes_of(tensors))


def save_model(
    folder: Path,
    model: Llama,
    state: CheckpointState,
    world: World,
    optimizer: torch.optim.AdamW | None = None,
) -> None:
    """Write the model `folder` with whole tensors, atomically; all processes must call.

    With `optimizer` its moments too. Raises SynthlawError when the disk refuses.
    """
    moments = optimizer_tensors(model, optimizer) if optimizer is not None else {}
    size = _bytes_of({**model.state_dict(), **moments})
    weights = _gathered(model.state_dict(), world)
    moments = _gathered(moments, world)

    def finish(aside: Path) -> None:
        save_file(weights, aside / WEIGHTS_FILE, metadata={"format": "pt"})
        write_json(aside / SHAPE_FILE, model.shape.model_dump(mode="json"))
        if moments:
            save_file(moments, aside / "optimizer.safetensors", metadata={"format": "pt"})
        write_json(aside / STATE_FILE, asdict(state))

    _write_folder(folder, lambda aside: None, finish, world, size)


def _gathered(tensors: Tensors, world: World) -> Tensors:
    """The tensors whole in the leader's memory, gathered one at a time; elsewhere nothing."""
    found = {}
    for name, tensor in tensors.items():
        whole = whole_tensor(tensor.detach())
        if world.leads:
            found[name] = whole.cpu().contiguous()
    return found


def _bytes_of(tensors: Tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _write_folder(
    folder: Path,
    fill: Callable[[Path], None],
    finish: Callable[[Path], None],
    world: World,
    size: int,
) -> None:
    """Let every process `fill` a folder aside and the leader `finish` it and give it its name."""
    try:
        with ExitStack() as stack:
            aside = world.lead(lambda: stack.enter_context(atomic_folder(folder)))
            fill(aside)

            def name() -> None:
                finish(aside)
                stack.close()

            world.lead(name)
    except _failures() as error:
        raise SynthlawError(
            f"{folder}: could not write the checkpoint of {size / 1e6:.0f} MB: {_reason(error)}. "
            "Earlier checkpoints are untouched; free space and run again to resume"
        ) from error


def _failures() -> tuple[type[BaseException], ...]:
    """What reading and writing raise. DCP's own error is no Exception, and gathers all ranks'."""
    usual = (OSError, SafetensorError, SynthlawError, RuntimeError, ValueError, KeyError, TypeError)
    module = sys.modules.get("torch.distributed.checkpoint.api")
    return usual if module is None else (*usual, module.CheckpointException)


def _reason(error: BaseException) -> str:
    """One line: of an error that gathers several processes', the first one's."""
    gathered = getattr(error, "failures", None)
    if gathered:
        rank, (first, _) = next(iter(gathered.items()))
        return f"process {rank}: {first}"
    return str(error)


def _write_slices(tensors: Tensors, folder: Path, world: World) -> None:
    if world.mesh is None:
        # What DCP would write for one process, without its import, as slow as torch's own, and
        # without the second copy in memory that it serialises.
        for kind in set(map(_kind, tensors)):
            whole = {
                n: t.detach().cpu().contiguous() for n, t in tensors.items() if _kind(n) == kind
            }
            save_file(whole, folder / ALONE.format(kind), metadata={"format": "pt"})
        return
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    kinds = {name: _kind(name) for name in tensors}
    save(
        tensors,
        storage_writer=HuggingFaceStorageWriter(
            str(folder), fqn_to_index_mapping=kinds, save_distributed=True
        ),
    )


def _kind(name: str) -> int:
    """The file of a tensor: 1 for weights, then one for each moment."""
    moment, slash, _ = name.partition("/")
    return 2 + MOMENTS.index(moment) if slash else 1


def _read_slices(tensors: Tensors, folder: Path, *, alone: bool) -> None:
    """Fill `tensors` in place from the slices in `folder`, whoever wrote them.

    alone: whether this process reads for itself; else all processes of the world read theirs.
    """
    if alone and not list(folder.glob("shard-00002-*")):
        for kind in set(map(_kind, tensors)):
            found = load_file(folder / ALONE.format(kind))
            for name in (n for n in tensors if _kind(n) == kind):
                tensors[name].detach().copy_(found[name])
        return
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    with warnings.catch_warnings():
        # It tells that there is one process, which is what we mean.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        load(tensors, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=alone)


def load_checkpoint(
    folder: Path, model: Llama, optimizer: torch.optim.AdamW, world: World
) -> CheckpointState:
    """Fill `model` and `optimizer` from a checkpoint, in place, bit for bit; all must call.

    Raises SynthlawError when a file is missing or damaged.
    """
    try:
        state = world.lead(lambda: _checked_state(folder))
        weights: Tensors = dict(model.state_dict())
        moments = {
            f"{moment}/{name}": torch.empty_like(parameter, requires_grad=False)
            for name, parameter in model.named_parameters()
            for moment in MOMENTS
        }
        _read_slices({**weights, **moments}, folder, alone=world.mesh is None)
        restore_optimizer(model, optimizer, moments, state.step)
    except _failures() as error:
        raise SynthlawError(
            f"{folder}: the checkpoint cannot be read: {_reason(error)}. Remove this folder to "
            "resume from an earlier one"
        ) from error
    return state


def _checked_state(folder: Path) -> CheckpointState:
    """The state of a checkpoint whose files are all there and of their size."""
    values = read_json(folder / STATE_FILE)
    for name, size in values.pop("files").items():
        path = folder / name
        found = path.stat().st_size if path.exists() else None
        if found != size:
            said = "is missing" if found is None else f"has {found} bytes"
            raise SynthlawError(f"{name} {said}; expected {size} bytes")
    return CheckpointState(**values)


def load_shape(folder: Path) -> ModelShape:
    """The shape of a saved model. Raises UsageError when the folder holds none."""
    try:
        return ModelShape.model_validate(read_json(folder / SHAPE_FILE))
    except (OSError, ValueError, ValidationError) as error:
        raise UsageError(
            f"{folder}: expected a model ({SHAPE_FILE} and {WEIGHTS_FILE}); {error}"
        ) from error


def load_model(folder: Path, device: str = "cpu") -> Llama:
    """The model saved in a checkpoint or model folder, fp32, in evaluation mode.

    Raises UsageError when the folder holds no model or its weights do not fit its shape.
    """
    shape = load_shape(folder)
    with torch.device("meta"):
        model = Llama(shape)
    try:
        if (folder / WEIGHTS_FILE).exists() or not (folder / STATE_FILE).exists():
            weights = load_file(folder / WEIGHTS_FILE, device=device)
        else:
            _checked_state(folder)
            weights = {
                n: torch.empty(t.shape, device=device) for n, t in model.state_dict().items()
            }
            _read_slices(weights, folder, alone=True)
        model.load_state_dict(weights, assign=True)
    except _failures() as error:
        raise UsageError(f"{folder}: its weights cannot be used: {_reason(error)}") from error
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model.eval()


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
