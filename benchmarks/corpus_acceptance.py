"""Duplicates planted in real text, and a damaged crawl made of it: what `prepare` finds of both.

    python benchmarks/corpus_acceptance.py TEXT_FOLDER [--out FOLDER] [--workers N]

TEXT_FOLDER holds JSONL files of documents with `id` and `text` (searched in folders `web-*`).
Needs warcio (the extra `test`).

1. Every file is given twice, and a tenth of all documents once more as near-copies: 1% of their
   words replaced at random places, and one sentence appended. Reported: exact duplicates removed of
   those planted; recall of the planted pairs; precision of all near-duplicates found, where a pair
   that was not planted counts as right if its exact Jaccard similarity of word 5-grams reaches the
   threshold less twice the estimate's standard error.
2. The documents as pages of WARC and WET files, with hostile records among them: a torn gzip
   member, wrong lengths, binary data, a page of 50 MB, a broken encoding, bytes that are no record.
   Reported: good records read, and bad ones counted at their offsets.
"""

from __future__ import annotations

import argparse
import gzip
import html
import io
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from synthlaw.common.wordhash import ngrams_of, words_of
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.corpus.pipeline import Source, make_corpus
from synthlaw.corpus.readers.input_file import ReadReport
from synthlaw.corpus.readers.sources import find_input_files
from synthlaw.corpus.readers.warc import read_pages
from synthlaw.corpus.settings import Settings
from synthlaw.execute.executors.local import LocalExecutor


