"""How much memory a run needs, by arithmetic, before it begins; what would fit. Imports no torch.

A process holds its slice of weights, gradients and two moments (fp32), the working copies that
products read, what the backward pass keeps of each layer, and a block of logits. The activations
are counted from the tensors that autograd saves in this model without compilation (a test counts
them again); compilation keeps less, so the figure is an upper one.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from synthlaw.common.errors import UsageError
from synthlaw.common.machine import free_memory
from synthlaw.training.config import TrainingConfig

PROCESS_BYTES = 0.45e9
"""A process with torch loaded and nothing in it; resident, measured on Linux."""

CUDA_CONTEXT_BYTES = 1.5e9
"""CUDA's context, cuBLAS's workspace and the allocator's slack on a GPU; assumed, not measured."""

LOGITS_BYTES = {"cpu": 10 << 20, "cuda": 10 << 28}
"""A block of logits in fp32, its softmax and its gradient in bf16: see `loss.BLOCK_LOGITS`."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes of one process. state: weights, gradients, moments. working: copies for products."""

    state: float
    working: float
    activations: float
    logits: float
    process: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.state + self.working + self.activations + self.logits + self.process


def memory_need(config: TrainingConfig, processes: int = 1, device: str = "cpu") -> MemoryNeed:
    """What one of `processes` needs at its peak on a 'cpu' or 'cuda' device."""
    shape = config.shape
    group = (config.shard_group or processes) if processes > 1 else 1
    embedding, layer = shape.vocab * shape.dim, (shape.params - shape.dim) / shape.layers
    width = 2 if config.dtype == "bf16" else 4
    # The embedding's gradient is built whole; in bf16 the head is copied; a slice is kept anyway.
    working = 4.0 * embedding + (2.0 * embedding if config.dtype == "bf16" else 0.0)
    if group > 1:
        # The gathered embedding, and two blocks with the gradients of one, summed in fp32.
        working += 4.0 * embedding + layer * (3 * width + 4)
    elif config.dtype == "bf16":
        working += 2.0 * shape.layers * layer
    return MemoryNeed(
        state=16.0 * shape.params_total / group,
        working=working,
        activations=_activations(config, processes, device),
        logits=float(LOGITS_BYTES[device]),
        process=CUDA_CONTEXT_BYTES if device == "cuda" else PROCESS_BYTES,
    )


def _activations(config: TrainingConfig, processes: int, device: str) -> float:
    """Bytes that autograd keeps of one forward pass, per token and layer times both."""
    shape = config.shape
    rows = max(1, config.rows // processes)
    tokens = min(config.micro_batch or rows, rows) * config.context
    half = config.dtype == "bf16"
    layer = (29 * shape.dim + 8 * shape.hidden) if half else (40 * shape.dim + 16 * shape.hidden)
    if half and device == "cpu" and config.context <= 2048:
        # Attention that is multiplied out by blocks keeps its causal half of the scores.
        layer += shape.heads * (config.context + 256)
    layers = shape.layers
    kept = 4 * shape.dim * layers + layer if config.recompute else layer * layers
    # Ends: embedding, last norm, the loss's states and their gradient.
    return float(tokens) * (kept + 20 * shape.dim)


def machine_bytes(device: str = "cpu") -> float | None:
    """Free memory of this machine ('cpu') or all of its smallest GPU ('cuda'); None: unknown."""
    if device == "cuda":
        return _gpu_bytes()
    return free_memory()


def _gpu_bytes() -> float | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    sizes = [float(line) for line in done.stdout.split() if line.strip().isdigit()]
    return min(sizes) * 2**20 if done.returncode == 0 and sizes else None


def check_memory(
    config: TrainingConfig, found: float | None, processes: int = 1, device: str = "cpu"
) -> None:
    """Raise UsageError, saying what would fit, when a process needs more than the `found` bytes."""
    if found is None:
        return
    need = memory_need(config, processes, device)
    if need.total <= found:
        return
    raise UsageError(
        f"memory: a process of this run needs about {_gb(need.total)} (weights, gradients and "
        f"moments {_gb(need.state)}, copies for products {_gb(need.working)}, activations "
        f"{_gb(need.activations)}, logits {_gb(need.logits)}) and {_gb(found)} are free on the "
        f"{device}; {what_fits(config, found, processes, device)}"
    )


def what_fits(config: TrainingConfig, found: float, processes: int, device: str) -> str:
    """The least change that makes a run fit `found` bytes a process, for people."""
    rows = max(1, config.rows // processes)
    sizes = [n for n in range(rows, 0, -1) if config.rows % n == 0]
    for recompute in sorted({config.recompute, True}):
        for micro_batch in sizes:
            changed = {"recompute": recompute, "micro_batch": micro_batch}
            tried = config.model_copy(update=changed)
            if memory_need(tried, processes, device).total <= found:
                also = " with recompute" if recompute and not config.recompute else ""
                return f"micro_batch {micro_batch}{also} would fit"
    smallest = config.model_copy(update={"recompute": True, "micro_batch": 1, "shard_group": 0})
    for more in (2 * processes * 2**k for k in range(10)):
        if config.rows % more == 0 and memory_need(smallest, more, device).total <= found:
            return f"{more} processes with micro_batch 1 and recompute would fit"
    return "no number of processes makes it fit: take a smaller model or context"


def _gb(count: float) -> str:
    return f"{count / 1e9:.3g} GB"
