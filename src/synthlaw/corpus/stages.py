"""What workers do with one piece of input: read it, annotate it, write it out.

    read       the piece  ─► documents, hashes of their paragraphs, ranks for a choice by seed
    annotate   what paragraphs are kept ─► language, signals, conditions, contamination;
               digests and signatures of the documents that are still in
    write      what documents are kept ─► pieces, training and held-out files

Every stage fills a folder of its own by one rename, so what is there is finished, and reads only
finished folders: a killed run goes on with the pieces that are left.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.seeds import derive_seed
from synthlaw.common.wordhash import Hashes, Words, words_of
from synthlaw.corpus.conditions import Condition, Row
from synthlaw.corpus.decontamination import Contamination
from synthlaw.corpus.dedup.minhash import NUMBERS, signature
from synthlaw.corpus.dedup.paragraphs import paragraph_hashes, without
from synthlaw.corpus.documents import Document
from synthlaw.corpus.language import brought_language, language_of
from synthlaw.corpus.parquet import FieldTypes, TableWriter, pack, read_rows
from synthlaw.corpus.prepare import SHORTEST_WORDS, is_held_out, pieces, text_digest
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.settings import Settings
from synthlaw.corpus.signals import COUNTS, NAMES, signals_of

REPORT, DOCUMENTS, HELD_OUT = "report.json", "documents.parquet", "held_out.parquet"
PARAGRAPHS, RANKS = "paragraphs.npy", "ranks.npy"
DIGESTS, SIGNATURES, IDENTITIES = "digests.npy", "signatures.npy", "identities.npy"
OVERLAPS = "contamination.jsonl"

_LANGUAGE_COLUMNS = ("language", "language_score")
_MOST_LANGUAGES = 20
_LARGEST = 1 << 63

ALL_REPEATED = "every paragraph a duplicate"

Tell = Callable[[int], object]
"""Told how much work was done: bytes while reading, documents later."""

_BETWEEN = pa.schema([("id", pa.string()), ("text", pa.string()), ("fields", pa.string())])


def added_columns(settings: Settings) -> list[tuple[str, pa.DataType]]:
    """The columns that are added to every document."""
    columns = [("language", pa.string()), ("language_score", pa.float64())]
    if settings.signals:
        columns += [
            (name, pa.int64() if name in COUNTS or name == "blocklist_words" else pa.float64())
            for name in NAMES
            if name != "blocklist_words" or settings.blocklist
        ]
    return columns


def read_stage(
    piece: InputFile, settings: Settings, chosen: bool, folder: Path, tell: Tell
) -> None:
    """Read `piece` into `folder`. chosen: whether only some of its source's documents are taken."""
    report = ReadReport(strict=settings.strict, on_read=tell)
    types = FieldTypes()
    hashes: list[Hashes] = []
    ranks: list[int] = []
    with atomic_folder(folder) as aside:
        writer = TableWriter(aside / DOCUMENTS, _BETWEEN, level=1)
        for document in read_input(piece, report, settings.extractor):
            types.add(document.fields)
            writer.add({"id": document.id, "text": document.text, "fields": pack(document.fields)})
            if "paragraphs" in settings.dedup:
                hashes.append(paragraph_hashes(document.text))
            if chosen:
                ranks.append(derive_seed(settings.seed, document.id))
        writer.close()
        if "paragraphs" in settings.dedup:
            np.save(aside / PARAGRAPHS, np.concatenate([np.zeros(0, np.uint64), *hashes]))
        if chosen:
            np.save(aside / RANKS, np.array(ranks, np.int64))
        write_json(aside / REPORT, {"types": types.as_json(), **report.as_json()})


@dataclass(frozen=True)
class AnnotateTask:
    """What `annotate_stage` needs: the piece as read, and what is known of the whole corpus.

    kept: the file of kept paragraphs, of which this piece's begin at `first_paragraph`.
    last_rank: documents of a higher rank are not taken. index: folder of the n-gram index.
    """

    read: Path
    kept: Path | None
    first_paragraph: int
    last_rank: int | None
    index: Path | None


