"""Documents with what is said of them: language, signals, conditions, contamination, digests."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.wordhash import Words, words_of
from synthlaw.corpus.conditions import Condition, Row
from synthlaw.corpus.decontamination import OVERLAPS, Contamination
from synthlaw.corpus.dedup.buckets import read_records
from synthlaw.corpus.dedup.minhash import NUMBERS, band_keys, bands, signature
from synthlaw.corpus.dedup.paragraphs import without
from synthlaw.corpus.language import brought_language, language_of
from synthlaw.corpus.parquet import BETWEEN, PartWriter
from synthlaw.corpus.settings import Settings
from synthlaw.corpus.signals import COUNTS, NAMES, signals_of
from synthlaw.corpus.splitting import text_digest

DOCUMENTS = "documents"
DIGESTS, SIGNATURES, IDENTITIES, BANDS = "digests", "signatures", "identities", "bands"

_LANGUAGE_COLUMNS = ("language", "language_score")
_MOST_LANGUAGES = 20
_LARGEST = 1 << 63

ALL_REPEATED = "every paragraph a duplicate"


def added_columns(settings: Settings) -> list[tuple[str, pa.DataType]]:
    """The columns that are added to every document."""
    if not settings.annotate:
        return []
    columns = [("language", pa.string()), ("language_score", pa.float64())]
    if settings.signals:
        columns += [
            (name, pa.int64() if name in COUNTS or name == "blocklist_words" else pa.float64())
            for name in NAMES
            if name != "blocklist_words" or settings.blocklist
        ]
    return columns


def save_array(folder: Path, kind: str, part: int, array: NDArray[Any]) -> None:
    """Write an array of a part beside it."""
    np.save(folder / f"{kind}-{part:03d}.npy", array)


class Annotator:
    """Parts of annotated documents, and what is gathered of them."""

    def __init__(
        self, folder: Path, settings: Settings, *, index: str | None, cut: str | None = None
    ) -> None:
        self._folder, self.settings = folder, settings
        self.columns = dict(added_columns(settings))
        schema = pa.schema([*BETWEEN, *self.columns.items()])
        self._writer = PartWriter(
            folder, DOCUMENTS, schema, level=1, most=settings.part_bytes, on_part=self._finish
        )
        self._cut = read_records(cut, 1)[:, 0].astype(np.int64) if cut else None
        if self._cut is not None:
            self._cut.sort()
        self._paragraph = 0
        self._keep = Condition(settings.keep) if settings.keep else None
        self._found = Contamination(NgramIndex.load(Path(index))) if index else None
        self.left_out: Counter[str] = Counter()
        self.other_languages: Counter[str] = Counter()
        self.cut_paragraphs = 0
        self._digests: list[bytes] = []
        self._identities: list[bytes] = []
        self._signatures: list[NDArray[np.uint32]] = []

    def without_repeats(self, text: str) -> tuple[str, int]:
        """The text without duplicate paragraphs, and how many those were."""
        if self._cut is None:
            return text, 0
        count = text.count("\n") + 1
        first, self._paragraph = self._paragraph, self._paragraph + count
        start, end = np.searchsorted(self._cut, [first, self._paragraph])
        kept = np.ones(count, bool)
        kept[self._cut[start:end] - first] = False
        return without(text, kept), int(end - start)

    def add(self, identity: str, text: str, fields: str, parsed: Row, cut: int = 0) -> None:
        """Annotate a document; it is written, or counted when it is left out.

        fields: as JSON text, parsed the same. cut: paragraphs that were cut from it.
        """
        settings = self.settings
        if len(text.split()) < settings.shortest_words:
            emptied = cut and not text
            few = f"fewer than {settings.shortest_words} words"
            self.left_out[ALL_REPEATED if emptied else few] += 1
            return
        notes = self._notes(text, parsed, changed=cut > 0)
        fuzzy = "fuzzy" in settings.dedup
        words = words_of(text) if fuzzy or self._found is not None else None
        objection = self._objection(identity, text, words, parsed, notes)
        if objection is not None:
            self.left_out[objection] += 1
            return
        self._writer.make_room(text)
        self.cut_paragraphs += cut
        self._digests.append(text_digest(text)[:16])
        self._identities.append(hashlib.blake2b(identity.encode(), digest_size=8).digest())
        if fuzzy and words is not None:
            self._signatures.append(signature(words.hashes))
        self._writer.add({"id": identity, "text": text, "fields": fields, **notes})

    def _objection(
        self, identity: str, text: str, words: Words | None, fields: Row, notes: Row
    ) -> str | None:
        """Why a document is left out by what is said of it."""
        settings = self.settings
        if settings.language is not None and (
            notes["language"] != settings.language
            or (
                notes["language_score"] is not None
                and notes["language_score"] < settings.language_score
            )
        ):
            self.other_languages[notes["language"]] += 1
            return f"language not {settings.language}"
        if (unkept := self._unkept({**fields, **notes})) is not None:
            return unkept
        if self._found is not None:
            overlaps = self._found.check(identity, text, words)
            if overlaps and settings.contaminated == "remove":
                return "contaminated"
        return None

    def _unkept(self, row: Row) -> str | None:
        """Why the condition leaves a row out."""
        if self._keep is None:
            return None
        try:
            return None if self._keep(row) else "condition not met"
        except UsageError:
            return "a value that the condition cannot compare"

    def _notes(self, text: str, fields: Row, *, changed: bool) -> dict[str, Any]:
        """The added columns. What the input brought stands, unless the text was changed since."""
        if not self.columns:
            return {}
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

    def _finish(self, part: int) -> None:
        """What was gathered of a part, as files."""
        folder, count = self._folder, len(self._digests)
        digests = np.frombuffer(b"".join(self._digests), np.uint64).reshape(count, 2)
        save_array(folder, DIGESTS, part, digests)
        identities = np.frombuffer(b"".join(self._identities), np.uint64)
        save_array(folder, IDENTITIES, part, identities)
        if "fuzzy" in self.settings.dedup:
            signatures = np.array(self._signatures, np.uint32).reshape(count, NUMBERS)
            save_array(folder, SIGNATURES, part, signatures)
            number, rows = bands(self.settings.similarity)
            keys = [band_keys(signatures, band, rows) for band in range(number)]
            save_array(folder, BANDS, part, np.stack(keys))
        self._digests, self._identities, self._signatures = [], [], []

    def close(self) -> dict[str, Any]:
        """parts, and what was counted."""
        report: dict[str, Any] = {
            "parts": [part.as_json() for part in self._writer.close()],
            "left_out": dict(sorted(self.left_out.items())),
            "cut_paragraphs": self.cut_paragraphs,
            "other_languages": dict(self.other_languages.most_common(_MOST_LANGUAGES)),
        }
        if self._found is not None:
            report["contamination"] = self._found.state()
            with (self._folder / OVERLAPS).open("w", encoding="utf-8") as stream:
                for row in self._found.rows:
                    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        return report


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
