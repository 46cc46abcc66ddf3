"""Datasets of parts: bulk data as a folder of bounded files, and how a stage makes one of another.

    part-00000.parquet, part-00001.parquet, …    bounded: PART_BYTES of text, PART_DOCUMENTS
    manifest.json                                for every part: documents, tokens where they are
                                                 known, bytes, SHA-256; written last

The interface, which other rooms build on:

    Part                  what a manifest says of one file
    Dataset(folder)       an opened dataset: parts, paths, totals, identity, locate(numbers), order
    describe(path, …)     the Part of a file that was just written
    finish(folder, parts) write the manifest, which makes the folder a dataset
    link_parts(…)         a dataset of what the jobs of a stage left
    group(sizes)          consecutive items in groups that each make one bounded part
    map_parts(…)          a stage: one job for each task, by an executor, resumable
    sweep(folder)         remove what a killed process was writing

Rows have numbers: 0 up to `documents`, through the parts in order. A dataset's identity is the
digest of its parts' digests in order, so that no byte is read twice to know what it is. Nothing
here depends on what the files hold; for documents see corpus/documents.py: `DocumentWriter` (rows
to bounded parts), `read_dataset` (in order), `documents_at` (any rows), `permuted_documents` (in a
seeded order).

A job is `function(task, out, report)`: `function` is named "package.module:name", `task` is a JSON
value, `out` the folder that the stage fills, `report(amount)` tells how much is done, in the unit
of the stage's `sizes`. It writes its files there under names of its own, each by one rename, and
returns a JSON object; with "parts" in it, a list of `Part.as_json()`, the parts must still be there
for the job to count as done. A job that is done twice must give the same bytes.
"""

from __future__ import annotations

import errno
import importlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import ASIDE, atomic_folder, read_json, write_json
from synthlaw.common.permutation import Permutation
from synthlaw.common.progress import meter

MANIFEST = "manifest.json"
FORMAT = 1

PART_BYTES = 1 << 27
"""Text of a part, as UTF-8: some 32 million tokens of English, 6,400 parts at 200 billion."""

PART_DOCUMENTS = 1 << 17
"""Most documents of a part: what is kept of every document while one is made stays bounded."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

SMALL: Mapping[str, float] = {"B": 1 << 23, "documents": 10_000}
"""Work by its unit that is done where it is asked for, though there are other machines: some
seconds, while a job in a cluster's queue takes longer to begin. Changed by tests."""

NOTES = ".done"
"""Folder of the notes on finished jobs, in the folder of an unfinished stage."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """One file of a dataset. bytes: of the file. text_bytes: of its texts as UTF-8. tokens: of
    its texts, None where nobody has counted."""

    name: str
    documents: int
    bytes: int
    text_bytes: int
    sha256: str
    tokens: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The part as JSON values."""
        return asdict(self)

    def problem(self, folder: Path, *, verify: bool = False) -> str:
        """What is wrong with its file, or ''; `verify` compares the SHA-256 too."""
        path = folder / self.name
        if not path.exists():
            return f"{path}: the part's file is missing; expected {self.bytes:,} bytes"
        if (size := path.stat().st_size) != self.bytes:
            return f"{path}: found {size:,} bytes; its manifest promises {self.bytes:,}"
        if verify and (seen := file_digest(path)) != self.sha256:
            return (
                f"{path}: SHA-256 is {seen}, its manifest says {self.sha256}; the file was changed "
                "after it was written"
            )
        return ""


def describe(path: Path, documents: int, text_bytes: int, tokens: int | None = None) -> Part:
    """The `Part` of a file that was just written; reads it once, for its digest."""
    return Part(path.name, documents, path.stat().st_size, text_bytes, file_digest(path), tokens)


