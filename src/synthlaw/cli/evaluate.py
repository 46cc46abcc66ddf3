"""The command `evaluate`: a model scored on documents, domain by domain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.derived_options import checked, settings_options
from synthlaw.cli.options import out_option
from synthlaw.cli.output import answer, json_option
from synthlaw.cli.training_options import settled_dtype
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.progress import meter, say
from synthlaw.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:  # these bring torch or pyarrow
    from synthlaw.corpus.documents import Document
    from synthlaw.evaluation.evaluate import Evaluator, PreparedDomain
    from synthlaw.evaluation.scores import DomainScores
    from synthlaw.evaluation.tasks import TaskSettings

INPUT = "input"
"""Name of the domain that --input makes."""


@click.command()
@click.option(
    "--model",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="A folder that `train` or `export` filled, or any Hugging Face Llama folder.",
)
@click.option(
    "--tokenizer",
    "tokenizer_place",
    help="What the model was trained with: llama3, a tokenizer.json, a .tiktoken file, or "
    "tiktoken:NAME.  [default: the model's own]",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="NAME[=PLACE]",
    help="Documents under a name; PLACE is a file, folder, pattern or hub:DATASET. wikitext103, "
    "pile_cc, arxiv and the paper's other names are known: without PLACE they come from the hub. "
    "'pile' takes all of its domains that PLACE holds. Repeatable.",
)
@click.option("--input", "inputs", multiple=True, help="Documents as one domain, 'input'.")
@settings_options(EvaluationSettings, "scoring")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help="A downstream task of lm-eval: its name, or a YAML file. Repeatable; extra 'tasks'.",
)
@click.option("--shots", type=click.IntRange(min=0), help="Examples before each question.")
@click.option("--task-limit", type=click.IntRange(min=1), help="Documents per task, the first.")
@out_option
@json_option
def evaluate(
    model: Path,
    tokenizer_place: str | None,
    domains: tuple[str, ...],
    inputs: tuple[str, ...],
    scoring: dict[str, Any],
    tasks: tuple[str, ...],
    shots: int | None,
    task_limit: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Score a model: loss per token, bits per byte, perplexities, with intervals over documents.

    Every token of every document is scored once. A stopped evaluation goes on with the domain
    that it was at. Two results on the same documents are compared by `synthlaw compare`.

    \b
    Examples:
      synthlaw evaluate --model runs/first --tokenizer tokens/natural/tokenizer.json \\
        --domain wikitext103=eval/wikitext.jsonl.gz --domain news=eval/news.jsonl --out scores
      synthlaw evaluate --model hf --domain pile=pile/test.jsonl.zst --max-tokens 4096 \\
        --documents 500 --keep-losses --out scores-pile
      synthlaw evaluate --model hf --domain wikitext103=wiki.jsonl --convention lm-eval \\
        --dtype fp32 --out scores-lm-eval
      synthlaw evaluate --model hf --task lambada_openai --task piqa --out tasks
    """
    from synthlaw.evaluation.tasks import TaskSettings, check_tasks

    if not domains and not inputs and not tasks:
        raise UsageError("give documents (--domain NAME=PLACE, --input PLACE) or a --task")
    settings = checked(EvaluationSettings, scoring)
    downstream = TaskSettings(tasks, shots, task_limit)
    if tasks:
        check_tasks(downstream)
    evaluator = _evaluator(model, tokenizer_place, settings)
    if domains or inputs:
        evaluator = _settled(evaluator, settings, out)
    missing: list[str] = []
    scored, facts = {}, {}
    for name, found in _domains(domains, inputs, missing):
        ready = _prepared(evaluator, name, found, settings)
        scored[name] = _score(evaluator, ready, out / "domains" / name, settings.keep_losses)
        facts[name] = {
            "documents": len(ready.documents),
            "cut": ready.cut,
            "unknown": ready.unknown,
        }
    value = {
        "model": {"folder": str(model), "digest": evaluator.loaded.digest},
        "tokenizer": {"file": evaluator.tokenizer.place, "digest": evaluator.tokenizer.digest},
        "protocol": asdict(evaluator.protocol),
        "missing": missing,
        "documents": facts,
    }
    rows = _write(out, scored, value, settings.seed) if scored else []
    lines = _lines(rows, facts, missing) if scored else []
    answers = _tasks(evaluator, downstream, out) if tasks else []
    lines += map(_task_line, answers)
    answer(value | {"figures": rows, "tasks": answers}, [*lines, f"in {out}"], as_json)


