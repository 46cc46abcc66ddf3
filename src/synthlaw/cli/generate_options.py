"""The options of `generate`, under headings: there are many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from synthlaw.cli.derived_options import field_option
from synthlaw.cli.output import json_option
from synthlaw.generate.engines.base import SamplingSettings
from synthlaw.generate.engines.registry import EngineSettings
from synthlaw.study.spec.generation import Generate, RecipeUse

_FILE = click.Path(path_type=Path)
_COUNT = click.IntRange(min=1)

_FLAGS = {"kind": "--engine", "options": "--vllm-option", "command": "--vllm-command"}
"""Options of the engine that are not called like their fields."""

SECTIONS: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "Documents in and out": (
        click.option(
            "--recipe",
            "named",
            multiple=True,
            metavar="NAME|FILE[=WEIGHT]",
            help="hq, qa, textbook, faq, tutorial, table, math, or a .yaml file. With several, "
            "each document gets one of them, by weight (default 1) and seed.",
        ),
        click.option(
            "--input",
            "inputs",
            multiple=True,
            type=_FILE,
            metavar="FILE",
            help="JSONL(.gz, .zst) or Parquet with id and text; may be repeated.",
        ),
        click.option("--out", required=True, type=_FILE, help="Output folder."),
        click.option(
            "--shard-size",
            default=500,
            type=_COUNT,
            help="Documents in the first output files; later ones grow to a 64th of what precedes.",
        ),
        click.option(
            "--strict",
            is_flag=True,
            help="End at the first record of the input that cannot be read, do not count it.",
        ),
        click.option("--seed", default=0, help="Every request derives its own."),
        click.option("--rollouts", default=1, type=_COUNT, help="Answers per document."),
        click.option("--retry-failed", is_flag=True, help="Ask again for what failed, no more."),
    ),
    "Recipe": (
        field_option(RecipeUse, "chapters"),
        field_option(RecipeUse, "versions"),
        field_option(RecipeUse, "stitch"),
        field_option(RecipeUse, "seeds"),
        field_option(Generate, "input_tokens"),
        click.option("--without-rule", "without", multiple=True, help="Post-filter rule, off."),
        click.option(
            "--all-rules",
            is_flag=True,
            help="Also `unfinished`, which is off for the packaged model: it seldom ends.",
        ),
    ),
    "Engine": (
        *(field_option(EngineSettings, n, _FLAGS.get(n, "")) for n in EngineSettings.model_fields),
    ),
    "Sampling": tuple(field_option(SamplingSettings, n) for n in SamplingSettings.model_fields),
    "Report": (
        click.option("--price-prompt", type=float, help="Per million tokens read."),
        click.option("--price-completion", type=float, help="Per million tokens written."),
        click.option("--price-gpu-hour", type=float, help="Per GPU and hour."),
        click.option("--gpus", default=1, type=_COUNT, help="GPUs that serve the model."),
        click.option(
            "--evaluation",
            multiple=True,
            type=_FILE,
            metavar="FILE",
            help="Evaluation documents: what shares 13 words in a row with them is reported.",
        ),
        click.option("--overlap-words", default=13, type=_COUNT, help="Instead of 13."),
        click.option("--status", "only_status", is_flag=True, help="What stands in OUT; no work."),
        json_option,
    ),
}
"""Options by heading."""


def generate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function all of them."""
    for options in reversed(SECTIONS.values()):
        for option in reversed(options):
            command = option(command)
    return command


class SectionedCommand(click.Command):
    """A command whose help lists options under the headings of SECTIONS."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in order."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        for option in options:
            option.show_default = not option.multiple and not option.is_flag
        rest = iter(options)
        for title, made in SECTIONS.items():
            mine = [next(rest) for _ in made]
            if made is list(SECTIONS.values())[-1]:
                mine += rest  # --help
            rows = [row for one in mine if (row := one.get_help_record(ctx)) is not None]
            with formatter.section(title):
                formatter.write_dl(rows)
