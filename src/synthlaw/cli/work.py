"""The command `work`."""

from __future__ import annotations

from pathlib import Path

import click

from synthlaw.cli.output import answer, json_option
from synthlaw.common.numbers import format_count, format_seconds


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--base-url", "base_urls", multiple=True, help="Servers for this worker; repeat.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Requests in flight.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (embedded).")
@json_option
def work(
    folder: Path,
    base_urls: tuple[str, ...],
    concurrency: int | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Help to generate the text of the study in FOLDER, beside `run` and any number of others.

    Start it on as many machines as share FOLDER. Each worker claims blocks of documents; one that
    dies is replaced by the others. It returns when all text of the study is there. What it writes
    is what `run` alone would have written. Options replace the study's for this worker.

    \b
    Example:
      synthlaw work results --base-url http://localhost:8000
    """
    from synthlaw.study.data.generated import help_generate

    done = help_generate(folder, base_urls=base_urls, concurrency=concurrency, threads=threads)
    blocks = ", ".join(f"{count} of {name}" for name, count in done["blocks"].items() if count)
    lines = [
        f"{blocks or 'no'} blocks made, {done['requests']} requests, "
        f"{format_count(done['completion_tokens'])} tokens in {format_seconds(done['seconds'])}"
    ]
    answer({"out": str(folder), **done}, lines, as_json)
