"""From places to a corpus: streaming, parallel over pieces, resumable, the same bytes every time.

    pieces ─► read ─┬─► paragraphs kept ─┬─► annotate ─┬─► documents kept ─┬─► write ─► OUT
                    └─► the choice ──────┘             └─► names made unique ┘

Between the stages stands what needs the whole corpus; it is computed again when a killed run goes
on, from the finished pieces. What is unfinished lies in OUT/work, keyed by the pieces' contents and
the settings, and goes away when the corpus is done.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.files import ASIDE, atomic_folder, read_json, write_json
from synthlaw.common.machine import usable_cores
from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.progress import meter
from synthlaw.corpus import stages
from synthlaw.corpus.conditions import Condition
from synthlaw.corpus.decontamination import Contamination
from synthlaw.corpus.dedup.duplicates import (
    Numbers,
    gather_signatures,
    kept_paragraphs,
    near_repeats,
    repeats,
)
from synthlaw.corpus.parquet import FieldTypes
from synthlaw.corpus.pool import Task, run_tasks
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.settings import VERSION, Settings

COUNTS, DUPLICATES, CONTAMINATION = "counts.json", "duplicates.parquet", "contamination.jsonl"
BAD_RECORDS = "bad_records.jsonl"
TRAINING_FOLDER, HELD_OUT_FOLDER = "documents", "held_out"


@dataclass(frozen=True)
class Source:
    """Pieces that are read together. documents: take so many of theirs, chosen by seed."""

    pieces: Sequence[InputFile]
    documents: int | None = None


@dataclass
class _Run:
    """One call of `make_corpus`: the pieces in order, and where the work on each lies."""

    sources: Sequence[Source]
    settings: Settings
    work: Path
    workers: int
    index: Path | None = None
    counts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pieces = [piece for source in self.sources for piece in source.pieces]
        self.owners = [n for n, source in enumerate(self.sources) for _ in source.pieces]

    def read_folder(self, number: int) -> Path:
        """Where the piece is read to: by what reading depends on."""
        settings = self.settings
        chosen = self._chosen(number)
        key = [
            VERSION,
            self.pieces[number].key(),
            settings.extractor,
            "paragraphs" in settings.dedup,
            settings.seed if chosen else None,
        ]
        return self.work / f"read-{number:05d}-{digest_of(key)[:16]}"

    def _chosen(self, number: int) -> bool:
        return self.sources[self.owners[number]].documents is not None

    def all(self, stage: str, name: str) -> list[Any]:
        """One array of every piece, mapped."""
        folder = self.read_folder if stage == "read" else self.annotated_folder
        return [np.load(folder(number) / name, mmap_mode="r") for number in range(len(self.pieces))]

    def annotated_folder(self, number: int) -> Path:
        """Where the piece is annotated to; the work folder is already keyed by everything."""
        return self.work / f"annotated-{number:05d}"

    def written_folder(self, number: int) -> Path:
        """Where the piece is written to."""
        return self.work / f"written-{number:05d}"


def make_corpus(
    sources: Sequence[Source],
    settings: Settings,
    out: Path,
    *,
    index: NgramIndex | None = None,
    evaluation: Any = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Make the corpus of `sources` in the folder `out`, or what is left of it; returns its counts.

    out holds documents/part-*.parquet, held_out/part-*.parquet, counts.json, duplicates.parquet
    (which document repeats which), bad_records.jsonl and, with `index`, contamination.jsonl.
    index: n-grams of evaluation sets to look for; evaluation: what determines it, as JSON values.
    workers: processes; default one for each core. The result does not depend on it.
    Raises UsageError for input that cannot be read and when `out` is in use.
    """
    key = digest_of(
        {
            "version": VERSION,
            "settings": settings.as_json(),
            "evaluation": evaluation,
            "sources": [[[p.key() for p in s.pieces], s.documents] for s in sources],
        }
    )
    with _locked(out):
        if (out / COUNTS).exists() and read_json(out / COUNTS).get("key") == key:
            return dict(read_json(out / COUNTS))
        workers = workers or usable_cores()
        run = _Run(sources, settings, out / "work" / key[:16], workers)
        run.work.mkdir(parents=True, exist_ok=True)
        if index is not None:
            run.index = run.work / "index"
            index.save(run.index)
        _read(run)
        _annotate(run)
        dropped, repeated = _documents_kept(run)
        _write(run, dropped)
        _finish(run, out, key, repeated)
        shutil.rmtree(out / "work")
        return dict(read_json(out / COUNTS))


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold `out` for this process, and sweep away what a killed one was writing."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{out}: in use by another process; give another --out") from None
        for aside in [*out.glob(f"{ASIDE}*"), *out.glob(f"work/*/{ASIDE}*")]:
            shutil.rmtree(aside) if aside.is_dir() else aside.unlink()
        yield


