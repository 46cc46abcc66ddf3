"""What jobs do with the text of a corpus: read it, annotate it, write it out.

    read       input files ─► parts, hashes of their paragraphs, ranks for a choice by seed
    annotate   what paragraphs are cut ─► language, signals, conditions, contamination;
               digests and signatures of the documents that are still in
    write      what documents are dropped ─► pieces, training and held-out parts

Where nothing must be known of the whole corpus to annotate it, the first two are one. The jobs are
carried out by `common.parts.map_parts`: each fills a folder of its own by one rename.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthlaw.common.files import atomic_folder
from synthlaw.common.parts import Part
from synthlaw.common.seeds import derive_seed
from synthlaw.common.wordhash import Hashes
from synthlaw.corpus.annotator import DOCUMENTS, Annotator, added_columns, save_array
from synthlaw.corpus.conditions import Row
from synthlaw.corpus.dedup.buckets import read_records
from synthlaw.corpus.dedup.paragraphs import paragraph_hashes
from synthlaw.corpus.documents import Document
from synthlaw.corpus.parquet import BETWEEN, FieldTypes, PartWriter, pack, read_rows
from synthlaw.corpus.readers.faults import faults_of, sum_faults
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.settings import Settings
from synthlaw.corpus.splitting import is_held_out, pieces

HELD_OUT, BAD_RECORDS = "held_out", "bad_records.jsonl"
PARAGRAPHS, RANKS = "paragraphs", "ranks"

Tell = Callable[[float], object]
"""Told how much work was done: bytes while reading, documents later."""

MOST_OTHERS = 100
"""Values of documents that are not wanted which a report names."""


@dataclass(frozen=True)
class Only:
    """Documents whose field `path`, dotted, is `value`, and those that have none are taken."""

    path: str
    value: str

    def other(self, fields: Row) -> str | None:
        """The value for which a document is not taken; None when it is."""
        found: Any = fields
        for name in self.path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, str) and found != self.value else None


def array_of(part: Part, kind: str) -> str:
    """Name of the file that holds one array of a part, beside it."""
    return part.name.replace(f"{DOCUMENTS}-", f"{kind}-").replace(".parquet", ".npy")


def read_task(
    name: str,
    files: list[InputFile],
    settings: Settings,
    *,
    chosen: bool,
    only: Only | None,
    annotate: bool,
    index: Path | None,
) -> dict[str, Any]:
    """The task of `read_stage`.

    name: of the job's folder. chosen: whether only some of the source's documents are taken.
    annotate: whether the documents are annotated at once. index: folder of the n-gram index.
    """
    return {
        "name": name,
        "files": [asdict(file) for file in files],
        "settings": settings.as_json(),
        "strict": settings.strict,
        "chosen": chosen,
        "only": asdict(only) if only else None,
        "annotate": annotate,
        "index": str(index) if index else None,
    }


def read_stage(task: Mapping[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
    """Read input files into parts."""
    settings = Settings.from_json(task["settings"])
    with atomic_folder(out / task["name"]) as aside:
        source = _Source(task, settings, aside, tell)
        sink: _Read | Annotator = (
            Annotator(aside, settings, index=task["index"])
            if task["annotate"]
            else _Read(aside, settings, chosen=task["chosen"])
        )
        for document in source:
            sink.add(document.id, document.text, pack(document.fields), document.fields)
        result = sink.close()
    return _moved(result, task["name"]) | source.report


def _moved(result: dict[str, Any], folder: str) -> dict[str, Any]:
    """A job's result with its parts' names as seen from the folder of the stage."""
    parts = [part | {"name": f"{folder}/{part['name']}"} for part in result["parts"]]
    return {**result, "parts": parts}


class _Source:
    """The documents of a read job's files; what was skipped or bad is counted on the way."""

    def __init__(
        self, task: Mapping[str, Any], settings: Settings, folder: Path, tell: Tell
    ) -> None:
        self._files = [InputFile(**file) for file in task["files"]]
        self._only = Only(**task["only"]) if task["only"] else None
        self._strict, self._extractor = task["strict"], settings.extractor
        self._folder, self._tell = folder, tell
        self.report: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Document]:
        types = FieldTypes()
        faults: list[dict[str, Any]] = []
        others: Counter[str] = Counter()
        with (self._folder / BAD_RECORDS).open("w", encoding="utf-8") as bad:
            for file in self._files:
                report = ReadReport(strict=self._strict, on_read=self._tell)
                for document in read_input(file, report, self._extractor):
                    other = self._only.other(document.fields) if self._only else None
                    if other is not None:
                        if other in others or len(others) < MOST_OTHERS:
                            others[other] += 1
                        continue
                    types.add(document.fields)
                    yield document
                faults.append(faults_of(report))
                for row in _bad_rows(report):
                    bad.write(json.dumps({"file": report.path, **row}, ensure_ascii=False) + "\n")
        self.report = {
            "types": types.as_json(),
            "faults": sum_faults(faults),
            "others": dict(others),
        }


def _bad_rows(report: ReadReport) -> list[dict[str, Any]]:
    """Every bad record of a file with its place, and the file itself if it is broken."""
    broken = [{"broken": True, "reason": report.broken}] if report.broken is not None else []
    return [*report.as_json()["bad"], *broken]


