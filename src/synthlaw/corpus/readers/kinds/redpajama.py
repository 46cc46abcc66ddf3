"""RedPajama-v2 as published: redpajama:/data/rpv2?language=en&bucket=head,middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import Digest, InputFile, ReadReport
from synthlaw.corpus.readers.registry import with_options


def find(place: str, base: Path, digest: Digest) -> list[InputFile]:
    """The data set's shards of documents."""
    from synthlaw.corpus.readers.redpajama import redpajama_pieces

    return redpajama_pieces(*with_options(place, base), digest)


def read(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """Documents of a shard, with its signals."""
    from synthlaw.corpus.readers.redpajama import read_redpajama

    return read_redpajama(piece, report)
