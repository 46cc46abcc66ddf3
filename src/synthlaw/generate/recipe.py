"""Recipes as data: which prompts turn a document into synthetic text, and what is expected back.

A recipe is a YAML file. Each step holds a prompt whose named pieces (`slots`) give way to values;
everything else in it is sent as written. What fills a slot is never looked at again, so a document
that holds braces, `[xxxx]` or a chat template's control words is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.common.yaml_text import read_yaml
from synthlaw.generate.filters import RULES

Seeds = Literal["document", "themes", "keywords"]
Stitch = Literal["first", "last", "without"]

_NAME = re.compile(r"\{(\w+)\}")
_BUILT_IN = ("document", "audience", "chapters", "chapter")
_FOLDER = resources.files("synthlaw.generate") / "recipes"


class Step(BaseModel):
    """One request to the engine, or one per chapter.

    name: of the step; a repeated step numbers it (`chapter-3`). prompt: the user's turn. slots:
    literal piece of the prompt -> what takes its place, where `{document}`, `{audience}`,
    `{chapters}`, `{chapter}` and `{earlier step}` stand for values. keep: whether completions are
    training documents or only feed later steps. target_tokens: length hoped for. rules: names of
    the post-filter rules that apply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    prompt: str = Field(min_length=1)
    system: str = ""
    slots: dict[str, str] = {"[xxxx]": "{document}"}
    repeat: Literal["once", "chapters"] = "once"
    keep: Literal["document", "aside"] = "document"
    target_tokens: int | None = Field(default=None, gt=0)
    rules: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _slots_are_found_once(self) -> Self:
        for literal in self.slots:
            found = self.prompt.count(literal) if literal else 0
            if found != 1:
                raise ValueError(
                    f"step '{self.name}': the slot {literal!r} is found {found} times in the "
                    "prompt; expected exactly once"
                )
        return self

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        _check_rules(self.rules, f"step '{self.name}'")
        return self

    def fill(self, values: Mapping[str, object]) -> str:
        """The prompt with every slot replaced, in one pass over the template.

        values: name -> value for every name that the slots use. Raises KeyError for a missing one.
        """
        if not self.slots:
            return self.prompt
        longest_first = sorted(self.slots, key=len, reverse=True)
        pattern = re.compile("|".join(re.escape(literal) for literal in longest_first))

        def value_of(match: re.Match[str]) -> str:
            return _NAME.sub(lambda name: str(values[name[1]]), self.slots[match[0]])

        return pattern.sub(value_of, self.prompt)

    @cached_property
    def fixed_pieces(self) -> tuple[str, ...]:
        """What of the prompt stays as it is, in order."""
        pieces = [self.prompt]
        for literal in self.slots:
            pieces = [part for piece in pieces for part in piece.split(literal)]
        return tuple(piece for piece in pieces if piece)

    def names_used(self) -> set[str]:
        """Names of the values that the slots need."""
        return {name for value in self.slots.values() for name in _NAME.findall(value)}


