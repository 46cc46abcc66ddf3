"""The log's figures: what was counted, against which peak."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import small_config, small_sampler

from synthlaw.common.files import read_json
from synthlaw.training.loop import train
from synthlaw.training.metrics import read_metrics
from synthlaw.training.presets import flops_per_token
from synthlaw.training.speed import measured_peak


@pytest.mark.parametrize("given", [None, 1e9])
def test_mfu_is_flop_over_the_stated_peak(tmp_path: Path, given: float | None) -> None:
    config = small_config(peak_flops=given)
    train(config, small_sampler(config), tmp_path)
    facts = read_json(tmp_path / "speed.json")
    assert facts["flops_per_token"] == flops_per_token(config.shape, config.context)
    assert facts["peak"] == ("given" if given else f"measured {config.dtype} matrix product")
    assert facts["peak_flops"] == (given or measured_peak("cpu", config.dtype, 1))
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert len(rows) == config.steps
    for row in rows:
        used = row["tokens_per_second"] * facts["flops_per_token"]
        assert row["mfu"] == pytest.approx(used / facts["peak_flops"], abs=6e-5)
        assert row["memory_bytes"] > 10_000_000
    # How a run is measured is not what it computes.
    other = config.model_copy(update={"peak_flops": 5e9})
    assert train(other, small_sampler(other), tmp_path).steps == config.steps
