"""Texts that ride in a package: embedded:wikipedia."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import Digest, InputFile, ReadReport


def find(place: str, base: Path, digest: Digest) -> list[InputFile]:
    """The text of that name."""
    from synthlaw.corpus.readers.packaged import embedded_digest

    return [InputFile("embedded", place, embedded_digest(place))]


def read(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """Documents of the text."""
    from synthlaw.corpus.readers.packaged import read_embedded

    return read_embedded(piece.path)
