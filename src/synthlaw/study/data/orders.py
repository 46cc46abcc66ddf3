"""What a study asks of generation, in a file that any number of workers can go by.

STUDY/generated/orders.json      the generators, the source documents, a run for every recipe
STUDY/generated/NAME/            the run folder of the recipe NAME; see generate/run/folder.py
STUDY/generated/NAME/manifest.json   makes it the dataset that the study takes of the run
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.parts import Dataset
from synthlaw.common.settings import validated
from synthlaw.generate.engines.base import Sampling
from synthlaw.generate.engines.registry import EngineSettings, make_engine
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.recipe import Recipe
from synthlaw.generate.run.folder import RunFolder
from synthlaw.generate.run.target import Target
from synthlaw.generate.run.work import RunWork
from synthlaw.generate.run.workers import keyword_pool
from synthlaw.generate.settings import Settings
from synthlaw.study.data.generators import Generator
from synthlaw.study.data.source_documents import SourceDocuments
from synthlaw.tokens.tokenizer import Tokenizer, is_named

FOLDER = "generated"
FILE = ".orders.json"
FORMAT = 4


class StudyTokens:
    """Counts tokens as a study's token sets hold them, BOS and EOS included."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.digest = tokenizer.digest

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together."""
        return sum(len(ids) + 2 for ids in self._tokenizer.encode(texts))


@dataclass(frozen=True)
class Order:
    """One run that a study asks for. generator: who carries it out, by its name in the study."""

    mix: RecipeMix
    target: Target
    generator: str

    def as_json(self) -> dict[str, Any]:
        """The order as JSON values."""
        common = self.mix.common
        return {
            "recipes": [one.recipe.model_dump(mode="json") for one in self.mix.settings],
            "shares": list(self.mix.shares),
            "sampling": common.sampling.record(),
            "seed": common.seed,
            "input_tokens": common.input_tokens,
            "rollouts": common.rollouts,
            "target": asdict(self.target),
            "generator": self.generator,
        }


@dataclass(frozen=True)
class Orders:
    """All runs that a study asks for.

    root: the study folder. generators: their settings by name. documents: folder of the dataset of
    source documents. tokenizer: its place, see Tokenizer. runs: by the recipe's name in the study.
    """

    root: Path
    generators: Mapping[str, EngineSettings]
    documents: Path
    seed: int
    block_size: int
    tokenizer: str
    runs: Mapping[str, Order] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the runs are."""
        return self.root / FOLDER

    def write(self) -> None:
        """Let workers know."""
        write_json(self.folder / FILE, self.record())

    def record(self) -> dict[str, Any]:
        """The orders as JSON values; nothing secret is in them."""
        return {
            "format": FORMAT,
            "generators": {name: self._engine(one) for name, one in self.generators.items()},
            "documents": self._relative(self.documents),
            "seed": self.seed,
            "block_size": self.block_size,
            "tokenizer": self.tokenizer
            if is_named(self.tokenizer)
            else self._relative(Path(self.tokenizer)),
            "runs": {name: order.as_json() for name, order in self.runs.items()},
        }

    def _engine(self, engine: EngineSettings) -> dict[str, Any]:
        record = _engine_record(engine)
        if engine.model is not None and (self.root / engine.model).exists():
            record["model"] = self._relative(Path(engine.model))
        return record

    def _relative(self, path: Path) -> str:
        """A path from the study folder on, where it lies in it: other machines may mount it
        elsewhere."""
        inside = path.resolve().is_relative_to(self.root.resolve())
        return os.path.relpath(path.resolve(), self.root.resolve()) if inside else str(path)

    def only(self, generator: str) -> Orders:
        """The runs of one generator. Raises UsageError where there is none of that name."""
        if generator not in self.generators:
            raise UsageError(
                f"{self.root}: found no generator {generator!r}; expected one of "
                f"{', '.join(self.generators)}"
            )
        runs = {name: one for name, one in self.runs.items() if one.generator == generator}
        return replace(self, generators={generator: self.generators[generator]}, runs=runs)

    def with_engine(self, **other: Any) -> Orders:
        """With settings of the one generator that are particular to this machine.

        Raises UsageError where there are several generators, or for settings that do not fit.
        """
        given = {name: value for name, value in other.items() if value}
        if not given:
            return self
        if len(self.generators) > 1:
            raise UsageError(
                f"{self.root}: its text is written by {', '.join(self.generators)}; say with "
                "--generator which of them is meant"
            )
        # Validated again: what a kind takes does not depend on where it was said.
        settings = {
            name: validated(EngineSettings, one.model_dump() | given)
            for name, one in self.generators.items()
        }
        return replace(self, generators=settings)

    def make_generators(self, log: str = "vllm{}.log") -> dict[str, Generator]:
        """Every generator with its runs, opened in their folders.

        log: file in the study folder for what a server says that is started here; {} becomes what
        tells several generators apart.
        """
        made = {}
        for name, settings in self.generators.items():
            apart = "" if len(self.generators) == 1 else f"-{name}"
            engine = make_engine(settings, self.root / log.format(apart))
            made[name] = Generator(name, engine, elsewhere=bool(settings.base_url))
        return made

    def open_runs(
        self, generators: Mapping[str, Generator], *, verify: bool = False
    ) -> list[RunWork]:
        """Every run, opened in its folder and given to its generator."""
        dataset = Dataset(self.documents)
        inputs = SourceDocuments(dataset, self.seed, self.block_size)
        counter = StudyTokens(Tokenizer(self.tokenizer))
        pool = keyword_pool(inputs, self.seed)
        runs = []
        for name, order in self.runs.items():
            generator = generators[order.generator]
            engine, place = generator.engine, self.folder / name
            folder = RunFolder(place, order.mix, engine, inputs, self.block_size, order.target)
            run = RunWork(name, folder, engine, counter=counter, pool=pool, verify=verify)
            generator.runs.append(run)
            runs.append(run)
        return runs


