"""Data sets of the Hugging Face hub: hub:allenai/c4?config=en&split=train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import Digest, InputFile, ReadReport
from synthlaw.corpus.readers.registry import with_options


def find(place: str, base: Path, digest: Digest) -> list[InputFile]:
    """The parts of a data set."""
    from synthlaw.corpus.readers.hub import hub_pieces

    return hub_pieces(*with_options(place, base))


def read(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """Documents of a part, streamed."""
    from synthlaw.corpus.readers.hub import read_hub

    return read_hub(piece, report)
