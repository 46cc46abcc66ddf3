"""The command `generate`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.numbers import format_count, format_seconds
from synthlaw.common.progress import Meter, meter, say

if TYPE_CHECKING:
    from synthlaw.generate.recipe import Recipe
    from synthlaw.generate.workers import FolderOutcome


@click.command()
@click.option("--recipe", "recipe_name", metavar="NAME|FILE", help="hq, qa, textbook or a .yaml.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSONL(.gz, .zst) or Parquet with id and text; may be repeated.",
)
@click.argument("more_inputs", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option(
    "--engine", "kind", default="embedded", show_default=True, help="embedded, openai or vllm."
)
@click.option("--base-url", "base_urls", multiple=True, help="Server of the openai engine; repeat.")
@click.option("--model", help="Name on the server, or a GGUF file for the embedded engine.")
@click.option("--tokenizer", help="tokenizer.json that counts the server's tokens.")
@click.option("--api", default="chat", show_default=True, help="chat, or completions.")
@click.option("--fold-system", is_flag=True, help="System prompt into the user's turn.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Requests in flight.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads, embedded engine.")
@click.option("--seed", default=0, show_default=True, help="Every request derives its own.")
@click.option("--rollouts", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--chapters", type=click.IntRange(min=1), help="Per book; the recipe's is 10.")
@click.option("--without-rule", "without", multiple=True, help="Post-filter rule to turn off.")
@click.option("--input-tokens", default=2000, show_default=True, type=click.IntRange(min=1))
@click.option("--temperature", default=0.7, show_default=True)
@click.option("--top-p", default=0.95, show_default=True)
@click.option("--top-k", default=0, show_default=True, help="0 is off.")
@click.option("--repetition-penalty", default=1.0, show_default=True, help="1 is off.")
@click.option("--frequency-penalty", default=0.0, show_default=True, help="0 is off.")
@click.option("--max-tokens", default=2048, show_default=True, help="Longest answer.")
@click.option("--shard-size", default=500, show_default=True, type=click.IntRange(min=1))
@click.option("--retry-failed", is_flag=True, help="Ask again for what failed, nothing else.")
@click.option("--status", "only_status", is_flag=True, help="What stands in OUT; starts nothing.")
@json_option
def generate(
    recipe_name: str | None,
    inputs: tuple[Path, ...],
    more_inputs: tuple[Path, ...],
    out: Path,
    only_status: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write synthetic documents from natural ones with a language model.

    OUT/documents holds what passed the post-filter, OUT/dropped what a rule set aside, OUT/failed
    what the engine would not answer, OUT/aside outlines. Run again after a stop: nothing that was
    answered is asked again. Other settings make another run in OUT/runs, never a mixture.

    The key of a server is read from SYNTHLAW_API_KEY or OPENAI_API_KEY.

    \b
    Examples:
      synthlaw generate --recipe hq --input web.jsonl.gz --out hq
      synthlaw generate --recipe textbook --chapters 3 --input web.jsonl --out books
      synthlaw generate --recipe qa --engine openai --base-url http://a:8000 \\
          --base-url http://b:8000 --concurrency 512 --input web.parquet --out qa
      synthlaw generate --status --out qa
    """
    from synthlaw.generate.folder import folder_status

    if only_status:
        state = folder_status(out)
        answer(state, _status_lines(state), as_json)
        return
    files = [*inputs, *more_inputs]
    if recipe_name is None or not files:
        raise UsageError("generate needs --recipe and --input; see synthlaw generate --help")
    outcome = _run(_recipe(recipe_name, options), files, out, options)
    answer(_summary(outcome, out), _lines(outcome, out), as_json)
    failed = outcome.counts["failed"]
    if failed:
        raise SynthlawError(
            f"{failed} requests failed; they are listed in {out / 'failed'}. "
            "Everything else is done; --retry-failed asks for these again"
        )


