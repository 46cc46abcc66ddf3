"""The command `work`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synthlaw.cli.derived_options import settings_options
from synthlaw.cli.output import answer, json_option
from synthlaw.common.numbers import format_count, format_seconds
from synthlaw.generate.engines.registry import EngineSettings


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--generator", help="Work for this one of the study's generators only.")
@settings_options(EngineSettings, "engine", only=("base_url", "concurrency", "threads"))
@json_option
def work(
    folder: Path,
    generator: str | None,
    engine: dict[str, Any],
    as_json: bool,
) -> None:
    """Help to generate the text of the study in FOLDER, beside `run` and any number of others.

    Start it on as many machines as share FOLDER. Each worker claims blocks of documents; one that
    dies is replaced by the others. It returns when all text of the study is there. What it writes
    is what `run` alone would have written. Options of the engine replace the study's for this
    worker; where the study has several generators, --generator says which one they are of.

    \b
    Example:
      synthlaw work results --base-url http://localhost:8000
      synthlaw work results --generator llama-8b --base-url http://node7:8000
    """
    from synthlaw.study.data.generated import help_generate

    done = help_generate(folder, generator, **engine)
    blocks = ", ".join(f"{count} of {name}" for name, count in done["blocks"].items() if count)
    lines = [
        f"{blocks or 'no'} blocks made, {done['requests']} requests, "
        f"{format_count(done['completion_tokens'])} tokens in {format_seconds(done['seconds'])}"
    ]
    answer({"out": str(folder), **done}, lines, as_json)