def _evaluator(folder: Path, tokenizer: str | None, settings: EvaluationSettings) -> Evaluator:
    """The model on its device with its tokenizer and protocol, in fp32."""
    from synthlaw.evaluation.conventions import protocol_of
    from synthlaw.evaluation.evaluate import Evaluator
    from synthlaw.evaluation.loading import load_any
    from synthlaw.study.results.provenance import tokenizer_of_run
    from synthlaw.tokens.tokenizer import Tokenizer
    from synthlaw.training.device import choose_device

    loaded = load_any(folder)
    place = tokenizer or loaded.tokenizer or tokenizer_of_run(folder)
    if place is None:
        raise UsageError(f"{folder}: holds no tokenizer.json; give --tokenizer (a file or a name)")
    protocol = protocol_of(
        settings.convention,
        context=loaded.context,
        window=settings.window,
        stride=settings.stride,
        prefix=settings.prefix,
        max_tokens=settings.max_tokens,
    )
    loaded.model.to(choose_device(settings.device))
    return Evaluator(loaded, Tokenizer(place), protocol)


def _settled(evaluator: Evaluator, settings: EvaluationSettings, out: Path) -> Evaluator:
    """The evaluator in the precision that `out` keeps, settled now if there is none."""
    from synthlaw.training.precision import PrecisionRequest

    request = PrecisionRequest(
        asked=settings.dtype,
        shape=evaluator.loaded.model.shape,
        context=evaluator.protocol.window,
        rows=1,
        device=settings.device,
    )
    protocol = replace(evaluator.protocol, dtype=settled_dtype(out, request))
    return replace(evaluator, protocol=protocol)


def _domains(
    named: tuple[str, ...], inputs: tuple[str, ...], missing: list[str]
) -> Iterator[tuple[str, list[Document]]]:
    """Domains with their documents, one after another; Pile domains not there go to `missing`."""
    from synthlaw.cli.options import documents_of, pairs
    from synthlaw.evaluation.domains import PILE, hub_place, read_domain, read_pile

    written = [item if "=" in item else f"{item}={hub_place(item)}" for item in named]
    places = pairs(tuple(written), "--domain")
    for name, place in places.items():
        _check_name(name)
        if name == PILE:
            found, absent = read_pile(place, Path.cwd())
            twice = sorted(set(found) & set(places))
            if twice:
                raise UsageError(f"--domain: {', '.join(twice)} is given twice, once in 'pile'")
            missing += [name for name in absent if name not in places]
            yield from found.items()
        else:
            yield name, list(read_domain(name, place, Path.cwd()))
    if inputs:
        if INPUT in places:
            raise UsageError(f"--domain: the name {INPUT!r} is that of --input; choose another")
        yield INPUT, list(documents_of(inputs))


def _check_name(name: str) -> None:
    """A domain's name becomes a folder's."""
    import re

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", name):
        raise UsageError(
            f"--domain: found the name {name!r}; expected letters, digits and . _ + - only"
        )


def _prepared(
    evaluator: Evaluator, name: str, found: list[Document], settings: EvaluationSettings
) -> PreparedDomain:
    from synthlaw.corpus.sampling import lowest
    from synthlaw.evaluation.evaluate import prepare_domain

    if settings.documents:
        chosen = lowest(found, settings.documents, settings.seed)
        found = [document for place, document in enumerate(found) if place in chosen]
    return prepare_domain(name, found, evaluator.tokenizer, evaluator.protocol)