def _recipe(name: str, options: dict[str, Any]) -> Recipe:
    from synthlaw.generate.recipe import load_recipe

    recipe = load_recipe(name)
    if options["chapters"] is not None:
        recipe = recipe.with_chapters(options["chapters"])
    return recipe.without_rules(options["without"])


def _run(recipe: Recipe, files: list[Path], out: Path, options: dict[str, Any]) -> FolderOutcome:
    from synthlaw.generate.engine import Sampling, make_engine
    from synthlaw.generate.results import Settings
    from synthlaw.generate.workers import FolderProgress, run_folder

    sampling = Sampling(**{field.name: options[field.name] for field in fields(Sampling)})
    engine = make_engine(
        options["kind"],
        model=options["model"],
        base_urls=options["base_urls"],
        concurrency=options["concurrency"],
        tokenizer=options["tokenizer"],
        threads=options["threads"],
        api=options["api"],
        fold_system=options["fold_system"],
    )
    settings = Settings(
        recipe, sampling, options["seed"], options["input_tokens"], options["rollouts"]
    )
    with ExitStack() as stack:
        drawn: list[tuple[Meter, int]] = []

        def draw(progress: FolderProgress) -> None:
            if not drawn:
                # What an earlier run finished must not count into the rate.
                before, label = progress.finished, f"generate {recipe.name}"
                if before:
                    say(f"  {before} of {progress.total} were there already")
                shown = stack.enter_context(meter(label, progress.total - before, "doc"))
                drawn.append((shown, before))
            shown, before = drawn[0]
            note = (
                f"{format_count(progress.tokens_per_second)} tokens/s, "
                f"{progress.session.requests} answers, {progress.session.failed} failed"
            )
            shown.update(progress.done - before, note)

        return run_folder(
            settings,
            engine,
            files,
            out,
            block_size=options["shard_size"],
            retry_failed=options["retry_failed"],
            on_progress=draw,
        )


def _summary(outcome: FolderOutcome, out: Path) -> dict[str, Any]:
    counts = dict(outcome.counts)
    seconds = max(outcome.seconds, 1e-9)
    return {
        "out": str(out),
        "run": outcome.key,
        **counts,
        "tokens": counts["document_tokens"],
        "requests_made": outcome.requests,
        "seconds": round(outcome.seconds, 2),
        "tokens_per_second": round(outcome.completion_tokens / seconds, 1),
    }


def _lines(outcome: FolderOutcome, out: Path) -> list[str]:
    counts = outcome.counts
    dropped = sum(counts["dropped"].values())
    lines = [
        f"{counts['documents']} documents, {format_count(counts['document_tokens'])} tokens, "
        f"in {out / 'documents'}",
        f"{dropped} dropped{_by_reason(counts['dropped'])}",
        f"{counts['failed']} failed{_by_reason(counts['failed_by_reason'])}",
        f"{outcome.requests} requests in {format_seconds(outcome.seconds)}",
    ]
    if counts["intermediate"]:
        lines.insert(1, f"{counts['intermediate']} outlines set aside in {out / 'aside'}")
    return lines


def _status_lines(state: dict[str, Any]) -> list[str]:
    lines = [
        f"run {state['key']}: {state['blocks_done']} of {state['blocks']} blocks of "
        f"{state['source_documents']} source documents are finished",
        f"{state['documents']} documents, {format_count(state['document_tokens'])} tokens",
        f"{sum(state['dropped'].values())} dropped{_by_reason(state['dropped'])}",
        f"{state['failed']} failed{_by_reason(state['failed_by_reason'])}",
    ]
    for worker in state["workers"]:
        lines.append(
            f"worker {worker['worker']} on {worker['host']}: {worker.get('requests', 0)} answers, "
            f"{worker.get('tokens_per_second', 0)} tokens/s, {worker.get('failed', 0)} failed"
        )
    return lines


def _by_reason(reasons: dict[str, int]) -> str:
    if not reasons:
        return ""
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return " (" + ", ".join(f"{name} {count}" for name, count in ranked) + ")"
