"""The options of `generate`, under headings: there are many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from synthlaw.cli.output import json_option

_FILE = click.Path(path_type=Path)
_COUNT = click.IntRange(min=1)

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
        click.option("--shard-size", default=500, type=_COUNT, help="Documents per output file."),
        click.option("--seed", default=0, help="Every request derives its own."),
        click.option("--rollouts", default=1, type=_COUNT, help="Answers per document."),
        click.option("--retry-failed", is_flag=True, help="Ask again for what failed, no more."),
    ),
    "Recipe": (
        click.option("--chapters", type=_COUNT, help="Per textbook.  [default: 10]"),
        click.option(
            "--seeds",
            type=click.Choice(["document", "themes", "keywords"]),
            help="What stands for the document in prompts: its text, its own key phrases, or key "
            "phrases sampled from the whole input.  [default: document]",
        ),
        click.option("--input-tokens", type=_COUNT, help="Of a document.  [default: 2000 (500)]"),
        click.option("--without-rule", "without", multiple=True, help="Post-filter rule, off."),
        click.option(
            "--all-rules",
            is_flag=True,
            help="Also `unfinished`, which is off for the packaged model: it seldom ends.",
        ),
    ),
    "Engine": (
        click.option("--engine", "kind", default="embedded", help="embedded, openai or vllm."),
        click.option("--base-url", "base_urls", multiple=True, help="An openai server; repeat."),
        click.option(
            "--model", help="Name on the server, what vllm serves, or a GGUF file (embedded)."
        ),
        click.option(
            "--concurrency",
            type=_COUNT,
            help="Requests in flight, over all servers: a few more than they have places.  "
            "[default: openai 64, vllm 256, embedded 32]",
        ),
        click.option("--tokenizer", help="tokenizer.json that counts the server's tokens."),
        click.option("--api", default="chat", help="chat, or completions."),
        click.option("--fold-system", is_flag=True, help="System prompt into the user's turn."),
        click.option("--threads", type=_COUNT, help="CPU threads (embedded).  [default: all]"),
        click.option(
            "--vllm-option",
            "vllm_options",
            multiple=True,
            metavar="NAME[=VALUE]",
            help="For vllm: of `vllm serve`, such as max-model-len=4096; may be repeated.",
        ),
        click.option(
            "--vllm-command",
            default="vllm",
            metavar="COMMAND",
            help="For vllm: what runs it, where it is not on PATH, such as vllm-env/bin/vllm.",
        ),
    ),
    "Sampling: the paper's defaults (in brackets the packaged model's)": (
        click.option("--temperature", type=float, help="0 is greedy.  [default: 0.7 (0.4)]"),
        click.option("--top-p", type=float, help="[default: 0.95]"),
        click.option("--top-k", type=int, help="0 is off.  [default: 0]"),
        click.option("--repetition-penalty", type=float, help="1 is off.  [default: 1]"),
        click.option("--frequency-penalty", type=float, help="0 is off.  [default: 0 (0.5)]"),
        click.option("--max-tokens", type=int, help="Longest answer.  [default: 2048 (300)]"),
    ),
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
