"""Memory planned by arithmetic: against what autograd keeps, and what errors say would fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from runs import small_config, small_sampler

from synthlaw.common.errors import UsageError
from synthlaw.training import memory, parallel
from synthlaw.training.loop import initial_model, train
from synthlaw.training.memory import check_memory, memory_need
from synthlaw.training.presets import ModelShape, preset


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_activations_are_what_autograd_keeps(dtype: str) -> None:
    """Unique storages saved for the backward pass, weights and their bf16 copies apart."""
    shape = ModelShape(dim=128, layers=3, heads=2, vocab=64)
    config = small_config(shape=shape, context=256, batch_tokens=512, dtype=dtype)
    model = initial_model(config)
    sizes = {p.numel() for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().nbytes() // tensor.element_size() not in sizes:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    tokens = torch.from_numpy(small_sampler(config).batch(0, config.rows))
    context = torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), context:
        model.states(tokens[:, :-1])
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert memory_need(config).activations == pytest.approx(found, rel=0.1)


def test_slices_and_recomputation_need_less() -> None:
    config = small_config(shape=preset("1B"), context=4096, batch_tokens=64 * 4096, budget=1 << 20)
    alone = memory_need(config, 1, "cuda")
    eight = memory_need(config, 8, "cuda")
    assert eight.state == pytest.approx(alone.state / 8)
    assert eight.activations == pytest.approx(alone.activations / 8)
    small = memory_need(config.model_copy(update={"recompute": True}), 8, "cuda")
    assert small.activations < eight.activations / 5
    copies = memory_need(config.model_copy(update={"shard_group": 4}), 8, "cuda")
    assert copies.state == pytest.approx(2 * eight.state)


def test_errors_say_what_would_fit() -> None:
    config = small_config(shape=preset("1B"), context=4096, batch_tokens=64 * 4096, budget=1 << 20)
    with pytest.raises(UsageError, match=r"80 GB are free on the cuda; micro_batch \d+ would fit"):
        check_memory(config, 80e9, 1, "cuda")
    with pytest.raises(UsageError, match=r"would fit$"):
        check_memory(config, 28e9, 1, "cuda")
    with pytest.raises(UsageError, match="8 processes with micro_batch 1 and recompute would fit"):
        check_memory(config, 10.5e9, 4, "cuda")
    with pytest.raises(UsageError, match="no number of processes makes it fit"):
        check_memory(config, 1e9, 1, "cuda")
    check_memory(config, None)


def test_too_little_memory_stops_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "machine_bytes", lambda: 0.4e9)
    config = small_config()
    with pytest.raises(UsageError, match=r"needs about 0\.\d+ GB .* 0\.4 GB are free on the cpu"):
        train(config, small_sampler(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert (memory.machine_bytes() or 1e9) > 1e8
