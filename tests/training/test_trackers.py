"""Trackers show the rows of the log; one whose package is missing names the extra."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from runs import small_config, small_sampler

from synthlaw.common.errors import MissingExtraError
from synthlaw.training.loop import train
from synthlaw.training.metrics import read_metrics


def test_tensorboard_shows_the_log(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = small_config(track=("tensorboard",))
    train(config, small_sampler(config), tmp_path)
    shown = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    for name in ("loss", "lr", "grad_norm", "mfu"):
        points = [(event.step, event.value) for event in shown.Scalars(name)]
        assert [step for step, _ in points] == [row["step"] for row in rows]
        assert [value for _, value in points] == pytest.approx([row[name] for row in rows])


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_names_its_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    config = small_config(track=(name,))
    with pytest.raises(MissingExtraError, match=rf"synthlaw\[{name}\]"):
        train(config, small_sampler(config), tmp_path)