def annotate_stage(task: AnnotateTask, settings: Settings, folder: Path, tell: Tell) -> None:
    """Annotate the documents of one piece into `folder`; those that stay in are written."""
    work = _Annotator(task, settings)
    with atomic_folder(folder) as aside:
        schema = pa.schema([*_BETWEEN, *added_columns(settings)])
        writer = TableWriter(aside / DOCUMENTS, schema, level=1)
        for number, row in enumerate(read_rows(task.read / DOCUMENTS)):
            found = work.annotate(number, row)
            if found is not None:
                writer.add(found)
            tell(1)
        writer.close()
        work.save(aside)


class _Annotator:
    """One piece's documents, one after the other, and what is gathered of them."""

    def __init__(self, task: AnnotateTask, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.kept = np.load(task.kept, mmap_mode="r") if task.kept else None
        self.ranks = None if task.last_rank is None else np.load(task.read / RANKS)
        self.place = task.first_paragraph
        self.keep = Condition(settings.keep) if settings.keep else None
        self.columns = dict(added_columns(settings))
        self.found = Contamination(NgramIndex.load(task.index)) if task.index else None
        self.left_out: Counter[str] = Counter()
        self.other_languages: Counter[str] = Counter()
        self.cut_paragraphs = 0
        self.digests: list[bytes] = []
        self.identities: list[bytes] = []
        self.signatures: list[NDArray[np.uint32]] = []

    def annotate(self, number: int, row: dict[str, Any]) -> dict[str, Any] | None:
        """The row with its annotations, or None, counted, when it is left out."""
        text, cut = self._paragraphs(row["text"])
        if self.ranks is not None and self.ranks[number] > (self.task.last_rank or 0):
            return None  # not chosen, so neither used nor left out
        if len(text.split()) < SHORTEST_WORDS:
            emptied = cut and not text
            self.left_out[ALL_REPEATED if emptied else f"fewer than {SHORTEST_WORDS} words"] += 1
            return None
        fields = json.loads(row["fields"])
        notes = self._notes(text, fields, changed=cut > 0)
        words = words_of(text)
        objection = self._objection(row["id"], text, words, fields, notes)
        if objection is not None:
            self.left_out[objection] += 1
            return None
        self.cut_paragraphs += cut
        self.digests.append(text_digest(text)[:16])
        self.identities.append(hashlib.blake2b(row["id"].encode(), digest_size=8).digest())
        if "fuzzy" in self.settings.dedup:
            self.signatures.append(signature(words.hashes))
        return {"id": row["id"], "text": text, "fields": row["fields"], **notes}

    def _objection(
        self, identity: str, text: str, words: Words, fields: Row, notes: Row
    ) -> str | None:
        """Why a document is left out by what is said of it."""
        settings = self.settings
        score = notes["language_score"]
        if settings.language is not None and (
            notes["language"] != settings.language
            or (score is not None and score < settings.language_score)
        ):
            self.other_languages[notes["language"]] += 1
            return f"language not {settings.language}"
        if self.keep is not None and not self.keep({**fields, **notes}):
            return "condition not met"
        if self.found is not None:
            overlaps = self.found.check(identity, text, words)
            if overlaps and settings.contaminated == "remove":
                return "contaminated"
        return None

    def _paragraphs(self, text: str) -> tuple[str, int]:
        """The text without duplicate paragraphs, and how many those were."""
        if self.kept is None:
            return text, 0
        count = text.count("\n") + 1
        kept = np.asarray(self.kept[self.place : self.place + count])
        self.place += count
        return without(text, kept), int(count - kept.sum())

    def _notes(self, text: str, fields: Row, *, changed: bool) -> dict[str, Any]:
        """The added columns. What the input brought stands, unless the text was changed since."""
        notes = _language_notes(text, {} if changed else fields)
        if self.settings.signals:
            notes |= signals_of(text, self.settings.blocklist)
        for name, kind in self.columns.items():
            if name in _LANGUAGE_COLUMNS or changed:
                continue
            brought = _number(fields.get(name))
            if brought is not None:
                notes[name] = int(brought) if pa.types.is_integer(kind) else float(brought)
        return notes

    def save(self, folder: Path) -> None:
        """What was gathered, as files."""
        count = len(self.digests)
        digests = np.frombuffer(b"".join(self.digests), np.uint64).reshape(count, 2)
        np.save(folder / DIGESTS, digests)
        np.save(folder / IDENTITIES, np.frombuffer(b"".join(self.identities), np.uint64))
        if "fuzzy" in self.settings.dedup:
            signatures = np.array(self.signatures, np.uint32).reshape(count, NUMBERS)
            np.save(folder / SIGNATURES, signatures)
        report: dict[str, Any] = {
            "documents": count,
            "left_out": dict(sorted(self.left_out.items())),
            "cut_paragraphs": self.cut_paragraphs,
            "other_languages": dict(self.other_languages.most_common(_MOST_LANGUAGES)),
        }
        if self.found is not None:
            report["contamination"] = self.found.state()
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in self.found.rows]
            (folder / OVERLAPS).write_text("".join(lines), encoding="utf-8")
        write_json(folder / REPORT, report)