def near_copy(text: str, rng: np.random.Generator) -> str:
    """The text with 1% of its words replaced (at least one) and a sentence appended."""
    parts = re.split(r"(\s+)", text)
    places = [n for n in range(0, len(parts), 2) if parts[n]]
    for place in rng.choice(places, max(1, len(places) // 100), replace=False):
        parts[place] = f"changed{rng.integers(1000)}"
    return "".join(parts) + "\nThis sentence was not in the text before it."


def jaccard(one: str, other: str) -> float:
    """Exact similarity of the texts' word 5-grams."""
    sets = [set(ngrams_of(words_of(text).hashes, 5).tolist()) for text in (one, other)]
    return len(sets[0] & sets[1]) / max(1, len(sets[0] | sets[1]))


def plant(files: list[Path], folder: Path, words: int) -> tuple[dict[str, str], int]:
    """Write the input; returns near-copies by id with their originals, and exact copies."""
    rng = np.random.default_rng(0)
    planted: dict[str, str] = {}
    documents: list[Document] = []
    for number, file in enumerate(files):
        own = [Document(f"{number}/{d.id}", d.text) for d in read_documents(file)]
        documents += own
        for copy in ("a", "b"):
            write(folder / f"{number}-{copy}.jsonl", own)
    long = [d for d in documents if len(d.text.split()) >= words]
    chosen = rng.choice(len(long), len(documents) // 10, replace=False)
    copies = []
    for place in chosen.tolist():
        original = long[place]
        copies.append(Document(f"near/{original.id}", near_copy(original.text, rng)))
        planted[copies[-1].id] = original.id
    write(folder / "near.jsonl", copies)
    usable = sum(len(d.text.split()) >= 20 for d in documents)
    return planted, usable


def write(path: Path, documents: list[Document]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for document in documents:
            stream.write(json.dumps({"id": document.id, "text": document.text}) + "\n")


def duplicates(files: list[Path], out: Path, workers: int | None) -> dict[str, Any]:
    """Part 1."""
    source = out / "planted"
    source.mkdir(parents=True)
    planted, usable = plant(files, source, words=50)
    settings = Settings(dedup=("exact", "fuzzy"))
    started = time.monotonic()
    pieces = find_input_files(str(source), out)
    with LocalExecutor(workers) as executor:
        counts = make_corpus([Source(pieces)], settings, out / "corpus", executor)
    seconds = time.monotonic() - started
    texts = {d.id: d.text for piece in pieces for d in read_documents(piece.path)}
    found = pq.read_table(out / "corpus" / "duplicates.parquet").to_pylist()
    exact = [row for row in found if row["kind"] == "exact"]
    unlike = sum(texts[row["id"]].strip() != texts[row["repeats"]].strip() for row in exact)
    distinct = len({t.strip() for t in texts.values() if len(t.split()) >= 20})
    near = {row["id"]: row["repeats"] for row in found if row["kind"] == "near"}
    # The original may itself have been a near-copy of another real document, which then stays.
    right = {i for i in near if i in planted and near[i] in (planted[i], near.get(planted[i]))}
    least = settings.similarity - 2 * 0.035
    others = [i for i in near if i not in right]
    alike = [i for i in others if jaccard(texts[i], texts[near[i]]) >= least]
    similar = [jaccard(texts[i], texts[o]) for i, o in planted.items()]
    reachable = {i for i, s in zip(planted, similar, strict=True) if s >= settings.similarity}
    return {
        "documents": counts["read"],
        "exact_planted": usable,
        "exact_removed": len(exact),
        "exact_expected": 2 * usable + len(planted) - distinct,
        "exact_wrong": unlike,
        "near_planted": len(planted),
        "planted_similarity_quantiles": np.quantile(similar, [0, 0.05, 0.5, 1]).round(3).tolist(),
        "near_recall": round(len(right) / len(planted), 4),
        "near_recall_of_pairs_at_threshold": round(
            len(right & reachable) / max(1, len(reachable)), 4
        ),
        "near_found": len(near),
        "near_found_beside_the_planted": len(others),
        "of_those_truly_alike": len(alike),
        "near_precision": round((len(right) + len(alike)) / max(1, len(near)), 4),
        "seconds": round(seconds, 1),
    }


Damage = tuple[str, Callable[[bytes], bytes]]


def wrong_length(change: int) -> Callable[[bytes], bytes]:
    """A gzip member whose record says another length."""

    def damaged(member: bytes) -> bytes:
        record = re.sub(
            rb"Content-Length: (\d+)",
            lambda m: b"Content-Length: %d" % (int(m[1]) + change),
            gzip.decompress(member),
            count=1,
        )
        return gzip.compress(record, mtime=0)

    return damaged


DAMAGES: list[Damage] = [
    ("torn member", lambda member: member[: len(member) // 2]),
    (
        "flipped byte",
        lambda m: m[: len(m) // 2] + bytes([m[len(m) // 2] ^ 255]) + m[len(m) // 2 + 1 :],
    ),
    ("length too long", wrong_length(1000)),
    ("length too short", wrong_length(-50)),
    ("no record", lambda member: gzip.compress(b"not a record at all", mtime=0)),
]


def record(kind: str, url: str, body: bytes, content: str = "text/html; charset=utf-8") -> bytes:
    """One record as warcio writes it, in a gzip member of its own."""
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    options: dict[str, Any] = {"warc_content_type": "text/plain"}
    if kind == "response":
        options = {
            "http_headers": StatusAndHeaders("200 OK", [("Content-Type", content)], "HTTP/1.1")
        }
    writer.write_record(writer.create_warc_record(url, kind, payload=io.BytesIO(body), **options))
    return stream.getvalue()


def page(text: str) -> bytes:
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in text.split("\n") if line.strip())
    return f"<html><body><nav>Home</nav><article>{lines}</article></body></html>".encode()


def crawl(documents: list[Document], kind: str) -> tuple[bytes, set[str], list[int], list[str]]:
    """An archive with damage at every tenth record: bytes, good addresses, bad offsets, what."""
    members, good, bad, what = [], set(), [], []
    place = 0
    hostile: list[tuple[str, bytes]] = [
        ("page of 50 MB", record(kind, "http://bad.org/huge", b"<p>word</p>" * (50_000_000 // 11))),
        ("binary", record(kind, "http://bad.org/binary", bytes(range(256)) * 100)),
        ("broken encoding", record(kind, "http://bad.org/enc", b"<p>\xff\xfe\xfd\x81</p>" * 500)),
    ]
    for number, document in enumerate(documents):
        url = f"http://good.org/{number}"
        body = page(document.text) if kind == "response" else document.text.encode()
        if number % 10 == 5:
            name, damage = DAMAGES[number // 10 % len(DAMAGES)]
            member = damage(record(kind, url, body))
            bad.append(place)
            what.append(name)
        else:
            member = record(kind, url, body)
            good.add(url)
        members.append(member)
        place += len(member)
        if number % 50 == 49 and hostile:
            name, member = hostile.pop()
            members.append(member)
            bad.append(place)
            what.append(name)
            place += len(member)
    return b"".join(members), good, bad, what


def damaged(documents: list[Document], kind: str) -> dict[str, Any]:
    """Part 2, for WARC ("response") or WET ("conversion")."""
    data, good, bad, what = crawl(documents, kind)
    report = ReadReport()
    found = {str(d.fields["url"]) for d in read_pages(io.BytesIO(data), "x", report)}
    offsets = [offset for offset, _ in report.bad]
    return {
        "records": len(good) + len(bad),
        "good": len(good),
        "good_read": len(good & found),
        "read_beside": sorted(found - good),
        "bad": len(bad),
        "bad_counted_at_their_offset": len(set(bad) & set(offsets)),
        "missed": [name for name, offset in zip(what, bad, strict=True) if offset not in offsets],
        "counted_beside": [item for item in report.bad if item[0] not in bad],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    files = sorted(options.text.glob("web-*/*.jsonl.gz")) or sorted(options.text.glob("*.jsonl*"))
    out = options.out or Path(tempfile.mkdtemp())
    result: dict[str, Any] = {}
    sample = [d for file in files for d in list(read_documents(file))[:250]]
    for name, kind in (("warc", "response"), ("wet", "conversion")):
        result[name] = damaged(sample, kind)
    shutil.rmtree(out, ignore_errors=True)
    result["duplicates"] = duplicates(files, out, options.workers)
    print(json.dumps(result, indent=2))
    shutil.rmtree(out)


if __name__ == "__main__":
    main()
