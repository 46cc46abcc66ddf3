"""The command `generate`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.derived_options import checked, given
from synthlaw.cli.generate_options import SectionedCommand, generate_options
from synthlaw.cli.output import answer
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.numbers import format_count, format_seconds
from synthlaw.common.ownership import claimed
from synthlaw.corpus.readers.faults import fault_lines
from synthlaw.corpus.readers.sources import find_files
from synthlaw.generate.engines.base import SamplingSettings
from synthlaw.generate.engines.registry import EngineSettings

if TYPE_CHECKING:
    from synthlaw.generate.mixing import RecipeMix
    from synthlaw.generate.run.card import Reporting
    from synthlaw.generate.run.workers import FolderOutcome

COLLECT_EVERY = 20_000
"""Objects more than before at which the collector looks for circles; Python's own is 700."""


@click.command(cls=SectionedCommand)
@click.argument("more_inputs", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@generate_options
def generate(
    named: tuple[str, ...],
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
    answered is asked again. Other settings make another run in OUT/runs, never a mixture. The same
    command may run in several processes on a shared folder: they share the work.

    The key of a server is read from SYNTHLAW_API_KEY or OPENAI_API_KEY.

    \b
    Examples:
      synthlaw generate --recipe hq --input web.jsonl.gz --out hq
      synthlaw generate --recipe textbook --seeds keywords --input web.jsonl --out books
      synthlaw generate --recipe hq=2 --recipe qa=1 --input web.jsonl --out mixed
      synthlaw generate --recipe qa --engine openai --base-url http://a:8000 \\
          --base-url http://b:8000 --concurrency 600 --input web.parquet --out qa
      synthlaw generate --status --out qa
    """
    from synthlaw.generate.run.status import folder_status

    if only_status:
        state = folder_status(out)
        answer(state, status_lines(state), as_json)
        return
    files = _files((*inputs, *more_inputs))
    if not named or not files:
        raise UsageError("generate needs --recipe and --input; see synthlaw generate --help")
    with claimed(out, "generate"):
        outcome = _run(_mix(named, options), files, out, options)
    answer(_summary(outcome, out), _lines(outcome, out), as_json)
    failed = outcome.counts["failed"]
    if failed:
        raise SynthlawError(
            f"{failed} requests failed; they are listed in {out / 'failed'}. "
            "Everything else is done; --retry-failed asks for these again"
        )


def _mix(named: tuple[str, ...], options: dict[str, Any]) -> RecipeMix:
    """Recipes, weights and everything else that determines the answers."""
    from synthlaw.generate.asked import asked_mix

    names = ("seed", "rollouts", "input_tokens", "all_rules")
    refinements = ("chapters", "seeds", "versions", "stitch", "without")
    return asked_mix(
        [_weighted(text) for text in named],
        _engine_settings(options),
        sampling=checked(SamplingSettings, given(options, SamplingSettings.model_fields)),
        **{name: options[name] for name in (*names, *refinements)},
    )


def _engine_settings(options: dict[str, Any]) -> EngineSettings:
    return checked(EngineSettings, given(options, EngineSettings.model_fields))


def _weighted(text: str) -> tuple[str, float]:
    """A recipe and its weight from NAME or NAME=WEIGHT."""
    name, equals, weight = text.rpartition("=")
    if not equals:
        return text, 1.0
    try:
        return name, float(weight)
    except ValueError:
        raise UsageError(
            f"recipe: found {text!r}; expected a name or file, or one with a weight such as hq=2"
        ) from None


def _reporting(options: dict[str, Any]) -> Reporting:
    from synthlaw.generate.cost import Prices
    from synthlaw.generate.run.card import Reporting

    prices = (options["price_prompt"], options["price_completion"], options["price_gpu_hour"])
    files = options["evaluation"]
    for path in files:
        if not path.is_file():
            raise UsageError(
                f"evaluation: found no file {path}; expected JSONL or Parquet documents"
            )
    evaluation = {str(path): path for path in files}
    return Reporting(Prices(*prices, options["gpus"]), evaluation, options["overlap_words"])


def _files(places: tuple[Path, ...]) -> list[Path]:
    """Files of documents that the places name: files themselves, patterns, folders such as
    `prepare` fills (its `documents`)."""
    found = []
    for place in places:
        found += find_files(str(place), Path.cwd())
    return found


def _run(mix: RecipeMix, files: list[Path], out: Path, options: dict[str, Any]) -> FolderOutcome:
    from synthlaw.generate.engines.registry import make_engine
    from synthlaw.generate.run.inputs import survey
    from synthlaw.generate.run.meter import drawn
    from synthlaw.generate.run.workers import run_folder

    engine = make_engine(_engine_settings(options), out / "vllm.log")
    reporting = _reporting(options)
    with drawn(f"generate {' and '.join(mix.recipes)}") as show, _rare_collection():
        return run_folder(
            mix,
            engine,
            survey(files, strict=options["strict"]),
            out,
            block_size=options["shard_size"],
            retry_failed=options["retry_failed"],
            reporting=reporting,
            on_progress=show,
        )


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Keep the collector of circles from looking through all modules again and again.

    Thousands of objects are born and die a second, hardly any of them in circles: a twelfth of the
    time of a run went into looking.
    """
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _summary(outcome: FolderOutcome, out: Path) -> dict[str, Any]:
    counts = dict(outcome.counts)
    seconds = max(outcome.seconds, 1e-9)
    return {
        "out": str(out),
        "run": outcome.key,
        **counts,
        "tokens": counts["document_tokens"],
        "bad_records": outcome.faults["bad_records"],
        "broken_files": outcome.faults["broken_files"],
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
    if unread := list(fault_lines(outcome.faults)):
        lines += [*unread, f"each is named in {outcome.root / 'bad_records.jsonl'}"]
    return lines


def status_lines(state: dict[str, Any]) -> list[str]:
    """What `folder_status` found, for people."""
    left = state["seconds_left"]
    lines = [
        f"run {state['key']}: {state['units_done']} of {state['units']} done, "
        f"{state['blocks_done']} of {state['blocks']} blocks of "
        f"{state['source_documents']} source documents are finished"
        + (f"; {format_seconds(left)} left" if left else ""),
        *_kept(state),
        f"{state['documents']} documents, {format_count(state['document_tokens'])} tokens",
        f"{sum(state['dropped'].values())} dropped{_by_reason(state['dropped'])}",
        f"{state['failed']} failed{_by_reason(state['failed_by_reason'])}",
    ]
    if not state["workers"]:
        lines.append("no worker is at work")
    for worker in state["workers"]:
        queue = ", ".join(f"{n} in flight at {url}" for url, n in worker["in_flight"].items())
        lines.append(
            f"worker {worker['worker']} on {worker['host']}: {worker['requests']} answers, "
            f"{worker['tokens_per_second']} tokens/s, {queue}, {worker['waiting']} waiting, "
            f"{worker['failed']} failed"
        )
    return lines


def _kept(state: dict[str, Any]) -> list[str]:
    """What lies in journals, and what is still needed."""
    lines = []
    if state["answers_kept"]:
        lines.append(
            f"{state['answers_kept']:,} answers of unfinished blocks are kept and will not be "
            "asked for again"
        )
    if state["tokens_needed"] is not None:
        lines.append(f"{state['tokens']:,} of {state['tokens_needed']:,} tokens needed")
    return lines


def _by_reason(reasons: dict[str, int]) -> str:
    if not reasons:
        return ""
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return " (" + ", ".join(f"{name} {count}" for name, count in ranked) + ")"
