"""Documents to a token set on disk: in parallel, resumable, the same bytes every time.

    input files ─► jobs ─► shard after shard ─► manifest

A job reads some files and writes their shards; the shards of all jobs, in order, are the set. Where
jobs and shards end depends on the files alone. A finished shard leaves a note beside it; the
manifest, written last, takes the notes' place. A killed job reads its files again and tokenizes
only what has no note.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.parts import NOTES, PART_BYTES, Executor, group, map_parts
from synthlaw.common.progress import say
from synthlaw.corpus.readers.faults import (
    fault_lines,
    faults_of,
    require_documents,
    sum_faults,
)
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.ranges import cut
from synthlaw.corpus.readers.read import read_input
from synthlaw.tokens.dataset import FORMAT, MANIFEST, Manifest, read_manifest
from synthlaw.tokens.encoding import encode_block
from synthlaw.tokens.shards import ShardFacts, write_shard
from synthlaw.tokens.tokenizer import Tokenizer, is_named

SHARD_CHARACTERS = 1 << 28
"""Text of a shard: some 65 million tokens of English. What a kill costs is at most one shard."""

FILES_BYTES = PART_BYTES
"""Input of one job: small files, or a piece of a larger one; what cannot be cut has its own."""

BLOCK_CHARACTERS = 1 << 20
BLOCK_DOCUMENTS = 4096

NOTE = ".note.json"
"""Ending of the note beside a finished shard of an unfinished set."""

Numbered = tuple[int, list[str]]


def write_dataset(
    folder: Path,
    files: Sequence[InputFile],
    tokenizer: Tokenizer,
    executor: Executor,
    *,
    shard_characters: int = SHARD_CHARACTERS,
    strict: bool = False,
) -> Manifest:
    """Tokenize the documents of `files` into `folder`, or what is left of it; returns the manifest.

    Work that was stopped goes on, and shards that were deleted are made again. Memory is a few
    blocks of a million characters in each job, or the longest document. What cannot be read costs
    itself and is said at the end; strict: it is an error, as is right for what we wrote ourselves.
    Raises UsageError when the folder holds another set or no document was read, and SynthlawError
    when the disk is full; shards finished before stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = digest_of([FORMAT, tokenizer.digest, shard_characters, [f.key() for f in files]])
    _refuse_other_work(folder, key)
    if (folder / MANIFEST).exists():
        found = read_manifest(folder)
        if not any(s.problems(folder, found.dtype, verify=False) for s in found.shards):
            return found
    files = cut(files, FILES_BYTES)
    place = tokenizer.place if is_named(tokenizer.place) else str(tokenizer.path.resolve())
    # A file of unknown size may be of any.
    groups = group([file.size or FILES_BYTES for file in files], FILES_BYTES)
    tasks = [
        {
            "name": f"{number:05d}",
            "key": key,
            "files": [asdict(files[n]) for n in numbers],
            "tokenizer": place,
            "shard_characters": shard_characters,
            "strict": strict,
        }
        for number, numbers in enumerate(groups)
    ]
    sizes = [sum(files[n].size for n in numbers) for numbers in groups]
    done = map_parts(
        f"{__name__}:tokenize_files", tasks, folder, executor, label="tokenizing", sizes=sizes
    )
    faults = sum_faults(result["faults"] for result in done)
    require_documents(faults)
    for line in fault_lines(faults):
        say(line)
    shards = [ShardFacts(**shard) for result in done for shard in result["shards"]]
    return _finish(folder, key, shards, tokenizer)