class Recipe(BaseModel):
    """A named, versioned way of writing synthetic documents. See the folder `recipes`.

    seeds: what `{document}` stands for: the document's text, its own `keywords` key phrases, or
    so many drawn from the whole input; see keywords.py.
    versions: times that a document goes through the steps in one rollout. stitch: join what is kept
    of them to one document, with the original first, last or without it; see stitching.py.
    A recipe has steps, or names a function (see rollout.py): python is then `file.py:function`,
    python_sha256 the file's digest, and target_tokens and rules apply to what it returns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    version: str = Field(min_length=1)
    seeds: Seeds = "document"
    keywords: int = Field(default=3, ge=1, le=100)
    versions: int = Field(default=1, ge=1, le=1000)
    stitch: Stitch | None = None
    title: str = ""
    citation: str = ""
    audiences: tuple[str, ...] = ()
    chapters: int = Field(default=0, ge=0, le=1000)
    steps: tuple[Step, ...] = ()
    python: str | None = None
    python_sha256: str | None = None
    target_tokens: int | None = Field(default=None, gt=0)
    rules: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _steps_or_python(self) -> Self:
        if bool(self.steps) == bool(self.python):
            raise ValueError("a recipe has either 'steps' or 'python'")
        if self.steps and (self.rules or self.target_tokens):
            raise ValueError("'rules' and 'target_tokens' belong to each of the steps")
        _check_rules(self.rules, "the recipe")
        return self

    @model_validator(mode="after")
    def _slots_have_values(self) -> Self:
        known = set(_BUILT_IN)
        names = [step.name for step in self.steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the step names {twice} are used twice")
        for step in self.steps:
            unknown = sorted(step.names_used() - known)
            if unknown:
                raise ValueError(
                    f"step '{step.name}': the slots use {unknown}; expected names among "
                    f"{sorted(known)}"
                )
            if step.repeat == "chapters" and not self.chapters:
                raise ValueError(f"step '{step.name}' repeats by chapter; set 'chapters'")
            if "audience" in step.names_used() and not self.audiences:
                raise ValueError(f"step '{step.name}' names an audience; set 'audiences'")
            if step.repeat == "once":
                if step.name in known:
                    raise ValueError(f"the step name '{step.name}' is taken; choose another")
                known.add(step.name)
        if self.steps and all(step.keep == "aside" for step in self.steps):
            raise ValueError("no step keeps its completions as documents")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of everything in the recipe: a changed word is another recipe."""
        return digest_of(self.record())

    def record(self) -> dict[str, Any]:
        """Everything that determines what the recipe writes; not where its Python file lies."""
        value = self.model_dump(mode="json")
        if self.seeds == "document":
            del value["seeds"], value["keywords"]
        if (self.versions, self.stitch) == (1, None):
            del value["versions"], value["stitch"]
        return value | {"python": self.python.rpartition(":")[2] if self.python else None}

    def with_chapters(self, chapters: int) -> Recipe:
        """The recipe asking for `chapters` chapters. Raises UsageError where it has none."""
        if not self.chapters:
            raise UsageError(
                f"recipe '{self.name}': found chapters={chapters}; this recipe has no chapters"
            )
        if not 1 <= chapters <= 1000:
            raise UsageError(f"chapters: found {chapters}; expected 1 to 1000")
        return self.model_copy(update={"chapters": chapters})

    @property
    def all_rules(self) -> set[str]:
        """Names of the rules that any step uses."""
        return {rule for step in self.steps for rule in step.rules} | set(self.rules)

    def without_rules(self, names: tuple[str, ...]) -> Recipe:
        """The recipe with post-filter rules turned off by name, in every step.

        Raises UsageError for a name that no step uses.
        """
        unknown = [name for name in names if name not in self.all_rules]
        if unknown:
            raise UsageError(
                f"recipe '{self.name}': found rules to turn off {unknown}; "
                f"it uses {sorted(self.all_rules)}"
            )
        steps = tuple(
            step.model_copy(
                update={"rules": tuple(rule for rule in step.rules if rule not in names)}
            )
            for step in self.steps
        )
        rules = tuple(rule for rule in self.rules if rule not in names)
        return self.model_copy(update={"steps": steps, "rules": rules})

    def audience_of(self, document_id: str, seed: int) -> str:
        """The audience for one document: each is as likely, and it depends on these alone."""
        if not self.audiences:
            return ""
        choice = derive_seed(seed, "audience", self.name, document_id)
        return self.audiences[choice % len(self.audiences)]


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    found = (Path(entry.name) for entry in _FOLDER.iterdir())
    return sorted(path.stem for path in found if path.suffix == ".yaml")


def load_recipe(name: str | Path) -> Recipe:
    """A shipped recipe by name, or one from a YAML file by path.

    Raises UsageError when there is no such recipe, or naming the key that is wrong in the file.
    """
    text = str(name)
    if text in recipe_names():
        return _parse((_FOLDER / f"{text}.yaml").read_text(encoding="utf-8"), f"recipe {text}")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"recipe: found {text!r}; expected one of {', '.join(recipe_names())}, "
            "or the path of a .yaml file"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {path}: cannot be read ({error})") from error
    return _parse(content, str(path), path.parent)


def refine(
    recipes: Sequence[Recipe],
    *,
    chapters: int | None = None,
    seeds: Seeds | None = None,
    versions: int | None = None,
    stitch: Stitch | None = None,
    without: tuple[str, ...] = (),
    without_if_used: tuple[str, ...] = (),
) -> list[Recipe]:
    """Recipes with what was asked for, each where it applies.

    chapters, without: raise UsageError when they apply to none of the recipes.
    """
    if chapters is not None and not any(recipe.chapters for recipe in recipes):
        recipes[0].with_chapters(chapters)  # raises
    unused = [rule for rule in without if not any(rule in recipe.all_rules for recipe in recipes)]
    if unused:
        recipes[0].without_rules(tuple(unused))  # raises
    refined = []
    for recipe in recipes:
        off = [rule for rule in (*without, *without_if_used) if rule in recipe.all_rules]
        made = recipe.without_rules(tuple(off)) if off else recipe
        if chapters is not None and made.chapters:
            made = made.with_chapters(chapters)
        asked = {"seeds": seeds, "versions": versions, "stitch": stitch}
        refined.append(made.model_copy(update={n: v for n, v in asked.items() if v is not None}))
    return refined


def _check_rules(rules: tuple[str, ...], place: str) -> None:
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        raise ValueError(f"{place}: found rules {unknown}; expected names among {sorted(RULES)}")


def _parse(content: str, place: str, folder: Path | None = None) -> Recipe:
    data, _ = read_yaml(content, place)
    if not isinstance(data, dict):
        raise UsageError(f"{place}: found {type(data).__name__}; expected a mapping with 'steps'")
    if folder is not None and isinstance(data.get("python"), str):
        file, _, function = data["python"].rpartition(":")
        if not (folder / file).is_file():
            raise UsageError(f"{place}: python: found no file {folder / file}")
        data["python"] = f"{folder / file}:{function}"
        data["python_sha256"] = file_digest(folder / file)
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the recipe"
        raise UsageError(f"{place}: {key}: {first['msg'].removeprefix('Value error, ')}") from error
