"""What a study asks of generation, in a file that any number of workers can go by.

STUDY/generated/orders.json      the engine, the source documents, a run for every recipe
STUDY/generated/NAME/            the run folder of the recipe NAME; see generate/run/folder.py
STUDY/generated/NAME/manifest.json   makes it the dataset that the study takes of the run
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.parts import Dataset
from synthlaw.common.settings import validated
from synthlaw.generate.engines.base import Engine, Sampling
from synthlaw.generate.engines.registry import EngineSettings, make_engine
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.recipe import Recipe
from synthlaw.generate.run.folder import RunFolder
from synthlaw.generate.run.target import Target
from synthlaw.generate.run.work import RunWork
from synthlaw.generate.run.workers import keyword_pool
from synthlaw.generate.settings import Settings
from synthlaw.study.data.source_documents import SourceDocuments
from synthlaw.tokens.tokenizer import Tokenizer, is_named

FOLDER = "generated"
FILE = ".orders.json"
FORMAT = 2


class StudyTokens:
    """Counts tokens as a study's token sets hold them, BOS and EOS included."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.digest = tokenizer.digest

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together."""
        return sum(len(ids) + 2 for ids in self._tokenizer.encode(texts))


@dataclass(frozen=True)
class Orders:
    """All runs that a study asks for.

    root: the study folder. engine: the generator's settings. documents: folder of the dataset of
    source documents. tokenizer: its place, see Tokenizer. runs: settings and target by the
    recipe's name in the study.
    """

    root: Path
    engine: EngineSettings
    documents: Path
    seed: int
    block_size: int
    tokenizer: str
    runs: Mapping[str, tuple[Settings, Target]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the runs are."""
        return self.root / FOLDER

    def write(self) -> None:
        """Let workers know."""
        value = {
            "format": FORMAT,
            "engine": self.engine.model_dump(mode="json")
            | {"base_url": _without_secrets(self.engine.base_url)},
            "documents": self._relative(self.documents),
            "seed": self.seed,
            "block_size": self.block_size,
            "tokenizer": self.tokenizer
            if is_named(self.tokenizer)
            else self._relative(Path(self.tokenizer)),
            "runs": {name: _run_record(*run) for name, run in self.runs.items()},
        }
        write_json(self.folder / FILE, value)

    def _relative(self, path: Path) -> str:
        """A path from the study folder on, where it lies in it: other machines may mount it
        elsewhere."""
        inside = path.resolve().is_relative_to(self.root.resolve())
        return os.path.relpath(path.resolve(), self.root.resolve()) if inside else str(path)

    def make_engine(self, log: str = "vllm.log", **other: Any) -> Engine:
        """The engine; `other` are settings of it that are particular to this machine.

        log: file in the study folder for what a server says that is started here.
        """
        given = {name: value for name, value in other.items() if value}
        # Validated again: what a kind takes does not depend on where it was said.
        settings = validated(EngineSettings, self.engine.model_dump() | given)
        return make_engine(settings, self.root / log)

    def open_runs(self, engine: Engine, *, verify: bool = False) -> list[RunWork]:
        """Every run, opened in its folder."""
        dataset = Dataset(self.documents)
        inputs = SourceDocuments(dataset, self.seed, self.block_size)
        counter = StudyTokens(Tokenizer(self.tokenizer))
        pool = keyword_pool(inputs, self.seed)
        runs = []
        for name, (settings, target) in self.runs.items():
            mix = RecipeMix.of([settings])
            out = self.folder / name
            folder = RunFolder(out, mix, engine, inputs, self.block_size, target)
            runs.append(RunWork(name, folder, engine, counter=counter, pool=pool, verify=verify))
        return runs


def _without_secrets(urls: Sequence[str]) -> list[str]:
    """URLs as they may stand in a file, without password and query; whoever needs these gives a
    URL of its own."""
    parts = [urlsplit(url) for url in urls]
    bare = [(one.scheme, one.netloc.rpartition("@")[2], one.path, "", "") for one in parts]
    return [urlunsplit(one) for one in bare]


def _run_record(settings: Settings, target: Target) -> dict[str, Any]:
    return {
        "recipe": settings.recipe.model_dump(mode="json"),
        "sampling": settings.sampling.record(),
        "seed": settings.seed,
        "input_tokens": settings.input_tokens,
        "rollouts": settings.rollouts,
        "target": asdict(target),
    }


def read_orders(root: Path) -> Orders:
    """The orders of the study folder `root`.

    Raises UsageError when the study has not come to its generation, or was made by another version,
    or when a Python recipe has changed since.
    """
    place = root / FOLDER / FILE
    try:
        value = read_json(place)
    except FileNotFoundError:
        raise UsageError(
            f"{root}: no generated text is asked for; expected a study folder whose `synthlaw run` "
            "has come to the stage generate"
        ) from None
    if value["format"] != FORMAT:
        raise UsageError(f"{place}: found format {value['format']}; expected {FORMAT}")
    tokenizer = value["tokenizer"]
    return Orders(
        root=root,
        engine=EngineSettings(**value["engine"]),
        documents=root / value["documents"],
        seed=value["seed"],
        block_size=value["block_size"],
        tokenizer=tokenizer if is_named(tokenizer) else str(root / tokenizer),
        runs={name: _read_run(name, run) for name, run in value["runs"].items()},
    )


def _read_run(name: str, value: dict[str, Any]) -> tuple[Settings, Target]:
    recipe = Recipe.model_validate(value["recipe"])
    if recipe.python is not None:
        file = Path(recipe.python.rpartition(":")[0])
        if not file.is_file() or file_digest(file) != recipe.python_sha256:
            raise UsageError(
                f"generate.recipes.{name}: {file} is not there or not the file that the study was "
                "started with"
            )
    settings = Settings(
        recipe,
        Sampling(**value["sampling"]),
        value["seed"],
        value["input_tokens"],
        value["rollouts"],
    )
    return settings, Target(**value["target"])
