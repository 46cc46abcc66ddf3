"""Texts to a token set on disk: in parallel, resumable, the same bytes every time.

    texts ─► blocks ─► worker processes ─► shard after shard ─► manifest

Borders of blocks and shards depend on the texts alone. A finished shard leaves a note beside it;
the manifest, written last, takes their place. A killed run reads its texts again and tokenizes
only those of shards that have no note.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import ASIDE, read_json, write_json
from synthlaw.tokens.dataset import FORMAT, MANIFEST, Manifest, read_manifest
from synthlaw.tokens.encoding import Numbered, encode_blocks
from synthlaw.tokens.shards import EncodedBlock, ShardFacts, write_shard
from synthlaw.tokens.tokenizer import Tokenizer

SHARD_CHARACTERS = 1 << 28
"""Text of a shard: some 65 million tokens of English. What a kill costs is at most one shard."""

BLOCK_CHARACTERS = 1 << 20
BLOCK_DOCUMENTS = 4096

NOTE = ".note.json"
"""Ending of the note beside a finished shard of an unfinished set."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_dataset(
    folder: Path,
    texts: Iterable[str],
    tokenizer: Tokenizer,
    *,
    made_from: Any = None,
    workers: int = 1,
    shard_characters: int = SHARD_CHARACTERS,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Manifest:
    """Tokenize `texts` into `folder`, or what is left of it; returns the manifest.

    made_from: a JSON value that determines the texts, such as digests of their files. With it a
    run that was stopped goes on, and shards that were deleted are made again; without it work
    begins anew. workers: processes; 1 works in this one. on_bytes: told the bytes of text whose
    ids are written, now or by an earlier run.

    Memory is a few blocks of a million characters per worker, or the longest document.
    Raises UsageError when the folder holds another set, and SynthlawError when the disk is full;
    shards finished before stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for aside in folder.glob(f"{ASIDE}*"):  # what a killed run was writing
        aside.unlink()
    key = digest_of([FORMAT, tokenizer.digest, shard_characters, made_from])
    kept = _kept(folder, key, made_from is not None)
    if (folder / MANIFEST).exists() and len(kept) == len(read_manifest(folder).shards):
        return read_manifest(folder)
    blocks = _without_kept(_blocks(texts, shard_characters), kept, on_bytes)
    try:
        facts = _write_shards(folder, blocks, tokenizer, workers, kept, key, on_bytes)
        manifest = Manifest(
            format=FORMAT,
            tokens=sum(shard.tokens for shard in facts),
            documents=sum(shard.documents for shard in facts),
            bytes=sum(shard.bytes for shard in facts),
            dtype=tokenizer.dtype,
            vocab=tokenizer.vocab,
            bos=tokenizer.bos,
            eos=tokenizer.eos,
            tokenizer=tokenizer.digest,
            tokenizer_name=tokenizer.name,
            made_from=key if made_from is not None else "",
            shards=tuple(facts),
        )
        write_json(folder / MANIFEST, asdict(manifest))
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise SynthlawError(
            f"{folder}: the disk is full ({error.strerror}); {len(kept)} finished shards are kept: "
            "free some space and run the same command again"
        ) from error
    for note in folder.glob(f"*{NOTE}"):
        note.unlink()
    return manifest


def holds_set(folder: Path) -> bool:
    """Whether a token set, finished or not, is in `folder`."""
    return (folder / MANIFEST).exists() or any(folder.glob(f"*{NOTE}"))


def _kept(folder: Path, key: str, resume: bool) -> dict[int, ShardFacts]:
    """Whole shards of this very work by number. Raises UsageError for those of other work."""
    if (folder / MANIFEST).exists():
        found = read_manifest(folder)
        if not resume or found.made_from != key:
            raise UsageError(
                f"{folder}: holds a token set of other texts, another tokenizer "
                f"({found.tokenizer_name}) or another shard size; remove it or give another folder"
            )
        whole = {
            number: shard
            for number, shard in enumerate(found.shards)
            if not shard.problems(folder, found.dtype, verify=False)
        }
        return whole
    kept = {}
    for note in sorted(folder.glob(f"*{NOTE}")):
        if not resume:
            note.unlink()
            continue
        value = read_json(note)
        if value["key"] != key:
            raise UsageError(
                f"{folder}: holds an unfinished token set of other texts, another tokenizer or "
                "another shard size; remove it or give another folder"
            )
        shard = ShardFacts(**value["shard"])
        if not shard.problems(folder, value["dtype"], verify=False):
            kept[int(shard.name)] = shard
    return kept


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


def _without_kept(
    blocks: Iterator[Numbered], kept: dict[int, ShardFacts], on_bytes: Callable[[int], None]
) -> Iterator[Numbered]:
    """The blocks of shards that are not there yet."""
    there = dict(kept)
    for number, group in groupby(blocks, key=itemgetter(0)):
        if number not in there:
            yield from group
            continue
        documents = sum(len(block) for _, block in group)
        if documents != there[number].documents:
            raise UsageError(
                f"shard {there[number].name}: was made of {there[number].documents:,} documents, "
                f"and now there are {documents:,}: the input is not what it was; give another "
                "folder"
            )
        on_bytes(there[number].bytes)


def _write_shards(
    folder: Path,
    blocks: Iterator[Numbered],
    tokenizer: Tokenizer,
    workers: int,
    kept: dict[int, ShardFacts],
    key: str,
    on_bytes: Callable[[int], None],
) -> list[ShardFacts]:
    """Write the shards of `blocks`, adding them to `kept`; returns all shards in order."""

    def counted(group: Iterable[tuple[int, EncodedBlock]]) -> Iterator[EncodedBlock]:
        for _, block in group:
            yield block
            on_bytes(block.bytes)

    with closing(encode_blocks(tokenizer, blocks, workers)) as encoded:
        for number, group in groupby(encoded, key=itemgetter(0)):
            name = f"{number:05d}"
            shard = write_shard(folder, name, counted(group), tokenizer.dtype)
            note = {"key": key, "dtype": tokenizer.dtype, "shard": asdict(shard)}
            write_json(folder / f"{name}{NOTE}", note)
            kept[number] = shard
    return [kept[number] for number in range(len(kept))]