class Dataset:
    """A finished dataset, opened. Reads its manifest and no part.

    Raises UsageError when the folder has no manifest, or one of another format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = folder / MANIFEST
        try:
            value = read_json(place)
            if value["format"] != FORMAT:
                raise UsageError(
                    f"{place}: found format {value['format']}; expected {FORMAT}: it was written "
                    "by another version of synthlaw; make it again"
                )
            self.parts = tuple(Part(**part) for part in value["parts"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{place}: not a finished dataset ({error})") from error

    @cached_property
    def identity(self) -> str:
        """Digest of the parts' digests in order."""
        return digest_of([part.sha256 for part in self.parts])

    @property
    def paths(self) -> list[Path]:
        """The parts' files in order."""
        return [self.folder / part.name for part in self.parts]

    @property
    def documents(self) -> int:
        """Documents in all parts."""
        return sum(part.documents for part in self.parts)

    @property
    def bytes(self) -> int:
        """Bytes of all parts' files."""
        return sum(part.bytes for part in self.parts)

    @property
    def text_bytes(self) -> int:
        """Bytes of all texts."""
        return sum(part.text_bytes for part in self.parts)

    @property
    def tokens(self) -> int | None:
        """Tokens in all parts, None when a part's are not known."""
        counts = [part.tokens for part in self.parts if part.tokens is not None]
        return sum(counts) if len(counts) == len(self.parts) else None

    @cached_property
    def starts(self) -> Numbers:
        """The number of each part's first row, and behind them that of all rows: [parts + 1]."""
        return np.cumsum([0, *(part.documents for part in self.parts)], dtype=np.int64)

    def locate(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """Where rows lie: (index of the part, row in it), each of the shape of `numbers`."""
        part = np.searchsorted(self.starts, numbers, side="right") - 1
        return part.astype(np.int64), numbers - self.starts[part]

    def order(self, seed: int) -> Permutation:
        """A seeded reading order: `order(places)` gives the numbers of the rows at `places`."""
        return Permutation(self.documents, seed)

    def problems(self, *, verify: bool = False) -> list[str]:
        """What is wrong with its files, one line each; `verify` compares SHA-256 too."""
        found = (part.problem(self.folder, verify=verify) for part in self.parts)
        return [problem for problem in found if problem]


def is_dataset(folder: Path) -> bool:
    """Whether a finished dataset is in `folder`."""
    return (folder / MANIFEST).is_file()


def finish(folder: Path, parts: Sequence[Part]) -> Dataset:
    """Write the manifest, which makes the folder a dataset; the notes of its jobs go away."""
    write_json(folder / MANIFEST, {"format": FORMAT, "parts": [part.as_json() for part in parts]})
    shutil.rmtree(folder / NOTES, ignore_errors=True)
    return Dataset(folder)


def link_parts(folder: Path, parts: Sequence[Part], out: Path) -> Dataset:
    """A dataset in `out` of parts that jobs left in `folder`, under names of their own order.

    The files are hard links, so `out` is on the same file system.
    """
    with atomic_folder(out) as aside:
        named = []
        for number, part in enumerate(parts):
            named.append(replace(part, name=f"part-{number:05d}{Path(part.name).suffix}"))
            os.link(folder / part.name, aside / named[-1].name)
        finish(aside, named)
    return Dataset(out)


def parts_of(results: Iterable[Mapping[str, Any]]) -> list[Part]:
    """The parts that jobs returned, in order."""
    return [Part(**part) for result in results for part in result["parts"]]


def group(
    sizes: Sequence[int], most: int | None = None, counts: Sequence[int] | None = None
) -> list[range]:
    """Consecutive items in groups of at most `most` bytes, by their sizes; larger ones alone.

    most: PART_BYTES by default. counts: documents of each item, of which a group holds at most
    PART_DOCUMENTS.
    """
    most = PART_BYTES if most is None else most
    groups: list[range] = []
    first, size, documents = 0, 0, 0
    for place, one in enumerate(sizes):
        here = 0 if counts is None else counts[place]
        if place > first and (size + one > most or documents + here > PART_DOCUMENTS):
            groups.append(range(first, place))
            first, size, documents = place, 0, 0
        size, documents = size + one, documents + here
    return [*groups, range(first, len(sizes))] if len(sizes) else []


Report = Callable[[float], None]


class Failed(Protocol):
    """What an executor says of a job that failed."""

    def error(self) -> SynthlawError:
        """The failure as an exception."""
        ...


class Executor(Protocol):
    """Carries out jobs: what `map_parts` asks of the executors of the room execute.

    elsewhere: whether on other machines.
    """

    @property
    def elsewhere(self) -> bool: ...

    def map(
        self, function: str, payloads: Iterable[Any], *, on_progress: Report | None = None
    ) -> Iterator[tuple[int, Any]]:
        """(index of the payload, its job's result or a `Failed`), as jobs end."""
        ...


def map_parts(
    function: str,
    tasks: Sequence[Mapping[str, Any]],
    out: Path,
    executor: Executor,
    *,
    label: str,
    sizes: Sequence[float],
    unit: str = "B",
) -> list[dict[str, Any]]:
    """Carry out `function(task, out, report)` for every task, those of an earlier call left out.

    label, unit: of the progress. sizes: what each task counts in it; its job reports so much.
    Returns what the jobs returned, in the tasks' order. A job leaves a note in `out` when it is
    done, keyed by its function and task: put into the task all that determines what it makes.
    A single job is done in this process; with other machines at hand all that is a moment's work,
    see SMALL, and nothing else. Raises the error of the first job that fails; finished jobs stay.
    """
    (out / NOTES).mkdir(parents=True, exist_ok=True)
    sweep(out)
    payloads = [
        {"function": function, "task": dict(task), "out": str(out.resolve()), "number": number}
        for number, task in enumerate(tasks)
    ]
    results = [_done(payload) for payload in payloads]
    waiting = [number for number, result in enumerate(results) if result is None]
    before = sum(size for size, result in zip(sizes, results, strict=True) if result is not None)
    with meter(label, sum(sizes), unit, done=before) as bar:
        todo = [payloads[number] for number in waiting]
        amount = sum(sizes[number] for number in waiting)
        if amount <= SMALL.get(unit, 0) if executor.elsewhere else len(todo) == 1:
            # No worker would be any faster.
            for number in waiting:
                results[number] = run_job(payloads[number], bar.advance)
            todo = []
        done: Any = executor.map(JOB, todo, on_progress=bar.advance)
        with closing(done):  # which ends the jobs under way when one fails
            for place, result in done:
                if not isinstance(result, dict):
                    raise result.error()
                results[waiting[place]] = result
    return [result for result in results if result is not None]


JOB = f"{__name__}:run_job"


def run_job(payload: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """One job of `map_parts`: carry out its function, then leave the note that it is done.

    Raises SynthlawError when the disk is full.
    """
    found = _done(payload)
    if found is not None:
        return found
    try:
        function = function_named(payload["function"])
        result = function(payload["task"], Path(payload["out"]), report)
        write_json(_note(payload), {"key": _key(payload), "result": result})
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise SynthlawError(
            f"{payload['out']}: the disk is full ({error.strerror}); what is finished is kept: "
            "free some space and run the same command again"
        ) from error
    return dict(result)


def function_named(name: str) -> Callable[..., Any]:
    """The function "package.module:name"."""
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function


def _key(payload: Mapping[str, Any]) -> str:
    return digest_of([payload["function"], payload["task"]])


def _note(payload: Mapping[str, Any]) -> Path:
    return Path(payload["out"]) / NOTES / f"{payload['number']:06d}.json"


def _done(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a finished job returned; None when it, or a part of it, is not there."""
    try:
        value = read_json(_note(payload))
        result: dict[str, Any] = value["result"]
        parts = [Part(**part) for part in result.get("parts", ())]
        if value["key"] != _key(payload):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    whole = not any(part.problem(Path(payload["out"])) for part in parts)
    return result if whole else None


def sweep(folder: Path) -> None:
    """Remove what a killed process was writing in `folder`; it never had a name."""
    for aside in folder.glob(f"{ASIDE}*"):
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)
