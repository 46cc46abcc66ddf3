"""Speed of reading and deduplicating against bare FastWARC and datatrove, interleaved in one run.

    python benchmarks/corpus.py TEXT_FOLDER [--peer-python PYTHON] [--rounds N]

TEXT_FOLDER holds JSONL files of documents (searched in folders `web-*`). --peer-python: a Python
that has datatrove. Needs warcio. One process each; the best of N rounds is reported.

WARC: the documents as pages of a WARC file with a request record each, as in Common Crawl.
`iterate` reads every response's block: bare FastWARC against `read_records`, which checks besides.
`extract` goes on to text: bare is FastWARC, decoding and resiliparse's extraction; ours is
`read_pages`.

Deduplication: from JSONL files to the kept documents. Ours is the whole of `prepare` without
signals: besides, it finds the language of every document and writes columns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpus_acceptance import page, record
from synthlaw.corpus.documents import read_documents
from synthlaw.corpus.pipeline import Source, make_corpus
from synthlaw.corpus.readers.input_file import ReadReport
from synthlaw.corpus.readers.sources import find_input_files
from synthlaw.corpus.readers.warc import read_pages
from synthlaw.corpus.readers.warc_records import Record, read_records
from synthlaw.corpus.settings import Settings
from synthlaw.execute.inline import InlineExecutor


def bare(path: Path, *, extract: bool) -> int:
    """FastWARC by itself, as its manual shows it."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    count = 0
    with path.open("rb") as stream:
        for found in ArchiveIterator(stream, record_types=WarcRecordType.response):
            body = found.reader.read()
            if extract:
                encoding = found.http_charset or detect_encoding(body, from_html_meta=True)
                text = bytes_to_str(body, encoding or "utf-8")
                extract_plain_text(text, main_content=True, alt_texts=False)
            count += 1
    return count


def ours(path: Path, *, extract: bool) -> int:
    with path.open("rb") as stream:
        if extract:
            return sum(1 for _ in read_pages(stream, path.name, ReadReport()))
        found = read_records(stream, frozenset({"response"}))
        return sum(isinstance(item, Record) for item in found)


def best(rounds: int, work: dict[str, Callable[[], Any]]) -> dict[str, tuple[float, Any]]:
    """Best seconds and last answer of each, the rounds interleaved."""
    found: dict[str, tuple[float, Any]] = {}
    for _ in range(rounds):
        for name, function in work.items():
            started = time.perf_counter()
            answer = function()
            seconds = time.perf_counter() - started
            if isinstance(answer, dict):  # a peer that timed itself
                seconds, answer = answer["seconds"], answer["kept"]
            found[name] = (min(seconds, found.get(name, (seconds, None))[0]), answer)
    return found


def warc(files: list[Path], folder: Path, rounds: int) -> dict[str, Any]:
    path = folder / "x.warc.gz"
    size = 0
    with path.open("wb") as stream:
        for number, document in enumerate(d for file in files for d in read_documents(file)):
            body = page(document.text)
            size += len(body)
            url = f"http://example.org/{number}"
            stream.write(record("request", url, b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"))
            stream.write(record("response", url, body))
    result: dict[str, Any] = {"megabytes_of_html": round(size / 1e6, 1)}
    for name, extract in (("iterate", False), ("extract", True)):
        found = best(
            rounds,
            {
                "bare": lambda extract=extract: bare(path, extract=extract),
                "ours": lambda extract=extract: ours(path, extract=extract),
            },
        )
        result[name] = {
            "records": {key: answer for key, (_, answer) in found.items()},
            "bare_mb_per_second": round(size / 1e6 / found["bare"][0], 1),
            "ours_mb_per_second": round(size / 1e6 / found["ours"][0], 1),
            "ratio": round(found["bare"][0] / found["ours"][0], 3),
        }
    return result


def peer(python: str, kind: str, source: Path, work: Path) -> dict[str, Any]:
    shutil.rmtree(work, ignore_errors=True)
    script = Path(__file__).with_name("corpus_peer.py")
    command = [python, str(script), kind, str(source), str(work)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def prepared(source: Path, out: Path, dedup: str) -> int:
    shutil.rmtree(out, ignore_errors=True)
    settings = Settings(dedup=(dedup,), signals=False, similarity=0.75)
    files = Source(find_input_files(str(source), source))
    counts = make_corpus([files], settings, out, InlineExecutor())
    return int(counts["documents"])


def dedup(files: list[Path], folder: Path, rounds: int, python: str) -> dict[str, Any]:
    source = folder / "in"
    source.mkdir()
    size = 0
    for number, file in enumerate(files):
        with (source / f"{number}.jsonl").open("w", encoding="utf-8") as stream:
            for document in read_documents(file):
                size += len(document.text.encode())
                row = {"id": document.id, "text": document.text}
                stream.write(json.dumps(row) + "\n")
    result: dict[str, Any] = {"megabytes_of_text": round(size / 1e6, 1)}
    for name, kind, peers in (
        ("paragraphs", "paragraphs", ["paragraphs"]),
        ("minhash", "fuzzy", ["minhash", "minhash-split"]),
    ):
        work: dict[str, Callable[[], Any]] = {
            "ours": lambda kind=kind: prepared(source, folder / "out", kind)
        }
        for other in peers:
            work[other] = lambda other=other: peer(python, other, source, folder / "peer")
        found = best(rounds, work)
        result[name] = {
            "kept": {key: answer for key, (_, answer) in found.items()},
            "mb_per_second": {k: round(size / 1e6 / s, 2) for k, (s, _) in found.items()},
            "ratio": {other: round(found[other][0] / found["ours"][0], 2) for other in peers},
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--peer-python")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    files = sorted(options.text.glob("web-*/*.jsonl.gz")) or sorted(options.text.glob("*.jsonl*"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {"warc": warc(files, folder, options.rounds)}
        if options.peer_python:
            result["dedup"] = dedup(files, folder, options.rounds, options.peer_python)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
