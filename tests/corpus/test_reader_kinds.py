"""The registry of readers: a new kind of input is one new file."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.corpus.readers import kinds
from synthlaw.corpus.readers.read import read_pieces
from synthlaw.corpus.readers.registry import endings, kind_of_file
from synthlaw.corpus.readers.sources import all_input_files

OF_FILES = '''
"""Files of letters: a document between two lines of dashes."""

from pathlib import Path

from synthlaw.corpus.readers.document import Document

ENDINGS = (".letters",)


def read(piece, report, extractor):
    for number, text in enumerate(Path(piece.path).read_text().split("---")):
        yield Document(f"{piece.label}/{number}", text.strip())
'''

OF_A_SCHEME = '''
"""Documents that are counted, not read: numbers:3."""

from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.input_file import InputFile


def find(place, base, digest):
    return [InputFile("numbers", place, place)]


def read(piece, report, extractor):
    for number in range(int(piece.path)):
        yield Document(str(number), f"number {number}")
'''


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "plug-ins"
    folder.mkdir()
    (folder / "letters.py").write_text(OF_FILES)
    (folder / "numbers.py").write_text(OF_A_SCHEME)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])


@pytest.mark.usefixtures("plug_ins")
def test_a_new_kind_of_input_is_one_new_file(tmp_path: Path) -> None:
    (tmp_path / "post").mkdir()
    (tmp_path / "post" / "a.letters").write_text("Dear\n---\nYours")
    (tmp_path / "post" / "b.txt").write_text("plain")
    found = read_pieces(all_input_files(["post", "numbers:2"], tmp_path))
    assert [(one.id, one.text) for one in found] == [
        ("a.letters/0", "Dear"),
        ("a.letters/1", "Yours"),
        ("b.txt", "plain"),
        ("0", "number 0"),
        ("1", "number 1"),
    ]


def test_the_longest_ending_says_the_kind(tmp_path: Path) -> None:
    assert kind_of_file("CRAWL.warc.wet.gz") == "warc"
    assert kind_of_file("a.jsonl.zst") == "documents"
    assert kind_of_file("a.letters") is None
    assert {".jsonl", ".parquet", ".txt", ".warc.gz"} <= set(endings())
    (tmp_path / "a.letters").write_text("x")
    with pytest.raises(UsageError, match=r"expected a file ending in .*\.jsonl"):
        list(all_input_files([str(tmp_path / "a.letters")], tmp_path))