class _Read:
    """Parts of documents as read, with what a look at the whole corpus needs of them."""

    def __init__(self, folder: Path, settings: Settings, *, chosen: bool) -> None:
        self._folder, self._chosen = folder, chosen
        self._seed, self._by_paragraph = settings.seed, "paragraphs" in settings.dedup
        self._writer = PartWriter(
            folder, DOCUMENTS, BETWEEN, level=1, most=settings.part_bytes, on_part=self._finish
        )
        self._hashes: list[Hashes] = []
        self._ranks: list[int] = []
        self._counts: list[int] = []

    def add(self, identity: str, text: str, fields: str, parsed: Row) -> None:
        self._writer.make_room(text)
        if self._by_paragraph:
            self._hashes.append(paragraph_hashes(text))
        if self._chosen:
            self._ranks.append(derive_seed(self._seed, identity))
        self._writer.add({"id": identity, "text": text, "fields": fields})

    def _finish(self, part: int) -> None:
        hashes = np.concatenate([np.zeros(0, np.uint64), *self._hashes])
        self._counts.append(len(hashes))
        if self._by_paragraph:
            save_array(self._folder, PARAGRAPHS, part, hashes)
        if self._chosen:
            save_array(self._folder, RANKS, part, np.array(self._ranks, np.uint64))
        self._hashes, self._ranks = [], []

    def close(self) -> dict[str, Any]:
        """parts, and the paragraphs of each."""
        parts = [part.as_json() for part in self._writer.close()]
        return {"parts": parts, "paragraphs": self._counts}


def annotate_task(
    name: str,
    part: Path,
    settings: Settings,
    *,
    cut: Path | None,
    ranks: Path | None,
    last_rank: int | None,
    index: Path | None,
) -> dict[str, Any]:
    """The task of `annotate_stage`.

    cut: file of the part's paragraphs that are duplicates, by their places. ranks, last_rank:
    documents of a higher rank are not taken. index: folder of the n-gram index.
    """
    return {
        "name": name,
        "part": str(part),
        "settings": settings.as_json(),
        "cut": str(cut) if cut else None,
        "ranks": str(ranks) if ranks else None,
        "last_rank": last_rank,
        "index": str(index) if index else None,
    }


def annotate_stage(task: Mapping[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
    """Annotate the documents of one part; those that stay in are written."""
    settings = Settings.from_json(task["settings"])
    with atomic_folder(out / task["name"]) as aside:
        sink = Annotator(aside, settings, index=task["index"], cut=task["cut"])
        ranks = np.load(task["ranks"]) if task["ranks"] else None
        for number, row in enumerate(read_rows(Path(task["part"]))):
            text, cut = sink.without_repeats(row["text"])
            # One that is not chosen is neither used nor left out.
            if ranks is None or ranks[number] <= task["last_rank"]:
                sink.add(row["id"], text, row["fields"], json.loads(row["fields"]), cut)
            tell(1)
        result = sink.close()
    return _moved(result, task["name"])


def write_task(
    name: str, parts: list[dict[str, Any]], types: FieldTypes, settings: Settings
) -> dict[str, Any]:
    """The task of `write_stage`.

    parts: by annotated part "path"; "dropped", file of its documents that do not stay (row, first,
    kind); "renamed", file of those that get another identity (row, rank). types: of the fields,
    over the whole corpus.
    """
    return {
        "name": name,
        "parts": parts,
        "types": types.as_json(),
        "settings": settings.as_json(),
    }


def write_stage(task: Mapping[str, Any], out: Path, tell: Tell) -> dict[str, Any]:
    """Write the finished documents of some parts, cut and split."""
    settings = Settings.from_json(task["settings"])
    types = FieldTypes.from_json(task["types"])
    notes = [name for name, _ in added_columns(settings)]
    schema = types.schema(added_columns(settings))
    words = 0
    with atomic_folder(out / task["name"]) as aside:
        writers = {
            name: PartWriter(aside, name, schema, most=settings.part_bytes)
            for name in (DOCUMENTS, HELD_OUT)
        }
        for row in _staying(task["parts"], tell):
            fields = types.row(json.loads(row["fields"])) | {name: row[name] for name in notes}
            held_out = is_held_out(row["text"], settings.held_out, settings.seed)
            writer = writers[HELD_OUT if held_out else DOCUMENTS]
            for piece in pieces(Document(row["id"], row["text"], fields), settings.max_words):
                writer.add(piece.row())
                words += 0 if held_out else len(piece.text.split())
        parts = [part.as_json() for writer in writers.values() for part in writer.close()]
    return _moved({"parts": parts, "words": words}, task["name"])


def _staying(parts: list[Mapping[str, Any]], tell: Tell) -> Iterator[dict[str, Any]]:
    """Rows of annotated parts that are not dropped, under their new identities."""
    for part in parts:
        dropped = set(read_records(part["dropped"], 3)[:, 0].tolist())
        renamed = dict(read_records(part["renamed"], 2).tolist())
        for number, row in enumerate(read_rows(Path(part["path"]))):
            tell(1)
            if number in dropped:
                continue
            if number in renamed:
                row["id"] = f"{row['id']}~{renamed[number]}"
            yield row
