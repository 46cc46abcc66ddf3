"""Where the log's rows are shown besides: TensorBoard and Weights & Biases, both extras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import MissingExtraError

TrackerName = Literal["tensorboard", "wandb"]


class Tracker(Protocol):
    """Takes rows of the log."""

    def log(self, row: dict[str, Any]) -> None:
        """Show one row, at its `step`."""
        ...

    def close(self) -> None:
        """Put everything where it belongs."""
        ...


class TensorBoardTracker:
    """Event files in `<run>/tensorboard`."""

    def __init__(self, out: Path, step: int) -> None:
        """step: what was shown of later steps, before a kill, is purged."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError(
                "tensorboard", "tensorboard", "the tracker 'tensorboard'"
            ) from None
        self._writer: Any = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)

    def log(self, row: dict[str, Any]) -> None:
        """See `Tracker.log`."""
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """See `Tracker.close`."""
        self._writer.close()


class WandbTracker:
    """A run of Weights & Biases; its own variables (WANDB_PROJECT, WANDB_MODE …) say where."""

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        """facts: the run's configuration, shown beside it."""
        try:
            import wandb
        except ImportError:
            raise MissingExtraError("wandb", "wandb", "the tracker 'wandb'") from None
        # A run that is resumed goes on under its own id.
        name = digest_of([facts, str(out.resolve())])[:16]
        self._run: Any = wandb.init(
            id=name, name=out.name, dir=str(out), config=facts, resume="allow"
        )

    def log(self, row: dict[str, Any]) -> None:
        """See `Tracker.log`."""
        shown = {name: value for name, value in row.items() if name != "step"}
        self._run.log(shown, step=row["step"])

    def close(self) -> None:
        """See `Tracker.close`."""
        self._run.finish()


def open_trackers(
    names: Sequence[TrackerName], out: Path, step: int, facts: dict[str, Any]
) -> list[Tracker]:
    """The trackers named, for a run in `out` that stands at `step`.

    Raises MissingExtraError when the package of one is not installed.
    """
    opened: list[Tracker] = []
    if "tensorboard" in names:
        opened.append(TensorBoardTracker(out, step))
    if "wandb" in names:
        opened.append(WandbTracker(out, facts))
    return opened
