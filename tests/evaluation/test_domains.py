"""Domains by name from files of one domain each, and from the Pile's mixed files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.evaluation import domains
from synthlaw.evaluation.domains import PILE_DOMAINS, hub_place, read_domain, read_pile


def write(path: Path, sets: list[str | None]) -> None:
    rows = [
        {"text": f"document {number}"} | ({"meta": {"pile_set_name": name}} if name else {})
        for number, name in enumerate(sets)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_there_are_the_fourteen_of_the_paper() -> None:
    assert len(PILE_DOMAINS) == 14


def test_a_mixed_file_is_split_by_its_sets(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", ["ArXiv", "Github", "Pile-CC", "ArXiv"])
    found, missing = read_pile("test.jsonl", tmp_path)
    assert {name: [d.text for d in docs] for name, docs in found.items()} == {
        "pile_cc": ["document 2"],
        "arxiv": ["document 0", "document 3"],
    }
    assert len(missing) == 12
    assert "freelaw" in missing
    assert [d.text for d in read_domain("arxiv", "test.jsonl", tmp_path)] == [
        "document 0",
        "document 3",
    ]


def test_files_named_after_domains_need_no_sets(tmp_path: Path) -> None:
    write(tmp_path / "arxiv.jsonl", [None, None])
    write(tmp_path / "readme.jsonl", [None])
    found, _ = read_pile(".", tmp_path)
    assert {name: len(docs) for name, docs in found.items()} == {"arxiv": 2}


def test_documents_without_a_set_are_the_domains(tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", [None, "ArXiv"])
    assert len(list(read_domain("freelaw", "mine.jsonl", tmp_path))) == 1
    assert len(list(read_domain("news", "mine.jsonl", tmp_path))) == 2


def test_a_missing_domain_says_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", ["ArXiv", "Github"])
    with pytest.raises(UsageError, match=r"'freelaw': no document .* found ArXiv, Github"):
        list(read_domain("freelaw", "test.jsonl", tmp_path))
    write(tmp_path / "other.jsonl", ["Github", None])
    with pytest.raises(UsageError, match="none of the Pile's domains is there"):
        read_pile("other.jsonl", tmp_path)


def test_a_domain_from_the_hub(tmp_path: Path) -> None:
    """A local folder in the hub's layout stands in for it."""
    folder = tmp_path / "wikitext"
    folder.mkdir()
    (folder / "test.jsonl").write_text(json.dumps({"page": " = Title = \n text"}) + "\n")
    place = domains.WIKITEXT_HUB
    assert hub_place("wikitext103") == place
    query = "split=test&column=page"
    assert place.startswith("hub:") and place.endswith(query)
    (found,) = read_domain("wikitext103", f"hub:{folder}?{query}", tmp_path)
    assert found.text == " = Title = \n text"


def test_pile_domains_from_the_hub_go_by_their_sets(tmp_path: Path) -> None:
    folder = tmp_path / "pile"
    folder.mkdir()
    write(folder / "test.jsonl", ["ArXiv", "Github", "FreeLaw"])
    found, missing = read_pile(f"hub:{folder}?split=test", tmp_path)
    assert list(found) == ["freelaw", "arxiv"]
    assert "books3" in missing
    assert hub_place("arxiv") == hub_place("pile") == domains.PILE_HUB


def test_an_unknown_name_needs_a_place() -> None:
    with pytest.raises(UsageError, match="'news': found no place"):
        hub_place("news")


def test_a_folder_of_one_file_per_domain_is_the_place_of_each(tmp_path: Path) -> None:
    write(tmp_path / "arxiv.jsonl", [None, None])
    write(tmp_path / "freelaw.jsonl", [None])
    assert len(list(read_domain("arxiv", ".", tmp_path))) == 2
    assert len(list(read_domain("news", ".", tmp_path))) == 3
    with pytest.raises(UsageError, match=r"'books3': found files of other domains: arxiv, freelaw"):
        list(read_domain("books3", ".", tmp_path))