def _language_notes(text: str, fields: Row) -> dict[str, Any]:
    """Language and score: what the document brought, in our codes; else what the text looks like.

    A language that was brought without a score has the model's, if that agrees, or none.
    """
    own, score = language_of(text)
    brought = brought_language(fields.get("language"))
    if brought is None:
        return {"language": own, "language_score": score}
    language, given = brought
    if given is None:
        given = _number(fields.get("language_score"))
    if given is None or not 0 <= given <= 1:
        given = score if language == own else None
    return {"language": language, "language_score": given}


def _number(value: Any) -> float | None:
    """A number that a column of numbers can hold; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _LARGEST else None  # neither NaN nor infinite


@dataclass(frozen=True)
class WriteTask:
    """What `write_stage` needs: the piece as annotated, and which of its documents stay.

    dropped: numbers of those that do not. renamed: new identities by number. types: of the fields,
    over the whole corpus.
    """

    annotated: Path
    dropped: frozenset[int]
    renamed: Mapping[int, str]
    types: Mapping[str, str]


def write_stage(task: WriteTask, settings: Settings, folder: Path, tell: Tell) -> None:
    """Write the finished documents of one piece into `folder`, cut and split."""
    types = FieldTypes.from_json(task.types)
    notes = added_columns(settings)
    schema = types.schema(notes)
    counts = {"documents": 0, "held_out": 0, "words": 0}
    with atomic_folder(folder) as aside:
        writers: dict[str, TableWriter] = {}
        for number, row in enumerate(read_rows(task.annotated / DOCUMENTS)):
            tell(1)
            if number in task.dropped:
                continue
            identity = task.renamed.get(number, row["id"])
            fields = types.row(json.loads(row["fields"])) | {name: row[name] for name, _ in notes}
            aside_too = is_held_out(row["text"], settings.held_out, settings.seed)
            name = HELD_OUT if aside_too else DOCUMENTS
            for piece in pieces(Document(identity, row["text"], fields), settings.max_words):
                if name not in writers:
                    writers[name] = TableWriter(aside / name, schema)
                writers[name].add(piece.row())
                counts["held_out" if aside_too else "documents"] += 1
                counts["words"] += 0 if aside_too else len(piece.text.split())
        for writer in writers.values():
            writer.close()
        write_json(aside / REPORT, counts)


def stage_report(folder: Path) -> dict[str, Any]:
    """What a finished stage counted."""
    return dict(read_json(folder / REPORT))
