"""The tables and facts of a study that people and other programs read: runs.csv and its company."""

from __future__ import annotations

import csv
import io
import math
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.files import atomic_path, read_json, write_json, write_text
from synthlaw.common.machine import processor_name, total_memory, usable_cores
from synthlaw.common.seeds import derive_seed
from synthlaw.evaluation.tasks import task_columns
from synthlaw.study.grid import synthetic_part
from synthlaw.study.mixing import mean_shares
from synthlaw.study.rounds import round_of_mixtures
from synthlaw.study.run.execute import SCORES
from synthlaw.study.run.ladder import Finished
from synthlaw.study.spec import NATURAL
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.sampler import SourceUse
from synthlaw.training.metrics import METRICS_FILE, read_metrics
from synthlaw.training.precision import PrecisionRecord

LEVEL = 0.9
"""Nominal coverage of the intervals over documents."""


def write_runs(
    space: Workspace, finished: Sequence[Finished], generators: Mapping[str, str]
) -> None:
    """`runs.csv` and `runs.parquet`: one row per run, losses in nats per token.

    `loss` is the mean of the domains' losses per token, every domain with the same weight, as the
    paper averages over its domains (A.2.3). A diverged run has no losses. Columns
    `task/<task>/<metric>` hold what the harness says of a study's downstream tasks.
    generators: who wrote each generated source; those of a mixture are joined by +.
    """
    rows = [_row(space, item, generators) for item in finished]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(space.root / "runs.csv", stream.getvalue())
    with atomic_path(space.root / "runs.parquet") as aside:
        table = pa.table({key: [row.get(key) for row in rows] for key in columns})
        pq.write_table(table, aside, compression="zstd")


def _row(space: Workspace, item: Finished, generators: Mapping[str, str]) -> dict[str, Any]:
    run, result = item.run, item.result
    shares = mean_shares(space.study, run.mixture)
    kind, ratio = synthetic_part(shares)
    authors = dict.fromkeys(generators[n] for n in shares if n in generators and shares[n] > 0)
    losses = {f"loss/{name}": s["loss"] for name, s in (item.scores or {}).items()}
    return {
        "run": run.name,
        "mixture": run.mixture,
        "params": run.config.shape.params,
        "tokens": result["tokens"],
        "loss": math.fsum(losses.values()) / len(losses) if losses else None,
        "seed": run.seed,
        "synthetic_type": kind,
        "synthetic_ratio": round(ratio, 12),
        "generator": "+".join(authors),
        "grid": "+".join(run.grids),
        "params_total": run.config.shape.params_total,
        "flops": result["flops"],
        "status": "done" if item.scores is not None else "diverged",
        **losses,
        **task_columns(item.answers),
    }


