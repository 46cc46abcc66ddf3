"""Kinds of input: every module of `kinds/` is one, so a new kind is one new file.

Such a module has `read(piece, report, extractor)`, which gives an input file's documents, and says
which input is its own by one of

    ENDINGS: Sequence[str]                  files and remote files, by the ends of their names
    find(place, base, digest)               what follows the module's name and a colon (hub:NAME);
                                            gives its input files. Relative paths start at `base`
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import Digest, InputFile, ReadReport

_KINDS = "synthlaw.corpus.readers.kinds"

Find = Callable[[str, Path, Digest], list[InputFile]]


def kinds() -> list[str]:
    """Kinds of input that there are, sorted."""
    return list(_kinds_in(tuple(import_module(_KINDS).__path__)))


@cache
def _kinds_in(folders: tuple[str, ...]) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(folders))


def finder(scheme: str) -> Find | None:
    """How the input of places that begin with `scheme:` is found; None for no such kind."""
    found: Find | None = getattr(_module(scheme), "find", None) if scheme in kinds() else None
    return found


def endings() -> dict[str, str]:
    """Ends of the names of files that can be read, to the kind that reads them."""
    return {end: kind for kind in kinds() for end in getattr(_module(kind), "ENDINGS", ())}


def kind_of_file(name: str) -> str | None:
    """The kind that reads files of this name; None when none does."""
    ends = [end for end in endings() if name.lower().endswith(end)]
    return endings()[max(ends, key=len)] if ends else None


def with_options(place: str, base: Path) -> tuple[str, dict[str, str]]:
    """The part before '?', a local folder made absolute, and the options behind it."""
    name, _, query = place.partition("?")
    path = Path(name).expanduser()
    local = path if path.is_absolute() else base / path
    return (str(local) if local.exists() else name), dict(parse_qsl(query, keep_blank_values=True))


def documents_of(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """The documents of an input file, in its order."""
    found: Iterator[Document] = _module(piece.kind).read(piece, report, extractor)
    return found


def _module(kind: str) -> Any:
    return import_module(f"{_KINDS}.{kind}")
