"""From input files to a corpus: part by part, by an executor, resumable, the same bytes every time.

    files ─► read ─┬─► paragraphs cut ─┬─► annotate ─┬─► documents dropped ─┬─► write ─► OUT
                   └─► the choice ─────┘             └─► names made unique ─┘

Text is written three times, twice where nothing stands between reading and annotating. Between the
stages stands what needs the whole corpus: it goes through buckets (dedup/buckets.py) in bounded
memory, and is computed again when a killed run goes on, from the finished jobs. What is unfinished
lies in OUT/work, keyed by the files' contents and the settings, and goes away in the end.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_path, read_json, write_json
from synthlaw.common.locks import exclusive
from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.parts import Executor, group, link_parts, map_parts, parts_of, sweep
from synthlaw.corpus import stages
from synthlaw.corpus.annotator import DOCUMENTS, added_columns
from synthlaw.corpus.conditions import Condition
from synthlaw.corpus.decontamination import OVERLAPS, Contamination
from synthlaw.corpus.parquet import FieldTypes
from synthlaw.corpus.readers.faults import require_documents, require_whole, sum_faults
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.readers.ranges import cut
from synthlaw.corpus.settings import VERSION, Settings
from synthlaw.corpus.stages import BAD_RECORDS, HELD_OUT, Only
from synthlaw.corpus.whole import ANNOTATED, READ, Duplicates, Whole

COUNTS, DUPLICATES, CONTAMINATION = "counts.json", "duplicates.parquet", OVERLAPS
TRAINING_FOLDER, HELD_OUT_FOLDER = DOCUMENTS, HELD_OUT
WRITTEN = "written"

_SHOWN = 10

READ_BYTES = 1 << 26
"""Input that one job reads: small files, or a piece of a larger one; what cannot be cut has its
own."""


@dataclass(frozen=True)
class Source:
    """Input files that are read together. documents: take so many of theirs, chosen by seed.
    only: take no others."""

    files: Sequence[InputFile]
    documents: int | None = None
    only: Only | None = None


@dataclass
class _Run:
    """One call of `make_corpus`. reads: by read job, its source. work: what is unfinished."""

    sources: Sequence[Source]
    settings: Settings
    work: Path
    executor: Executor
    index: Path | None
    counts: dict[str, Any]

    @property
    def looks_ahead(self) -> bool:
        """Whether documents cannot be annotated before all are read."""
        chosen = any(source.documents is not None for source in self.sources)
        return "paragraphs" in self.settings.dedup or chosen


def make_corpus(
    sources: Sequence[Source],
    settings: Settings,
    out: Path,
    executor: Executor,
    *,
    index: NgramIndex | None = None,
    evaluation: Any = None,
) -> dict[str, Any]:
    """Make the corpus of `sources` in the folder `out`, or what is left of it; returns its counts.

    out holds the datasets documents/ and held_out/, counts.json, duplicates.parquet (which document
    repeats which), bad_records.jsonl and, with `index`, contamination.jsonl.
    executor: carries out the jobs; the result does not depend on it.
    index: n-grams of evaluation sets to look for; evaluation: what determines it, as JSON values.
    Raises UsageError when nothing could be read or nothing is left, with `settings.strict` when
    something could not be read, and when `out` is in use.
    """
    key = digest_of(
        {
            "version": VERSION,
            "settings": settings.as_json(),
            "evaluation": evaluation,
            "sources": [
                [[f.key() for f in s.files], s.documents, asdict(s.only) if s.only else None]
                for s in sources
            ],
        }
    )
    with exclusive(out):
        sweep(out)
        if (out / COUNTS).exists() and read_json(out / COUNTS).get("key") == key:
            counts = dict(read_json(out / COUNTS))
            if settings.strict:
                require_whole(counts)
            return counts
        work = out / "work" / key[:16]
        pieces = [replace(source, files=cut(source.files, READ_BYTES)) for source in sources]
        run = _Run(pieces, settings, work, executor, work / "index" if index else None, {})
        work.mkdir(parents=True, exist_ok=True)
        if index is not None:
            index.save(work / "index")
        whole, types = _annotate(run, _read(run, out))
        dropped = whole.drop()
        for kind, name in (("exact", "exact duplicate"), ("near", "near-duplicate")):
            if dropped.counts[kind]:
                run.counts["left_out"][name] = dropped.counts[kind]
        if sum(part.documents for part in whole.parts) == sum(dropped.counts.values()):
            raise UsageError(_nothing_left(run))
        written = _write(run, whole, dropped, types)
        _finish(run, out, whole, dropped, written, key)
        shutil.rmtree(out / "work")
        return dict(read_json(out / COUNTS))


@dataclass
class _Reading:
    """What the read jobs returned, and of which source each was."""

    results: list[dict[str, Any]]
    sources: list[int]


def _read(run: _Run, out: Path) -> _Reading:
    tasks: list[dict[str, Any]] = []
    sizes: list[int] = []
    owners: list[int] = []
    for owner, source in enumerate(run.sources):
        # A file of unknown size may be of any.
        for files in group([file.size or READ_BYTES for file in source.files], READ_BYTES):
            tasks.append(
                stages.read_task(
                    f"{len(tasks):05d}",
                    [source.files[n] for n in files],
                    run.settings,
                    chosen=source.documents is not None,
                    only=source.only,
                    annotate=not run.looks_ahead,
                    index=run.index,
                )
            )
            sizes.append(sum(source.files[n].size for n in files))
            owners.append(owner)
    # Documents that are annotated at once are what that stage would have made of them.
    folder = run.work / (READ if run.looks_ahead else ANNOTATED)
    results = map_parts(
        f"{stages.__name__}:read_stage", tasks, folder, run.executor, label="reading", sizes=sizes
    )
    faults = sum_faults(result["faults"] for result in results)
    _join(run, BAD_RECORDS, out / BAD_RECORDS)
    if run.settings.strict:
        require_whole(faults)
    require_documents(faults)
    run.counts |= faults
    others = [
        _sum(r["others"] for r, o in zip(results, owners, strict=True) if o == owner)
        for owner in range(len(run.sources))
    ]
    if any(others):
        run.counts["others"] = others
    if run.settings.keep is not None:
        columns = {name for name, _ in added_columns(run.settings)}
        columns.update(name for result in results for name in result["types"])
        Condition(run.settings.keep).check(columns)
    return _Reading(results, owners)


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _annotate(run: _Run, reading: _Reading) -> tuple[Whole, FieldTypes]:
    types = FieldTypes()
    for result in reading.results:
        types.merge(FieldTypes.from_json(result["types"]))
    results = reading.results
    if run.looks_ahead:
        results = _annotated(run, reading)
    run.counts["cut_paragraphs"] = sum(result["cut_paragraphs"] for result in results)
    run.counts["left_out"] = _sum(result["left_out"] for result in results)
    if run.settings.language is not None:
        run.counts["other_languages"] = _sum(result["other_languages"] for result in results)
    if run.index is not None:
        found = Contamination(NgramIndex.load(run.index))
        for result in results:
            found.add(result["contamination"])
        run.counts["contamination"] = found.summary()
    parts = parts_of(results)
    return Whole(run.work / ANNOTATED, parts, run.settings), types


def _annotated(run: _Run, reading: _Reading) -> list[dict[str, Any]]:
    """What the annotate jobs returned, one for each part as read."""
    parts = parts_of(reading.results)
    owners = [
        owner
        for result, owner in zip(reading.results, reading.sources, strict=True)
        for _ in result["parts"]
    ]
    whole = Whole(run.work / READ, parts, run.settings)
    cut = None
    if "paragraphs" in run.settings.dedup:
        counts = [count for result in reading.results for count in result["paragraphs"]]
        run.counts["paragraphs"] = sum(counts)
        cut = whole.repeated_paragraphs(counts)
    last_ranks = {
        owner: whole.last_rank([n for n, o in enumerate(owners) if o == owner], source.documents)
        for owner, source in enumerate(run.sources)
        if source.documents is not None
    }
    tasks = [
        stages.annotate_task(
            f"{number:06d}",
            whole.path(number),
            run.settings,
            cut=cut.path(number) if cut else None,
            ranks=whole.array_path(number, stages.RANKS) if owner in last_ranks else None,
            last_rank=last_ranks.get(owner),
            index=run.index,
        )
        for number, owner in enumerate(owners)
    ]
    return map_parts(
        f"{stages.__name__}:annotate_stage",
        tasks,
        run.work / ANNOTATED,
        run.executor,
        label="annotating",
        sizes=[part.documents for part in parts],
        unit="documents",
    )


def _nothing_left(run: _Run) -> str:
    """What became of all documents, when none is left."""
    why = [f"{count:,} with {reason}" for reason, count in run.counts["left_out"].items()]
    for source, others in zip(run.sources, run.counts.get("others", ()), strict=False):
        if source.only is not None and others:
            path, value = source.only.path, source.only.value
            why.append(f"those of another {path} than {value!r}: {_commonest(others)}")
    if others := run.counts.get("other_languages"):
        why.append(f"languages found: {_commonest(others)}")
    return f"no document is left of {run.counts['read']:,} read; left out: {'; '.join(why)}"


def _commonest(counts: Mapping[str, int]) -> str:
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    return ", ".join(f"{name} ({count:,})" for name, count in found)


def _write(run: _Run, whole: Whole, dropped: Duplicates, types: FieldTypes) -> list[dict[str, Any]]:
    renamed = whole.renamed(dropped)
    tasks: list[dict[str, Any]] = []
    sizes: list[int] = []
    documents = [part.documents for part in whole.parts]
    bytes_of = [part.text_bytes for part in whole.parts]
    for numbers in group(bytes_of, run.settings.part_bytes, documents):
        parts = [
            {
                "path": str(whole.path(number)),
                "dropped": str(dropped.rows.path(number)),
                "renamed": str(renamed.path(number)),
            }
            for number in numbers
        ]
        tasks.append(stages.write_task(f"{len(tasks):05d}", parts, types, run.settings))
        sizes.append(sum(documents[number] for number in numbers))
    return map_parts(
        f"{stages.__name__}:write_stage",
        tasks,
        run.work / WRITTEN,
        run.executor,
        label="writing",
        sizes=sizes,
        unit="documents",
    )


def _finish(
    run: _Run,
    out: Path,
    whole: Whole,
    dropped: Duplicates,
    written: list[dict[str, Any]],
    key: str,
) -> None:
    """Put the finished corpus into `out`; counts.json, which says so, comes last."""
    (out / COUNTS).unlink(missing_ok=True)
    parts = parts_of(written)
    totals = {"words": sum(result["words"] for result in written)}
    for kind, folder in ((DOCUMENTS, TRAINING_FOLDER), (HELD_OUT, HELD_OUT_FOLDER)):
        chosen = [part for part in parts if Path(part.name).name.startswith(f"{kind}-")]
        totals[kind] = sum(part.documents for part in chosen)
        link_parts(run.work / WRITTEN, chosen, out / folder)
    whole.write_duplicates(dropped, out / DUPLICATES)
    if run.index is not None:
        _join(run, OVERLAPS, out / CONTAMINATION)
    counts = {name: totals[name] for name in ("documents", "held_out", "words")}
    write_json(out / COUNTS, {**counts, **run.counts, "key": key})


def _join(run: _Run, name: str, path: Path) -> None:
    """One file of what every job wrote under a name, in the jobs' order."""
    with atomic_path(path) as aside, aside.open("wb") as stream:
        for stage in (READ, ANNOTATED):
            for part in sorted((run.work / stage).glob(f"*/{name}")):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, stream)
