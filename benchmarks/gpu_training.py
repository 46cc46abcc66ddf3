"""Training speed of the 1B preset on GPUs: tokens per second and MFU, the loop's own step timed.

    python benchmarks/gpu_training.py                                  # one GPU
    torchrun --standalone --nproc-per-node 8 benchmarks/gpu_training.py  # FSDP2 over eight
    python benchmarks/gpu_training.py --tiny                           # the script itself, on a CPU

Context 4096, vocabulary 128,256, bf16, compiled blocks. The model, its placement, the blocked loss,
clipping and AdamW are those of a run; only the data is random tokens. FLOPs are counted by
`presets.flops_per_token`: 6 per matrix entry, output head included, and attention under the causal
mask; work done again with --recompute is not counted. The peak is stated by the caller (--peak, in
dense bf16 FLOP/s of one device, from its data sheet) and never guessed from a name; without it MFU
is against the best square bf16 product measured here, and the answer says which.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

import numpy as np
import torch

from synthlaw.training.config import TrainingConfig
from synthlaw.training.device import autocast, cpu_threads
from synthlaw.training.loop import initial_model
from synthlaw.training.memory import memory_need
from synthlaw.training.optimizer import build_optimizer
from synthlaw.training.parallel import World, check_room, clip, joined_world, place
from synthlaw.training.presets import LLAMA3_VOCAB, flops_per_token, preset


def measured_peak(device: torch.device, size: int) -> float:
    """Best FLOP/s of a square bf16 product on `device`."""
    a, b = torch.randn(2, size, size, device=device).to(torch.bfloat16)
    best = float("inf")
    for _ in range(20):
        wait(device)
        started = time.perf_counter()
        a @ b
        wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def wait(device: torch.device) -> None:
    """Return when the device has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step_times(config: TrainingConfig, world: World, warmup: int, steps: int) -> list[float]:
    """Seconds of each timed optimizer step, everything that a run's step does but its log."""
    model = initial_model(config)
    place(model, world, config)
    optimizer = build_optimizer(model, config)
    random = np.random.default_rng(0)
    times = []
    for number in range(warmup + steps):
        size = (config.rows, config.context + 1)
        batch = random.integers(config.shape.vocab, size=size, dtype=np.int64)
        wait(world.device)
        started = time.perf_counter()
        rows = world.share(batch)
        optimizer.zero_grad(set_to_none=True)
        for part in torch.split(rows, config.micro_batch or len(rows)):
            with autocast(world.device, config.dtype):
                loss = model(part[:, :-1], part[:, 1:]) / config.batch_tokens
            torch.autograd.backward(loss * world.size)
        clip(model, config.clip)
        optimizer.step()
        wait(world.device)
        if number >= warmup:
            times.append(time.perf_counter() - started)
    return times


def main() -> None:
    """Time the steps and print one JSON document, on the first process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1B", help="preset")
    parser.add_argument("--rows", type=int, default=4, help="rows per process and forward pass")
    parser.add_argument("--passes", type=int, default=4, help="forward passes per step")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--peak", type=float, help="dense bf16 FLOP/s of one device")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--shard-group", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="a model and context for a CPU")
    asked = parser.parse_args()
    shape = preset("0.3M", 4096) if asked.tiny else preset(asked.size, LLAMA3_VOCAB)
    probe = TrainingConfig(shape=shape, budget=1, context=256 if asked.tiny else 4096)
    # The number of processes decides the batch, and only the batch: join first with one that fits.

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    rows = asked.rows * asked.passes * processes
    config = probe.model_copy(
        update={
            "batch_tokens": rows * probe.context,
            "micro_batch": asked.rows,
            "compile": not (asked.eager or asked.tiny),
            "recompute": asked.recompute,
            "shard_group": asked.shard_group,
            "device": "cpu" if asked.tiny else "cuda",
        }
    )
    with joined_world(config) as world, cpu_threads(1 if asked.tiny else 0):
        check_room(config, world)
        times = step_times(config, world, warmup=3, steps=asked.steps)
        peak = asked.peak or measured_peak(world.device, 512 if asked.tiny else 8192)
        need = memory_need(config, world.size, world.device.type)
        if not world.leads:
            return
        per_token = flops_per_token(config.shape, config.context)
        speeds = {"best": min(times), "median": statistics.median(times)}
        answer = {
            "device": torch.cuda.get_device_name() if world.device.type == "cuda" else "cpu",
            "processes": world.size,
            "params_total": config.shape.params_total,
            "batch_tokens": config.batch_tokens,
            "flops_per_token": per_token,
            "peak_flops": peak,
            "peak_is": "stated" if asked.peak else "measured, best square bf16 product",
            "planned_bytes": need.total,
            "peak_bytes": torch.cuda.max_memory_allocated()
            if world.device.type == "cuda"
            else None,
        }
        for name, seconds in speeds.items():
            rate = config.batch_tokens / seconds / world.size
            answer[name] = {"tokens_per_second": rate, "mfu": rate * per_token / peak}
        print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main()
