"""A run's folder: what a generation run has made, resumable, shared by many workers.

    OUT/documents, dropped, failed, aside    links into the run that was started last
    OUT/manifest.json                        makes OUT the dataset of what the run has kept
    OUT/runs/KEY/run.json                    what determines the run; KEY is its digest
                 target.json                 when it has enough text, as last asked for
                 documents/part-000000.jsonl one file per finished block of documents
                 writing/                    such files before they are whole
                 journal/                    completions of blocks that are not finished
                 claims/, workers/           who works on what, and is alive
                 sessions/                   what workers that have left did
                 done/000000.json            a block's marker, written after its data
                 README.md, report.json      the dataset card, when all blocks are finished

A changed prompt, model, sampling, seed or input has another KEY, so its results can never mix with
the old ones, which stay under `runs`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.files import ASIDE, move_synced, read_json, write_json
from synthlaw.common.parts import Dataset, Part, finish
from synthlaw.corpus.documents import Document, document_from_row, read_documents
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.filters import FILTERS_VERSION
from synthlaw.generate.generated import KINDS, Counts, sum_counts
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.run.blocks import Blocks
from synthlaw.generate.run.inputs import Inputs
from synthlaw.generate.run.target import Target
from synthlaw.generate.run.writing import BlockWriter

LINKED = (*KINDS, "README.md", "report.json")
FORMAT = 2
"""Of the folder; part of the key."""


@dataclass(frozen=True)
class Marker:
    """What is known of a finished block.

    start, stop: its source documents, counted on through the passes; each_pass: documents of one.
    parts: its files by kind, named from the run's folder on.
    counts: of what came of the block; recipes: the same by recipe. tokens: of the kept text, by
    the digest of the tokenizer that counted.
    """

    start: int
    stop: int
    parts: dict[str, Part]
    counts: Counts
    recipes: dict[str, Counts]
    tokens: dict[str, int] = field(default_factory=dict)
    each_pass: int = 0

    @property
    def source_documents(self) -> int:
        """Documents that the block was made from."""
        return self.stop - self.start


class RunFolder:
    """One run's place on disk, opened or made. The block size is the first opener's."""

    def __init__(
        self, out: Path, mix: RecipeMix, engine: Engine, inputs: Inputs, size: int, target: Target
    ) -> None:
        """size: documents in the first blocks, if the run is new. target: written down for whoever
        looks from outside.

        Raises UsageError for an unusable `out`.
        """
        described = {
            "format": FORMAT,
            "filters": FILTERS_VERSION,
            "settings": mix.digest(engine),
            "inputs": list(inputs.digests),
        }
        self.key = digest_of(described)[:16]
        self.out, self.root, self.inputs = out, out / "runs" / self.key, inputs
        self.mix, self.target = mix, target
        if out.exists() and not out.is_dir():
            raise UsageError(f"out: found a file at {out}; expected a folder")
        detail = mix.record() | {
            "sampling": mix.common.sampling.record(),
            "seed": mix.common.seed,
            "input_tokens": mix.common.input_tokens,
            "rollouts": mix.common.rollouts,
            "engine": engine.identity(),
            "documents": inputs.documents,
            "block_size": size,
        }
        self.root.mkdir(parents=True, exist_ok=True)
        _write_once(self.root / "run.json", described | detail)
        block_size = int(read_json(self.root / "run.json")["block_size"])
        self.each_pass = target.within(inputs.documents)
        self.blocks = Blocks(self.each_pass * target.passes, block_size)
        for kind in (*KINDS, "done"):
            (self.root / kind).mkdir(exist_ok=True)
        write_json(self.root / "target.json", asdict(target))
        self._link()

    def _link(self) -> None:
        for kind in LINKED:
            link, target = self.out / kind, Path("runs") / self.key / kind
            if link.is_symlink() and link.readlink() == target:
                continue
            if link.exists() and not link.is_symlink():
                raise UsageError(f"out: {link} is not a link of this program; choose another --out")
            aside = link.with_name(f"{ASIDE}{os.getpid()}-{kind}")
            aside.unlink(missing_ok=True)
            aside.symlink_to(target, target_is_directory=kind in KINDS)
            aside.replace(link)

    def documents_of(self, start: int, stop: int) -> Iterator[tuple[int, Document]]:
        """Source documents `start` to `stop`, counted on through the passes, each with its pass."""
        while start < stop:
            number, first = divmod(start, self.each_pass)
            end = min(stop, (number + 1) * self.each_pass)
            for document in self.inputs.range(first, first + end - start):
                yield number, document
            start = end

    def part(self, kind: str, block: int) -> Path:
        """File of a finished block's documents of one kind."""
        return self.root / kind / part_name(block)

    def journals(self, block: int) -> list[Path]:
        """Journals of every worker that held the block."""
        return sorted((self.root / "journal").glob(f"{block:06d}.*.jsonl"))

    def journal(self, block: int, worker: str) -> Path:
        """Where a worker keeps the block's completions."""
        return self.root / "journal" / f"{block:06d}.{worker}.jsonl"

    def writer(self, block: int, worker: str) -> BlockWriter:
        """New files for a block that `worker` has claimed; what a dead one began goes away."""
        for left in (self.root / "writing").glob(f"{block:06d}-*"):
            left.unlink(missing_ok=True)
        return BlockWriter(self.root / "writing", f"{block:06d}-{worker}")

    def marked(self) -> set[int]:
        """Blocks that have a marker."""
        return marked_in(self.root)

    def marker(self, block: int, *, verify: bool = False) -> Marker | None:
        """The marker of a finished block; None when it is not finished or a file of it is damaged.

        verify: compare files by SHA-256, not by size alone.
        """
        found = read_marker(self.root, block)
        if found is None:
            return None
        damaged = any(part.problem(self.root, verify=verify) for part in found.parts.values())
        return None if damaged else found

    def commit(self, block: int, written: BlockWriter, marker: Marker) -> None:
        """Make a block final: its files, then the marker, then away with the journals.

        Journals of a block with failures stay, so that trying those again costs nothing else.
        """
        for kind in KINDS:
            if kind in marker.parts:
                # From a folder of their own: whoever reads documents/*.jsonl sees whole files.
                move_synced(written.parts[kind].path, self.part(kind, block))
            else:
                self.part(kind, block).unlink(missing_ok=True)
        write_json(self._marker_path(block), asdict(marker))
        if not marker.counts["failed"]:
            for journal in self.journals(block):
                journal.unlink(missing_ok=True)

    def note_tokens(self, block: int, marker: Marker) -> None:
        """Keep a marker to which another tokenizer's count was added."""
        write_json(self._marker_path(block), asdict(marker))

    def _marker_path(self, block: int) -> Path:
        return self.root / "done" / f"{block:06d}.json"

    def markers(self) -> Iterator[tuple[int, Marker]]:
        """Finished blocks in order."""
        for block in sorted(self.marked()):
            if block < len(self.blocks) and (marker := self.marker(block)) is not None:
                yield block, marker

    def finish(self, blocks: Iterable[Marker], tokenizer: str = "") -> Dataset:
        """Make `OUT` the dataset of what these blocks kept.

        tokenizer: digest of the one whose counts are stated; without one, the generator's are.
        """
        base = self.root.relative_to(self.out)
        parts = []
        for marker in blocks:
            part = marker.parts["documents"]
            tokens = marker.tokens[tokenizer] if tokenizer else marker.counts["document_tokens"]
            parts.append(replace(part, name=str(base / part.name), tokens=tokens))
        return finish(self.out, parts)

    def counts(self) -> Counts:
        """Sums over the finished blocks, and how many blocks there are and are finished."""
        markers = [marker for _, marker in self.markers()]
        total = sum_counts(marker.counts for marker in markers)
        return {"blocks": len(self.blocks), "blocks_done": len(markers), **total}

    def counts_by_recipe(self) -> dict[str, Counts]:
        """Sums over the finished blocks by recipe."""
        return recipe_counts(marker for _, marker in self.markers())

    def documents(self, kind: str = "documents") -> Iterator[Document]:
        """What was kept, or another kind, in the input's order, block by finished block."""
        for block, marker in self.markers():
            if kind in marker.parts:
                yield from read_documents(self.part(kind, block))

    def sample(self, stride: int) -> Iterator[Document]:
        """Every `stride`-th document that was kept, from the first on; no other is parsed."""
        passed = 0
        for block, marker in self.markers():
            if "documents" not in marker.parts:
                continue
            path = self.part("documents", block)
            with path.open("rb") as stream:
                for line in islice(stream, -passed % stride, None, stride):
                    yield document_from_row(json.loads(line), str(path))
            passed += marker.parts["documents"].documents


