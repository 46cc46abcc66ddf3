"""From a YAML file to a validated `Study`; every error names the file, the line and the key."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from synthlaw.common.errors import UsageError
from synthlaw.common.settings import mistake_message
from synthlaw.common.yaml_text import read_yaml
from synthlaw.study.grid import runs_of
from synthlaw.study.repetition import repetition_warnings
from synthlaw.study.rounds import rounds_of
from synthlaw.study.spec import Study
from synthlaw.study.spec.ladder import MATCHED
from synthlaw.training.presets import LLAMA3_VOCAB


def load_study(path: Path) -> Study:
    """The study in `path`. Raises UsageError with one line per mistake found."""
    return parse_study(read_study_file(path), str(path))


def read_study_file(path: Path) -> str:
    """The file's text. Raises UsageError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; `synthlaw init {path}` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error


def folder_of(file: Path) -> Path:
    """The folder that holds a study's results unless another is named: beside its file."""
    return file.with_suffix("") if file.suffix else file.with_suffix(".study")


def parse_study(text: str, name: str) -> Study:
    """The study in `text`; `name` is what errors call it."""
    value, tree = read_yaml(text, name)
    if not isinstance(value, dict) or tree is None:
        raise UsageError(f"{name}: found {type(value).__name__}; expected keys such as 'natural:'")
    try:
        return _thought_through(Study.model_validate(value), name)
    except ValidationError as error:
        mistakes = [dict(mistake) for mistake in error.errors()]
        meant = {_meant(mistake) for mistake in mistakes}
        lines = [
            _explain(mistake, name, tree)
            for mistake in mistakes
            # A misspelled key is one mistake, not also the lack of the right one.
            if not (mistake["type"] == "missing" and mistake["loc"] in meant)
        ]
        raise UsageError("\n".join(dict.fromkeys(lines))) from None


def _thought_through(study: Study, name: str) -> Study:
    """The study, once what follows from several of its parts together is found to hold.

    Raises UsageError for a run that is to write text and is not there, or reads what it writes, and
    for repetition that the target's would exceed.
    """
    try:
        if any(one.run is not None for one in study.generate.generators.values()):
            rounds_of(study, runs_of(study, LLAMA3_VOCAB))  # names do not depend on it
        if study.ladder.unique_tokens == MATCHED:
            repetition_warnings(study)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    return study


def _meant(mistake: dict[str, Any]) -> tuple[Any, ...] | None:
    """Where the key that an unknown one was probably meant for would stand."""
    if mistake["type"] != "extra_forbidden":
        return None
    location = mistake["loc"]
    close = difflib.get_close_matches(str(location[-1]), _keys_beside(location), n=1)
    return (*location[:-1], close[0]) if close else None


def _explain(mistake: dict[str, Any], name: str, tree: yaml.Node) -> str:
    location = [part for part in mistake["loc"] if part != "[key]"]
    line = _line_of(tree, location)
    key = ".".join(str(part) for part in location) or "the study"
    place = f"{name}:{line}: {key}"
    if mistake["type"] == "extra_forbidden":
        meant = _meant(mistake)
        known = ", ".join(_keys_beside(location))
        hint = f"did you mean '{meant[-1]}'?" if meant else f"expected one of {known}"
        return f"{place}: unknown key; {hint}"
    if mistake["type"] == "missing":
        return f"{place}: this key is required and is missing"
    return f"{place}: {mistake_message(mistake)}"


def _line_of(node: yaml.Node, location: Sequence[Any]) -> int:
    """Line (from 1) of the deepest part of `location` that the file has."""
    line = node.start_mark.line + 1
    for part in location:
        child = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, child = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and part in range(len(node.value)):
            child = node.value[part]
            line = child.start_mark.line + 1
        if child is None:  # e.g. the element number that we added to a lone mapping
            continue
        node = child
    return line


def _keys_beside(location: Sequence[Any]) -> list[str]:
    """Keys that the model at the parent of `location` knows."""
    model: Any = Study
    for part in location[:-1]:
        if isinstance(part, int) or not _is_model(model):
            continue
        field = model.model_fields.get(str(part))
        model = _inner_model(field.annotation) if field is not None else model
    return list(model.model_fields) if _is_model(model) else []


def _inner_model(annotation: Any) -> Any:
    """The model inside an annotation such as list[Model] or dict[str, Model]."""
    if _is_model(annotation):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if _is_model(found):
            return found
    return annotation


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)
