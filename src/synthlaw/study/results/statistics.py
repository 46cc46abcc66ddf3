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
from synthlaw.statistics.build import (
    FACTS,
    STATISTICS_VERSION,
    Sources,
    facts_of,
    make_tables,
    write_tables,
)
from synthlaw.statistics.loss_tables import ModelLosses
from synthlaw.statistics.sets import Compared, compare
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
from synthlaw.study.store import Artifact
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
        with space.store.making(FOLDER, TABLES, key) as aside:
            _write(space, sources, domains, losses, tokenizer, aside / TABLES)
        found = space.store.require(FOLDER, TABLES, key)
    with atomic_folder(space.root / FOLDER, "statistics") as aside:
        shutil.copytree(found.file(TABLES), aside, dirs_exist_ok=True)
        # The page is drawn again when this file has changed, so it speaks for all tables.
        write_json(aside / FACTS, read_json(aside / FACTS) | {"content": found.content})
    return found


def _write(
    space: Workspace,
    sources: Mapping[str, Artifact],
    domains: Mapping[str, Artifact],
    losses: Mapping[tuple[str, str], TokenLosses],
    tokenizer: Tokenizer,
    folder: Path,
) -> None:
    sets = {name: TokenDataset(artifact.path) for name, artifact in sources.items()}
    tests = {name: TokenDataset(artifact.path) for name, artifact in domains.items()}
    compared = compare(
        {name: _count(space, f"source-{name}", name, data) for name, data in sets.items()},
        {name: _count(space, f"domain-{name}", name, data) for name, data in tests.items()},
        mixtures=_mixtures(space),
        baseline=NATURAL,
        seed=space.study.seed,
    )
    kept = [
        ModelLosses(model, one, _trained_on(space, compared, model))
        for (model, _), one in losses.items()
    ]
    found = make_tables(
        compared,
        Sources(sets, tests, kept),
        tokenizer=tokenizer,
        longest=LONGEST,
        seed=space.study.seed,
    )
    write_tables(folder, found, facts_of(compared, found, LONGEST))


def _count(space: Workspace, label: str, name: str, data: TokenDataset) -> Unigrams:
    """The set's counts, kept as an artifact of their own: sets outlive mixtures and runs."""
    key = space.store.key(FOLDER, UNIGRAMS_VERSION, {"unigrams": data.identity})
    found = space.store.find(FOLDER, label, key)
    counted = None if found is None else read_unigrams(found.file("counts"), data.identity)
    if counted is None:
        counted = count_unigrams(name, data)
        with space.store.making(FOLDER, label, key) as aside:
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


def _trained_on(space: Workspace, compared: Compared, mixture: str) -> Unigrams:
    parts = [source for source, share in space.study.mixtures[mixture].items() if share > 0]
    return compared.equal[parts[0] if len(parts) == 1 else _label(space, mixture)]


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