def write_texts(
    folder: Path,
    texts: Iterable[str],
    tokenizer: Tokenizer,
    *,
    shard_characters: int = SHARD_CHARACTERS,
) -> Manifest:
    """Tokenize texts into a new `folder`, in this process; returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = _write_shards(folder, "00000", "", texts, tokenizer, shard_characters)
    return _finish(folder, "", shards, tokenizer)


def _finish(folder: Path, key: str, shards: Sequence[ShardFacts], tokenizer: Tokenizer) -> Manifest:
    """Write the manifest, which makes the folder a token set; notes go away."""
    manifest = Manifest(
        format=FORMAT,
        tokens=sum(shard.tokens for shard in shards),
        documents=sum(shard.documents for shard in shards),
        bytes=sum(shard.bytes for shard in shards),
        dtype=tokenizer.dtype,
        vocab=tokenizer.vocab,
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        tokenizer=tokenizer.digest,
        tokenizer_name=tokenizer.name,
        made_from=key,
        shards=tuple(shards),
    )
    write_json(folder / MANIFEST, asdict(manifest))
    for note in folder.glob(f"*{NOTE}"):
        note.unlink()
    shutil.rmtree(folder / NOTES, ignore_errors=True)
    return manifest


def tokenize_files(
    task: Mapping[str, Any], out: Path, report: Callable[[float], None]
) -> dict[str, Any]:
    """The job of `write_dataset`: the shards of some files, those left out that are there."""
    tokenizer = _tokenizer(task["tokenizer"])
    faults: list[dict[str, Any]] = []

    def read() -> Iterator[str]:
        for file in task["files"]:
            found = ReadReport(strict=task["strict"], on_read=report)
            for document in read_input(InputFile(**file), found):
                yield document.text
            faults.append(faults_of(found))

    shards = _write_shards(
        out, task["name"], task["key"], read(), tokenizer, task["shard_characters"]
    )
    return {
        "faults": sum_faults(faults),
        "shards": [asdict(shard) for shard in shards],
        "parts": [part.as_json() for s in shards for part in s.parts(tokenizer.dtype)],
    }


def _write_shards(
    folder: Path,
    job: str,
    key: str,
    texts: Iterable[str],
    tokenizer: Tokenizer,
    shard_characters: int,
) -> list[ShardFacts]:
    """Write the shards of one job's texts that are not there; returns all of them in order."""
    kept = _kept(folder, key, job)
    blocks = _without_kept(_blocks(texts, shard_characters), kept)
    for number, shard_blocks in groupby(blocks, key=itemgetter(0)):
        encoded = (encode_block(tokenizer, texts) for _, texts in shard_blocks)
        shard = write_shard(folder, f"{job}-{number:03d}", encoded, tokenizer.dtype)
        note = {"key": key, "dtype": tokenizer.dtype, "shard": asdict(shard)}
        write_json(folder / f"{shard.name}{NOTE}", note)
        kept[number] = shard
    return [kept[number] for number in range(len(kept))]


@cache
def _tokenizer(place: str) -> Tokenizer:
    return Tokenizer(place)


def holds_set(folder: Path) -> bool:
    """Whether a token set, finished or not, is in `folder`."""
    return (folder / MANIFEST).exists() or any(folder.glob(f"*{NOTE}"))


def _refuse_other_work(folder: Path, key: str) -> None:
    """Raise UsageError when the folder holds a set, or shards of one, that is not `key`'s."""
    if (folder / MANIFEST).exists():
        found = read_manifest(folder)
        if found.made_from != key:
            raise UsageError(
                f"{folder}: holds a token set of other texts, another tokenizer "
                f"({found.tokenizer_name}) or another shard size; remove it or give another folder"
            )
    for note in folder.glob(f"*{NOTE}"):
        if read_json(note)["key"] != key:
            raise UsageError(
                f"{folder}: holds an unfinished token set of other texts, another tokenizer or "
                "another shard size; remove it or give another folder"
            )


def _kept(folder: Path, key: str, job: str) -> dict[int, ShardFacts]:
    """Whole shards of one job by number, those of a finished set and those with notes."""
    found: list[tuple[ShardFacts, str]] = []
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        found += [(shard, manifest.dtype) for shard in manifest.shards]
    for note in sorted(folder.glob(f"{job}-*{NOTE}")):
        value = read_json(note)
        found.append((ShardFacts(**value["shard"]), value["dtype"]))
    return {
        int(shard.name.removeprefix(f"{job}-")): shard
        for shard, dtype in found
        if shard.name.startswith(f"{job}-") and not shard.problems(folder, dtype, verify=False)
    }


def _blocks(texts: Iterable[str], shard_characters: int) -> Iterator[Numbered]:
    """Texts in blocks, each with the number of the shard that it belongs to."""
    longest = min(BLOCK_CHARACTERS, shard_characters)
    shard, filled = 0, 0
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= longest or len(block) >= BLOCK_DOCUMENTS:
            yield shard, block
            filled += size
            if filled >= shard_characters:
                shard, filled = shard + 1, 0
            block, size = [], 0
    if block:
        yield shard, block


def _without_kept(blocks: Iterator[Numbered], kept: dict[int, ShardFacts]) -> Iterator[Numbered]:
    """The blocks of shards that are not there yet."""
    there = dict(kept)
    for number, shard_blocks in groupby(blocks, key=itemgetter(0)):
        if number not in there:
            yield from shard_blocks
            continue
        documents = sum(len(block) for _, block in shard_blocks)
        if documents != there[number].documents:
            raise UsageError(
                f"shard {there[number].name}: was made of {there[number].documents:,} documents, "
                f"and now there are {documents:,}: the input is not what it was; give another "
                "folder"
            )
