"""Another trainer in the place of ours: what the study file says of it."""

from __future__ import annotations

import shlex
from typing import Any

from pydantic import Field, field_validator

from synthlaw.common.settings import Settings
from synthlaw.tokens.export import format_names


class TrainerSpec(Settings):
    """Another trainer: a command, run once for every run of the grid from the study file's folder.

    The run's folder holds `run.json` (shape, schedule, seed, data) and its exact mixture; the
    command leaves `result.json` there. See docs/training.md.
    """

    command: list[str] = Field(
        min_length=1,
        description="a line or a list of words; {run} stands for the run's folder and is added "
        "at the end where it is missing",
    )
    format: str = Field(
        "megatron", description="of the mixture: megatron, parquet, jsonl, or a format added"
    )

    @field_validator("command", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        try:
            return shlex.split(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError(f"found {value!r}, which is no command ({error})") from None

    @field_validator("format")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in format_names():
            raise ValueError(f"found {value!r}; expected one of {', '.join(format_names())}")
        return value

    def words(self, folder: str) -> list[str]:
        """The command for the run in `folder`."""
        words = [word.replace("{run}", folder) for word in self.command]
        return words if words != self.command else [*words, folder]
