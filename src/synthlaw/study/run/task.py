"""A task: all that a worker needs to do one piece of the grid's work; travels as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from synthlaw.evaluation.tasks import TaskSettings
from synthlaw.study.spec.trainer import TrainerSpec
from synthlaw.study.store import Store
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.sampler import MixtureSampler
from synthlaw.tokens.shares import Phase
from synthlaw.training.config import TrainingConfig

EVALUATION_VERSION = 2
TRAINING_STAGE_VERSION = 1


class RunTask(BaseModel):
    """All that a worker needs to execute one run; travels as JSON.

    root: the study folder. phases: first window and shares of each. sources, domains: folders of
    token sets. unique: tokens of a source that are read at all. Scoring slides windows of the
    training context by half their length, each document after its BOS. train: False scores the
    untrained model instead. keep_losses: keep every token's loss beside the scores, for the
    statistics. trunk, branch_points: the trunk that the run may begin at, by name, and
    the steps at which its states are kept. milestones: of a task that trains a trunk, the steps to
    train it to; nothing is scored then. size: of the ladder. nodes, processes: train on so many
    machines, and on so many GPUs of each, a process a GPU.
    downstream: tasks that the trained model answers, with the tokenizer at `tokenizer`. trainer:
    what trains in the place of our trainer, started in the folder `base`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    name: str
    config: TrainingConfig
    phases: list[tuple[int, dict[str, float]]]
    sources: dict[str, Path]
    data_seed: int
    max_epochs: float
    unique: dict[str, float] = {}
    domains: dict[str, Path]
    train: bool = True
    size: str = ""
    nodes: int = 1
    processes: int = 1
    keep_losses: bool = False
    trunk: str = ""
    branch_points: tuple[int, ...] = ()
    milestones: tuple[int, ...] = ()
    downstream: TaskSettings | None = None
    tokenizer: str | None = None
    trainer: TrainerSpec | None = None
    base: Path | None = None

    @property
    def together(self) -> bool:
        """Whether several processes train it."""
        return self.nodes * self.processes > 1

    @property
    def flops(self) -> float:
        """FLOPs of training that the task itself does, the trunk being there."""
        if not self.train:
            return 0.0
        config = self.config
        if self.milestones:
            steps = self.milestones[-1]
        else:
            begun = [step for step in self.branch_points if step <= config.trunk_steps]
            steps = config.steps - max(begun, default=0)
        return config.flops * steps / config.steps

    def sampler(self) -> MixtureSampler:
        """The run's windows."""
        return MixtureSampler(
            {name: TokenDataset(path) for name, path in self.sources.items()},
            [Phase(start, shares) for start, shares in self.phases],
            context=self.config.context,
            seed=self.data_seed,
            max_epochs=self.max_epochs,
            unique=self.unique,
        )

    def training_key(self, store: Store) -> str:
        """Key of the trained model; of the untrained one when `train` is off."""
        inputs: dict[str, Any] = {"config": self.config.identity(), "train": self.train}
        if self.train:
            inputs["sampler"] = self.sampler().identity()
        if self.train and self.trainer is not None:
            inputs["trainer"] = self.trainer.model_dump(mode="json")
        return store.key("training", TRAINING_STAGE_VERSION, inputs)

    def evaluation_key(self, store: Store, model: str) -> str:
        """Key of the scores of the model whose content digest is `model`."""
        inputs = {
            "model": model,
            "domains": {n: TokenDataset(p).identity for n, p in self.domains.items()},
            "window": self.config.context,
            "stride": self.config.context // 2,
            "dtype": self.config.dtype,
            "keep_losses": self.keep_losses,
        }
        return store.key("evaluation", EVALUATION_VERSION, inputs)