def _read(run: _Run) -> None:
    tasks: list[Task] = []
    done = 0
    for number, piece in enumerate(run.pieces):
        folder = run.read_folder(number)
        if folder.exists():
            done += piece.size
            continue
        chosen = run._chosen(number)
        tasks.append((stages.read_stage, (piece, run.settings, chosen, folder)))
    total = sum(piece.size for piece in run.pieces)
    with meter("reading", total, "bytes", done=done) as bar:
        run_tasks(tasks, run.workers, bar)
    reports = [stages.stage_report(run.read_folder(n)) for n in range(len(run.pieces))]
    run.counts["read"] = sum(report["documents"] for report in reports)
    run.counts["bad_records"] = sum(report["bad_records"] for report in reports)
    run.counts["skipped"] = _sum(report["skipped"] for report in reports)
    if run.settings.keep is not None:
        known = {name for name, _ in stages.added_columns(run.settings)}
        known.update(name for report in reports for name in report["types"])
        Condition(run.settings.keep).check(known)


def _sum(counts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _annotate(run: _Run) -> None:
    todo = [n for n in range(len(run.pieces)) if not run.annotated_folder(n).exists()]
    kept, firsts = None, [0] * len(run.pieces)
    if "paragraphs" in run.settings.dedup:
        hashes = run.all("read", stages.PARAGRAPHS)
        firsts = [0, *np.cumsum([len(part) for part in hashes]).tolist()]
        kept = run.work / "paragraphs-kept.npy"
        run.counts["paragraphs"] = firsts[-1]
        if todo and firsts[-1]:
            kept_paragraphs(hashes, kept)
        elif not firsts[-1]:
            kept = None
    ranks = _last_ranks(run)
    tasks: list[Task] = []
    for number in todo:
        task = stages.AnnotateTask(
            run.read_folder(number), kept, firsts[number], ranks[run.owners[number]], run.index
        )
        folder = run.annotated_folder(number)
        tasks.append((stages.annotate_stage, (task, run.settings, folder)))
    sizes = [stages.stage_report(run.read_folder(n))["documents"] for n in range(len(run.pieces))]
    done = sum(sizes) - sum(sizes[n] for n in todo)
    with meter("annotating", sum(sizes), "documents", done=done) as bar:
        run_tasks(tasks, run.workers, bar)
    reports = [stages.stage_report(run.annotated_folder(n)) for n in range(len(run.pieces))]
    run.counts["cut_paragraphs"] = sum(report["cut_paragraphs"] for report in reports)
    run.counts["left_out"] = _sum(report["left_out"] for report in reports)


def _last_ranks(run: _Run) -> list[int | None]:
    """By source: the highest rank of a document that is taken; None where all are."""
    found: list[int | None] = []
    for owner, source in enumerate(run.sources):
        if source.documents is None:
            found.append(None)
            continue
        folders = [run.read_folder(n) for n, o in enumerate(run.owners) if o == owner]
        ranks = np.sort(np.concatenate([np.load(folder / stages.RANKS) for folder in folders]))
        found.append(int(ranks[min(source.documents, len(ranks)) - 1]) if len(ranks) else None)
    return found


@dataclass
class _Repeated:
    """Documents that repeat others: their numbers, whom they repeat, and how."""

    later: Numbers
    first: Numbers
    kind: list[str]


def _documents_kept(run: _Run) -> tuple[Numbers, _Repeated]:
    """Numbers of the documents that repeat others, ascending, and whom they repeat."""
    digests = run.all("annotated", stages.DIGESTS)
    total = sum(len(part) for part in digests)
    nothing = np.zeros(0, np.int64)
    later, first = [nothing], [nothing]
    if "exact" in run.settings.dedup:
        for found in repeats(digests):
            later.append(found.later)
            first.append(found.first)
    exact = np.concatenate(later)
    near = nothing
    if "fuzzy" in run.settings.dedup and total:
        left = np.setdiff1d(np.arange(total), exact)
        path = run.work / "signatures.npy"
        signatures = gather_signatures(run.all("annotated", stages.SIGNATURES), path)
        near, near_first = near_repeats(signatures, left, run.settings.similarity)
        path.unlink()
        later.append(near)
        first.append(near_first)
    for name, numbers in (("exact duplicate", exact), ("near-duplicate", near)):
        if len(numbers):
            run.counts["left_out"][name] = len(numbers)
    kinds = ["exact"] * len(exact) + ["near"] * len(near)
    numbers = np.concatenate(later)
    order = np.argsort(numbers)
    kind = [kinds[place] for place in order.tolist()]
    return numbers[order], _Repeated(numbers[order], np.concatenate(first)[order], kind)


def _write(run: _Run, dropped: Numbers) -> None:
    identities = run.all("annotated", stages.IDENTITIES)
    bounds = [0, *np.cumsum([len(part) for part in identities]).tolist()]
    renamed = _renamed(run, identities, bounds, dropped)
    types = FieldTypes()
    for number in range(len(run.pieces)):
        report = stages.stage_report(run.read_folder(number))
        types.merge(FieldTypes.from_json(report["types"]))
    tasks: list[Task] = []
    done = 0
    for number in range(len(run.pieces)):
        first, last = bounds[number], bounds[number + 1]
        if run.written_folder(number).exists():
            done += last - first
            continue
        here = dropped[np.searchsorted(dropped, first) : np.searchsorted(dropped, last)] - first
        task = stages.WriteTask(
            run.annotated_folder(number),
            frozenset(here.tolist()),
            {n - first: name for n, name in renamed.items() if first <= n < last},
            types.as_json(),
        )
        folder = run.written_folder(number)
        tasks.append((stages.write_stage, (task, run.settings, folder)))
    with meter("writing", bounds[-1], "documents", done=done) as bar:
        run_tasks(tasks, run.workers, bar)


def _renamed(
    run: _Run, identities: list[Any], bounds: list[int], dropped: Numbers
) -> dict[int, str]:
    """New names of documents whose identity an earlier kept document has: `id~1`, `id~2`, …"""
    gone = np.zeros(bounds[-1], bool)
    gone[dropped] = True
    standing = [
        np.where(gone[start : start + len(part)], np.uint64(0), np.asarray(part))
        for start, part in zip(bounds, identities, strict=False)
    ]
    ranks: dict[int, int] = {}
    for found in repeats(standing):
        ranks.update(zip(found.later.tolist(), found.rank.tolist(), strict=True))
    names = _identities(run, bounds, list(ranks))
    return {number: f"{names[number]}~{rank}" for number, rank in ranks.items()}


def _identities(run: _Run, bounds: list[int], numbers: list[int]) -> dict[int, str]:
    """The identities of annotated documents by number."""
    wanted = np.unique(np.array(numbers, np.int64))
    found: dict[int, str] = {}
    for piece in range(len(run.pieces)):
        here = wanted[
            np.searchsorted(wanted, bounds[piece]) : np.searchsorted(wanted, bounds[piece + 1])
        ]
        if len(here):
            path = run.annotated_folder(piece) / stages.DOCUMENTS
            column = pq.read_table(path, columns=["id"])["id"]
            names = column.take(pa.array(here - bounds[piece])).to_pylist()
            found.update(zip(here.tolist(), names, strict=True))
    return found


def _finish(run: _Run, out: Path, key: str, repeated: _Repeated) -> None:
    """Put the finished corpus into `out`; counts.json, which says so, comes last."""
    (out / COUNTS).unlink(missing_ok=True)
    for name, folder in (
        (stages.DOCUMENTS, TRAINING_FOLDER),
        (stages.HELD_OUT, HELD_OUT_FOLDER),
    ):
        with atomic_folder(out / folder) as aside:
            for number in range(len(run.pieces)):
                path = run.written_folder(number) / name
                if path.exists():
                    os.link(path, aside / f"part-{number:05d}.parquet")
    bounds = [0, *np.cumsum([len(p) for p in run.all("annotated", stages.IDENTITIES)]).tolist()]
    everyone = [*repeated.later.tolist(), *repeated.first.tolist()]
    names = _identities(run, bounds, everyone)
    table = pa.table(
        {
            "id": pa.array([names[n] for n in repeated.later.tolist()], pa.string()),
            "repeats": pa.array([names[n] for n in repeated.first.tolist()], pa.string()),
            "kind": pa.array(repeated.kind, pa.string()),
        }
    )
    pq.write_table(table, out / DUPLICATES, compression="zstd")
    _write_bad_records(run, out / BAD_RECORDS)
    if run.index is not None:
        _write_contamination(run, out / CONTAMINATION)
    written = [stages.stage_report(run.written_folder(n)) for n in range(len(run.pieces))]
    totals = _sum(iter(written))
    counts = {name: totals.get(name, 0) for name in ("documents", "held_out", "words")}
    write_json(out / COUNTS, {**counts, **run.counts, "key": key})


def _write_bad_records(run: _Run, path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for number, piece in enumerate(run.pieces):
            for bad in stages.stage_report(run.read_folder(number))["bad"]:
                stream.write(json.dumps({"file": piece.path, **bad}, ensure_ascii=False) + "\n")


def _write_contamination(run: _Run, path: Path) -> None:
    """All overlaps, piece by piece, and their summary in the counts."""
    assert run.index is not None
    whole = Contamination(NgramIndex.load(run.index))
    with path.open("wb") as stream:
        for number in range(len(run.pieces)):
            folder = run.annotated_folder(number)
            whole.add(stages.stage_report(folder)["contamination"])
            stream.write((folder / stages.OVERLAPS).read_bytes())
    run.counts["contamination"] = whole.summary()
