"""What a study knows of a run in its folder, for the card of the exported model.

A study folder outlives its file: runs of an earlier version of the file stay. So a run is told of
only when the study, as it stands, still leads to the run's key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json
from synthlaw.study.data.natural import TOKENIZER_FOLDER
from synthlaw.study.grid import Run, runs_of
from synthlaw.study.load import load_study
from synthlaw.study.mixing import mean_shares
from synthlaw.study.precision import with_precision
from synthlaw.study.run.execute import SUMMARY, find_finished
from synthlaw.study.run.ladder import tasks_of
from synthlaw.study.run.task import RunTask
from synthlaw.study.spec import NATURAL
from synthlaw.study.store import MARKER, Artifact, Store
from synthlaw.study.token_sets import DOMAIN, newest_sets
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.training.precision import PrecisionRecord

TRAINING = "training"


@dataclass(frozen=True)
class Provenance:
    """rows: the card's table. tokenizer: what the run's tokens were
    made with, by file or name."""

    rows: Mapping[str, Any]
    tokenizer: str | None


def run_provenance(folder: Path) -> Provenance | None:
    """What the study of the run in `folder`, `STUDY/artifacts/training/…`, knows of it.

    None when the folder is no run of a study. Raises UsageError when the study has changed since.
    """
    folder = folder.resolve()
    if folder.parent.name != TRAINING or not (folder / MARKER).exists():
        return None
    root, marker = folder.parents[2], read_json(folder / MARKER)
    study = with_precision(load_study(root / "study.yaml"), PrecisionRecord.read(root))
    space = Workspace(study, root, Store(root))
    sets = newest_sets(root)
    run, task = _task(space, marker["name"], sets)
    if task is None or run is None or task.training_key(space.store) != marker["key"]:
        raise UsageError(
            f"{folder}: {root / 'study.yaml'} no longer leads to this run, so what it was trained "
            "on cannot be told; export a run of the study as it is, or copy the run's folder to "
            "another place to export it without"
        )
    return Provenance(_rows(space, run, task, sets), tokenizer_of_run(folder))


def _task(
    space: Workspace, name: str, sets: Mapping[str, Artifact]
) -> tuple[Run | None, RunTask | None]:
    """The study's run called `name` as it would be done now; none when it has no such run."""
    if NATURAL not in sets:
        return None, None
    manifest = TokenDataset(sets[NATURAL].path).manifest
    runs = [r for r in runs_of(space.study, manifest.vocab, manifest.bos) if r.name == name]
    if not runs or any(n not in sets for n in _sources(space, runs[0])):
        return None, None
    domains = {
        domain: sets[DOMAIN + domain]
        for domain in dict.fromkeys([NATURAL, *space.study.evaluation.domains])
        if DOMAIN + domain in sets
    }
    return runs[0], tasks_of(space, runs, sets, domains, "")[name]


def _sources(space: Workspace, run: Run) -> dict[str, float]:
    shares = mean_shares(space.study, run.mixture)
    return {name: share for name, share in shares.items() if share > 0}


def _rows(
    space: Workspace, run: Run, task: RunTask, sets: Mapping[str, Artifact]
) -> dict[str, Any]:
    manifest = TokenDataset(sets[NATURAL].path).manifest
    used = {use.source: use for use in task.sampler().use(run.windows)}
    rows: dict[str, Any] = {
        "study": space.study.name,
        "run": run.name,
        "mixture": run.mixture,
        "token budget": run.config.budget,
        "seed": run.seed,
        "tokenizer": f"{manifest.tokenizer_name}, SHA-256 {manifest.tokenizer}",
    }
    for name, share in _sources(space, run).items():
        rows[f"source {name}"] = {
            "share": share,
            "share_realised": round(used[name].share_realised, 6),
            "tokens": used[name].tokens,
            "epochs": round(used[name].epochs, 6),
            **_origin(space, name),
            "token_set": TokenDataset(sets[name].path).identity,
        }
    found = find_finished(task.model_copy(update={"downstream": None}), space.store)
    if found is not None and found[1] is not None:
        scores = read_json(found[1].file(SUMMARY))
        rows["evaluation loss, nats per token"] = {n: s["loss"] for n, s in scores.items()}
    rows["synthlaw"] = metadata.version("synthlaw")
    return rows


def _origin(space: Workspace, source: str) -> dict[str, Any]:
    """Where a source's text is from: given text, or a recipe and the generator that followed it."""
    study = space.study
    if source not in study.generate.recipes:
        return {"text": "natural" if source == NATURAL else "given"}
    generation = read_json(space.root / "generation.json")
    recipe = next(one for one in generation["recipes"] if one["recipe"] == source)
    generators = {one["generator"]: one for one in generation["generators"]}
    return {
        "text": "generated",
        "recipe": recipe["of"],
        "recipe_version": recipe["version"],
        "generator": generators[recipe["generator"]]["label"],
        "sampling": generators[recipe["generator"]]["sampling"],
    }


def tokenizer_of_run(folder: Path) -> str | None:
    """The tokenizer of the study whose run lies in `folder`, by file or name; None if unknown."""
    folder = folder.resolve()
    if folder.parent.name != TRAINING or len(folder.parents) < 3:
        return None
    root = folder.parents[2]
    files = sorted((root / TOKENIZER_FOLDER).glob("[!.]*"))
    if files:
        return str(files[0])
    try:
        return load_study(root / "study.yaml").tokenizer.name
    except UsageError:
        return None