def part_name(block: int) -> str:
    """Name of a block's files, in the folder of each kind."""
    return f"part-{block:06d}.jsonl"


def recipe_counts(markers: Iterable[Marker]) -> dict[str, Counts]:
    """Sums over blocks by recipe."""
    found: dict[str, list[Counts]] = {}
    for marker in markers:
        for name, counts in marker.recipes.items():
            found.setdefault(name, []).append(counts)
    return {name: sum_counts(found[name]) for name in sorted(found)}


def marked_in(root: Path) -> set[int]:
    """Blocks that have a marker in a run's folder."""
    names = (entry.name for entry in os.scandir(root / "done"))
    return {int(name[:-5]) for name in names if name[:-5].isdigit() and name.endswith(".json")}


def read_marker(root: Path, block: int) -> Marker | None:
    """A block's marker in a run's folder, None when there is none that can be read."""
    try:
        value = read_json(root / "done" / f"{block:06d}.json")
        parts = {kind: Part(**part) for kind, part in value.pop("parts").items()}
        return Marker(parts=parts, **value)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _write_once(path: Path, value: dict[str, Any]) -> None:
    """Write a file that the first of several workers makes and no other changes."""
    if path.exists():
        return
    aside = path.with_name(f"{ASIDE}{os.getpid()}-{os.urandom(4).hex()}")
    aside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