CURVES = pa.schema(
    [
        ("run", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("tokens", pa.int64()),
        ("loss", pa.float64()),
        ("lr", pa.float64()),
    ]
)
"""Columns of training_curves.parquet; `run` is the column of runs.csv."""


def write_curves(space: Workspace, finished: Sequence[Finished]) -> None:
    """`training_curves.parquet`: a row per optimizer step of every run, in the order of runs.csv.

    tokens: trained on when the step is done. loss: nats per token of that step's batch, before its
    update: a training loss, noisier than runs.csv's and of another text. lr: the step's rate,
    which tells a plateau's losses from a cooldown's. A diverged run's rows end where it stopped.
    """
    with (
        atomic_path(space.root / "training_curves.parquet") as aside,
        pq.ParquetWriter(aside, CURVES, compression="zstd") as writer,
    ):
        for item in finished:
            path = item.training / METRICS_FILE
            rows = read_metrics(path) if path.exists() else []  # Another trainer leaves none.
            columns = {name: [row[name] for row in rows] for name in CURVES.names[1:]}
            names = pa.array([item.run.name] * len(rows), pa.string()).dictionary_encode()
            writer.write_table(pa.table({"run": names, **columns}, schema=CURVES))


def write_mixtures(
    space: Workspace, finished: Sequence[Finished], uses: Mapping[str, Sequence[SourceUse]]
) -> None:
    """`mixtures.json`: realised shares and epochs of every source, by mixture and budget.

    round: how many of the study's own models a mixture's text has passed through.
    """
    rounds = round_of_mixtures(space.study, [item.run for item in finished])
    listed: dict[tuple[str, int], dict[str, Any]] = {}
    for item in finished:
        place = (item.run.mixture, item.run.config.tokens)
        listed[place] = {
            "mixture": place[0],
            "round": rounds[place[0]],
            "tokens": place[1],
            "sources": [
                {
                    "source": use.source,
                    "share_asked": use.share_asked,
                    "share_realised": use.share_realised,
                    "tokens": use.tokens,
                    "epochs": use.epochs,
                }
                for use in uses[item.run.name]
            ],
        }
    write_json(space.root / "mixtures.json", [listed[place] for place in sorted(listed)])


def write_evaluation(
    space: Workspace,
    finished: Sequence[Finished],
    untrained: Mapping[str, Mapping[str, Any]],
    domains: Mapping[str, int],
) -> None:
    """`evaluation.json`: domains, untrained losses by size, and each run's interval by domain.

    domains: documents of each. Intervals are 90%, by bootstrap over documents.
    """
    first = next(iter(untrained.values()), {})
    facts = [
        {
            "domain": name,
            "documents": documents,
            "tokens": first.get(name, {}).get("tokens"),
            "kind": "held-out" if name == NATURAL else "not in training",
            "untrained_loss": first.get(name, {}).get("loss"),
        }
        for name, documents in domains.items()
    ]
    intervals = [row for item in finished for row in _intervals(space, item)]
    losses = {name: {d: s["loss"] for d, s in scores.items()} for name, scores in untrained.items()}
    write_json(
        space.root / "evaluation.json",
        {
            "level": LEVEL,
            "domains": facts,
            "untrained": losses,
            "intervals": intervals,
        },
    )


def _intervals(space: Workspace, item: Finished) -> list[dict[str, Any]]:
    """The run's loss on each domain with its interval; none for a diverged run."""
    from synthlaw.evaluation.scores import read_scores

    if item.evaluation is None or not (item.evaluation / SCORES).exists():
        return []
    rows = []
    for name, domain in read_scores(item.evaluation / SCORES).items():
        # One seed for all runs: their intervals rest on the same resamples of documents.
        found = domain.interval(level=LEVEL, seed=derive_seed(space.study.seed, "documents", name))
        whole = math.isfinite(found.low) and math.isfinite(found.high)
        rows.append(
            {
                "run": item.run.name,
                "domain": name,
                "loss": found.value,
                "low": found.low if whole else None,
                "high": found.high if whole else None,
            }
        )
    return rows


def write_facts(space: Workspace, timed: Mapping[str, Sequence[Artifact]]) -> None:
    """`timings.json` (seconds of work by stage, as first done) and `machine.json`.

    Training and evaluation add up their workers; generation is its tokens over its speed, since
    shards are written side by side.
    """
    timings = [
        {"stage": stage, "seconds": round(math.fsum(a.seconds for a in artifacts), 2)}
        for stage, artifacts in timed.items()
    ]
    if seconds := _generation_seconds(space):
        timings.insert(1, {"stage": "generate", "seconds": seconds})
    write_json(space.root / "timings.json", timings)
    packages = ("synthlaw", "torch", "numpy", "tokenizers", "openvino-genai")
    machine = {
        "cores": usable_cores(),
        "memory_bytes": total_memory(),
        "machine": platform.machine(),
        "processor": processor_name(),
        "precision": _precision(space),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }
    write_json(space.root / "machine.json", machine)


def _generation_seconds(space: Workspace) -> float:
    """Tokens over speed, of all generators together."""
    generation = read_json(space.root / "generation.json")
    total = 0.0
    for one in generation["generators"]:
        own = [r for r in generation["recipes"] if r["generator"] == one["generator"]]
        tokens = sum(recipe["completion_tokens"] for recipe in own)
        total += tokens / one["tokens_per_second"] if one["tokens_per_second"] else 0.0
    return round(total, 2)


def _precision(space: Workspace) -> dict[str, Any] | None:
    record = PrecisionRecord.read(space.root)
    return None if record is None else record.model_dump(mode="json", exclude={"processor"})


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
