"""One run on many processes: who they are, what they agree on, how the model is spread over them.

torchrun starts the same program once per GPU. Every process keeps a slice of the weights, their
gradients and moments (FSDP2), or, with `shard_group`, a slice of one of several copies (HSDP:
slices within a machine, copies across machines). A step's rows are dealt to them in order, so
batch and data order are those of one process; sums of losses and gradients differ by rounding.

The model knows nothing of this. A run without torchrun is a world of one, and takes no detour.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.training.config import TrainingConfig
from synthlaw.training.device import choose_device
from synthlaw.training.launch import LostProcessError, die_with_parent
from synthlaw.training.memory import check_memory, machine_bytes

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from synthlaw.training.model import Llama

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes that train one run. rank: this one's number. mesh: None for a single one."""

    rank: int
    size: int
    device: torch.device
    mesh: DeviceMesh | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> torch.Tensor:
        """This process's rows of a step's [rows, …], in order, on its device."""
        count = len(rows) // self.size
        part = rows[self.rank * count : (self.rank + 1) * count]
        return torch.from_numpy(part).to(self.device, non_blocking=True)

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place."""
        if self.mesh is not None:
            dist.all_reduce(value)
        return value

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is up on any process."""
        if self.mesh is None:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.int32, device=self.device)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def wait(self) -> None:
        """Return once every process is here."""
        if self.mesh is not None:
            dist.barrier()

    def lead(self, work: Callable[[], T]) -> T:
        """What `work` returns on the leader, the only one to do it; its error is raised on all.

        So a file that one machine sees and another does not yet see cannot part the processes.
        """
        if self.mesh is None:
            return work()
        box: list[Any] = [None, None]
        if self.leads:
            try:
                box[0] = work()
            except Exception as error:
                box[1] = error if isinstance(error, SynthlawError) else SynthlawError(str(error))
        dist.broadcast_object_list(box, src=0, device=self.device)
        if box[1] is not None:
            raise box[1]
        result: T = box[0]
        return result


def launched() -> bool:
    """Whether torchrun (or a scheduler that sets the same variables) started several of us."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


CAUSE_SECONDS = 1.0
"""A process that lost another waits so long before it fails: the agent looks ten times a second and
tells of the process that it finds first, which is to be the one that died."""


@contextmanager
def joined_world(config: TrainingConfig) -> Iterator[World]:
    """The world of this process: alone, or the processes that torchrun started with it.

    Raises UsageError when the batch or `config.shard_group` cannot be dealt to them evenly, and
    LostProcessError when another process goes away meanwhile.
    """
    device = choose_device(config.device)
    if not launched():
        yield World(0, 1, device)
        return
    size = int(os.environ["WORLD_SIZE"])
    die_with_parent()
    _check_even(config, size)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    rank = dist.get_rank()
    try:
        yield World(rank, size, device, _mesh(config, device.type, size))
    except (dist.DistError, RuntimeError) as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            time.sleep(CAUSE_SECONDS)
            raise LostProcessError(
                f"process {rank} lost another process of this run, whose own error says why "
                f"({str(error).splitlines()[0]}); run again to resume"
            ) from error
        raise
    finally:
        dist.destroy_process_group()


def _check_even(config: TrainingConfig, size: int) -> None:
    if config.rows % size:
        fits = [n for n in range(1, config.rows + 1) if config.rows % n == 0]
        near = sorted(sorted(fits, key=lambda n: abs(n - size))[:3])
        raise UsageError(
            f"batch_tokens: found {config.rows} rows of {config.context} tokens for {size} "
            f"processes; expected rows that all processes share evenly: use "
            f"{', '.join(map(str, near))} processes, or another batch"
        )
    if config.shard_group and size % config.shard_group:
        raise UsageError(
            f"shard_group: found {config.shard_group} for {size} processes; expected a divisor "
            "of their number, as a rule the GPUs of one machine"
        )


def _mesh(config: TrainingConfig, device_type: str, size: int) -> DeviceMesh:
    from torch.distributed.device_mesh import init_device_mesh

    group = config.shard_group or size
    if group == size:
        return init_device_mesh(device_type, (size,), mesh_dim_names=("shard",))
    names = ("replicate", "shard")
    return init_device_mesh(device_type, (size // group, group), mesh_dim_names=names)


def check_room(config: TrainingConfig, world: World) -> None:
    """Raise UsageError before anything is built when this device has too little free memory."""
    device = world.device.type
    if device == "cuda":
        free: float | None = float(torch.cuda.mem_get_info(world.device)[0])
    else:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world.size > 1 else 1
        total = machine_bytes()
        free = None if total is None else total / here
    check_memory(config, free, world.size, device)


def place(model: Llama, world: World, config: TrainingConfig) -> None:
    """Put the model to work as `config` says: recomputation, compilation, slices on the device.

    Blocks are gathered one at a time, in bf16 when products are bf16, and gradients are summed in
    fp32. The embedding and the last norm are gathered in fp32: the residual stream starts from
    them, as it does in one process.
    """
    for block in model.layers:
        if config.recompute:
            block.forward = functools.partial(_recomputed, block.forward)
        if config.compile:
            # Block by block: all blocks share one compilation, and the loss is blocked by hand.
            block.compile()
    if world.mesh is None:
        model.to(world.device)
        return
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if config.dtype == "bf16" else None,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,
    )
    for block in model.layers:
        fully_shard(block, mesh=world.mesh, mp_policy=policy)
    whole = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    fully_shard(model, mesh=world.mesh, mp_policy=whole)


def _recomputed(forward: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
    """A block whose inner activations are computed again in the backward pass, not kept."""
    from torch.utils.checkpoint import checkpoint

    # Nothing in a block draws random numbers.
    out: torch.Tensor = checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False)
    return out


def clip(model: nn.Module, limit: float) -> float:
    """Scale the gradients to a norm of at most `limit`; the norm before, over all processes."""
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    return float(whole_tensor(norm))


def whole_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that may be spread over processes, whole on every one; all must ask."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()
