"""The statistics of a study: its sources, mixtures and domains compared; loss by token of one run
per mixture."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.evaluation.token_losses import TokenLosses
from synthlaw.execute.base import Json, Report, do_one
from synthlaw.statistics.build import (
    FACTS,
    STATISTICS_VERSION,
    Sources,
    facts_of,
    make_tables,
    write_tables,
)
from synthlaw.statistics.loss_tables import ModelLosses
from synthlaw.statistics.sets import compare
from synthlaw.statistics.unigrams import (
    UNIGRAMS_VERSION,
    Unigrams,
    count_unigrams,
    read_unigrams,
    write_unigrams,
)
from synthlaw.study.run.execute import LOSSES
from synthlaw.study.run.ladder import Finished
from synthlaw.study.spec import NATURAL
from synthlaw.study.store import Artifact, Store
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.tokenizer import Tokenizer

FOLDER = "statistics"
TABLES = "tables"
LONGEST = 5


def make_statistics(
    space: Workspace,
    sources: Mapping[str, Artifact],
    domains: Mapping[str, Artifact],
    finished: Sequence[Finished],
    tokenizer: Tokenizer,
) -> Artifact:
    """The statistics' tables as an artifact, and a copy of them in the study folder."""
    losses = _kept_losses(finished)
    inputs: dict[str, Any] = {
        "sources": {name: TokenDataset(a.path).identity for name, a in sources.items()},
        "domains": {name: TokenDataset(a.path).identity for name, a in domains.items()},
        "mixtures": _mixtures(space),
        "losses": {f"{model}/{name}": kept.identity for (model, name), kept in losses.items()},
        "seed": space.study.seed,
        "unigrams": UNIGRAMS_VERSION,
    }
    key = space.store.key(FOLDER, STATISTICS_VERSION, inputs)
    found = space.store.find(FOLDER, TABLES, key)
    if found is None:
        task = {
            "root": str(space.root.absolute()),
            "sources": {name: str(a.path.absolute()) for name, a in sources.items()},
            "domains": {name: str(a.path.absolute()) for name, a in domains.items()},
            "mixtures": inputs["mixtures"],
            "losses": [
                [mixture, str(kept.folder.absolute()), _trained_on(space, mixture)]
                for (mixture, _), kept in losses.items()
            ],
            "tokenizer": tokenizer.anywhere,
            "seed": space.study.seed,
        }
        with space.store.making(FOLDER, TABLES, key) as aside:
            task["out"] = str((aside / TABLES).absolute())
            space.store.made += do_one(space.executor, JOB, task)
        found = space.store.require(FOLDER, TABLES, key)
    with atomic_folder(space.root / FOLDER, "statistics") as aside:
        shutil.copytree(found.file(TABLES), aside, dirs_exist_ok=True)
        # The page is drawn again when this file has changed, so it speaks for all tables.
        write_json(aside / FACTS, read_json(aside / FACTS) | {"content": found.content})
    return found


JOB = f"{__name__}:statistics_job"


def statistics_job(task: Json, report: Report) -> list[str]:
    """All tables of a study, as a job; returns the artifacts made on the way.

    task: "root" of the study; folders of token sets by name, "sources" and "domains"; "mixtures",
    shares by name; "losses", of each kept one its model, folder and the set that the model was
    trained on; "tokenizer", "seed", and "out", the folder to write.
    """
    store = Store(Path(task["root"]))
    sets = {name: TokenDataset(Path(place)) for name, place in task["sources"].items()}
    tests = {name: TokenDataset(Path(place)) for name, place in task["domains"].items()}
    compared = compare(
        {name: _count(store, f"source-{name}", name, data) for name, data in sets.items()},
        {name: _count(store, f"domain-{name}", name, data) for name, data in tests.items()},
        mixtures=task["mixtures"],
        baseline=NATURAL,
        seed=task["seed"],
    )
    kept = [
        ModelLosses(model, TokenLosses(Path(place)), compared.equal[trained_on])
        for model, place, trained_on in task["losses"]
    ]
    found = make_tables(
        compared,
        Sources(sets, tests, kept),
        tokenizer=Tokenizer(task["tokenizer"]),
        longest=LONGEST,
        seed=task["seed"],
    )
    write_tables(Path(task["out"]), found, facts_of(compared, found, LONGEST))
    return store.made


def _count(store: Store, label: str, name: str, data: TokenDataset) -> Unigrams:
    """The set's counts, kept as an artifact of their own: sets outlive mixtures and runs."""
    key = store.key(FOLDER, UNIGRAMS_VERSION, {"unigrams": data.identity})
    found = store.find(FOLDER, label, key)
    counted = None if found is None else read_unigrams(found.file("counts"), data.identity)
    if counted is None:
        counted = count_unigrams(name, data)
        with store.making(FOLDER, label, key) as aside:
            write_unigrams(aside / "counts", counted, data.identity)
    return replace(counted, name=name)


def _mixtures(space: Workspace) -> dict[str, dict[str, float]]:
    """Mixtures of more than one source; the others are their source."""
    found = {}
    for name, shares in space.study.mixtures.items():
        parts = {source: share for source, share in shares.items() if share > 0}
        if len(parts) > 1:
            found[_label(space, name)] = parts
    return found


def _label(space: Workspace, mixture: str) -> str:
    """A mixture's name among sets; a source of the same name keeps it to itself."""
    taken = mixture == NATURAL or mixture in space.study.generate.recipes
    return f"{mixture} (mixture)" if taken else mixture


def _trained_on(space: Workspace, mixture: str) -> str:
    """The set, by its name among those compared, that a mixture's runs are trained on."""
    parts = [source for source, share in space.study.mixtures[mixture].items() if share > 0]
    return parts[0] if len(parts) == 1 else _label(space, mixture)


def _kept_losses(finished: Sequence[Finished]) -> dict[tuple[str, str], TokenLosses]:
    """Losses by token of the runs that kept them, by mixture and domain."""
    found = {}
    for item in finished:
        if item.evaluation is None or item.scores is None:
            continue
        for name in item.scores:
            folder = item.evaluation / LOSSES / name
            if folder.is_dir():
                found[item.run.mixture, name] = TokenLosses(folder)
    return found
