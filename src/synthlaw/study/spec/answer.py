"""What is measured of the runs and what is asked of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthlaw.common.settings import Count, Name, Settings
from synthlaw.study.spec.text import TextSource


class Evaluation(Settings):
    """Held-out domains. The natural text's own held-out share is always one of them."""

    domains: dict[Name, TextSource] = Field(default_factory=dict)
    documents: int = Field(200, gt=0, description="documents per domain, chosen by seed")
    max_tokens: int = Field(4096, gt=1, description="a longer document is scored by this prefix")
    tasks: list[str] = Field(
        default_factory=list, description="downstream tasks: names of lm-eval's, or YAML files"
    )
    task_shots: int | None = Field(None, ge=0, description="examples before each question")
    task_limit: int | None = Field(None, gt=0, description="documents per task, the first ones")


class Laws(Settings):
    """How laws are fitted."""

    bootstrap: int = Field(1000, ge=0)
    objective: Literal["log-huber", "huber", "mse"] = "log-huber"


class Question(Settings):
    """Where the answer is wanted. Defaults: the largest size and the largest budget."""

    params: Count | None = None
    tokens: Count | None = None
    supply: dict[Name, Count] = Field(
        default_factory=dict,
        description="tokens at hand for that run, by source: it reads a source again when they "
        "are spent",
    )