def _engine_record(engine: EngineSettings) -> dict[str, Any]:
    known = engine.model_dump(mode="json", include=set(EngineSettings.model_fields))
    return known | {"base_url": _without_secrets(engine.base_url)}


def _engine_of(root: Path, record: dict[str, Any]) -> EngineSettings:
    """Settings as written down; a model that lies in the study folder is found from there."""
    model = record.get("model")
    if model is not None and (root / model).exists():
        record = {**record, "model": str(root / model)}
    return EngineSettings(**record)


def _without_secrets(urls: Sequence[str]) -> list[str]:
    """URLs as they may stand in a file, without password and query; whoever needs these gives a
    URL of its own."""
    parts = [urlsplit(url) for url in urls]
    bare = [(one.scheme, one.netloc.rpartition("@")[2], one.path, "", "") for one in parts]
    return [urlunsplit(one) for one in bare]


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
        generators={name: _engine_of(root, one) for name, one in value["generators"].items()},
        documents=root / value["documents"],
        seed=value["seed"],
        block_size=value["block_size"],
        tokenizer=tokenizer if is_named(tokenizer) else str(root / tokenizer),
        runs={name: _read_run(name, run) for name, run in value["runs"].items()},
    )


def _read_run(name: str, value: dict[str, Any]) -> Order:
    common = (
        Sampling(**value["sampling"]), value["seed"], value["input_tokens"], value["rollouts"]
    )  # fmt: skip
    settings = [Settings(_read_recipe(name, one), *common) for one in value["recipes"]]
    mix = RecipeMix(tuple(settings), tuple(value["shares"]))
    return Order(mix, Target(**value["target"]), value["generator"])


def _read_recipe(name: str, value: dict[str, Any]) -> Recipe:
    recipe = Recipe.model_validate(value)
    if recipe.python is not None:
        file = Path(recipe.python.rpartition(":")[0])
        if not file.is_file() or file_digest(file) != recipe.python_sha256:
            raise UsageError(
                f"generate.recipes.{name}: {file} is not there or not the file that the study was "
                "started with"
            )
    return recipe