def _score(evaluator: Evaluator, ready: PreparedDomain, folder: Path, losses: bool) -> DomainScores:
    done = evaluator.find(ready, folder, losses)
    if done is not None:
        say(f"  {ready.name}: scored already")
        return done
    total = sum(len(ids) for ids in ready.tokens)
    with meter(f"scoring {ready.name}", total, "token") as bar:
        return evaluator.score(ready, folder, losses=losses, on_progress=bar.advance)


def _write(
    out: Path, scored: dict[str, DomainScores], value: dict[str, Any], seed: int
) -> list[dict[str, Any]]:
    from synthlaw.evaluation.figures import draw, figure_rows, write_table
    from synthlaw.evaluation.scores import write_scores

    rows = figure_rows(scored, seed)
    write_scores(out / "scores.parquet", scored)
    write_table(out / "figures", rows)
    write_json(out / "scores.json", value | {"figures": rows})
    draw(out / "losses.svg", [r for r in rows if r["metric"] == "loss"], "loss, nats per token")
    return rows


def _tasks(evaluator: Evaluator, settings: TaskSettings, out: Path) -> list[dict[str, Any]]:
    """Results of the tasks, from OUT/tasks.json if these were run on this model before."""
    from synthlaw.evaluation.figures import write_table
    from synthlaw.evaluation.loading import exported
    from synthlaw.evaluation.tasks import run_tasks

    identity = {
        "model": evaluator.loaded.digest,
        "tokenizer": evaluator.tokenizer.digest,
        "settings": settings.identity(),
    }
    try:
        before = read_json(out / "tasks.json")
        # Through JSON, tuples are lists.
        if before["identity"] == json.loads(json.dumps(identity)):
            say("  tasks: answered already")
            return list(before["results"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    device = next(evaluator.loaded.model.parameters()).device
    with exported(evaluator.loaded, evaluator.tokenizer) as folder:
        rows = [asdict(row) for row in run_tasks(folder, settings, device=str(device))]
    write_table(out / "tasks", rows)
    write_json(out / "tasks.json", {"identity": identity, "results": rows})
    return rows


def _perplexity(value: float | None) -> str:
    """A word perplexity; that of text whose words are whole sentences is beyond any number."""
    return f"{'too large':>9}" if value is None else f"{value:9.4g}"


def _task_line(row: dict[str, Any]) -> str:
    error = "" if row["stderr"] is None else f" (standard error {row['stderr']:.4f})"
    return f"{row['task']}: {row['metric']} {row['value']:.4f}{error}"


def _lines(rows: list[dict[str, Any]], facts: dict[str, Any], missing: list[str]) -> list[str]:
    """A table for people, and what they should know of it."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        table.setdefault(row["domain"], {})[row["metric"]] = row
    width = max(len(name) for name in table)
    lines = [
        f"{'':{width}}  {'loss':>7}  {'90% interval':>15}  {'bits/byte':>9}  {'word ppl':>9}  "
        f"{'tokens':>11}  {'documents':>9}"
    ]
    for name, figures in table.items():
        loss = figures["loss"]
        spread = "none" if loss["low"] is None else f"{loss['low']:.4f}-{loss['high']:.4f}"
        lines.append(
            f"{name:{width}}  {loss['value']:7.4f}  {spread:>15}  "
            f"{figures['bits_per_byte']['value']:9.4f}  "
            f"{_perplexity(figures['word_perplexity']['value'])}  "
            f"{loss['tokens']:11,}  {loss['documents']:9,}"
        )
    cut = [f"{n} {f['cut']:,} of {f['documents']:,}" for n, f in facts.items() if f["cut"]]
    if cut:
        lines.append(f"longer documents, scored by their first tokens: {', '.join(cut)}")
    for name, fact in facts.items():
        if fact["unknown"]:
            lines.append(
                f"{name}: {fact['unknown']:,} tokens are the tokenizer's unknown token, which "
                "hides text: bits per byte and word perplexity are too low"
            )
    if missing:
        lines.append(f"not in the Pile's files and not scored: {', '.join(missing)}")
    return lines
