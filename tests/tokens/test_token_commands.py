"""tokenize, check and mix from the command line: phases, unique tokens, documents, damage."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from token_texts import prose

from synthlaw.cli.main import main


def write_sets(folder: Path) -> None:
    """Token sets a and b of one trained tokenizer."""
    for number, name in enumerate("ab"):
        with (folder / f"{name}.jsonl").open("w") as stream:
            for i in range(30):
                text = prose(100 * number + i, 90)
                stream.write(json.dumps({"id": str(i), "text": text}) + "\n")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    write_sets(tmp_path)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, Any, str]:
        """Exit status, the JSON document, and what was said."""
        monkeypatch.setattr(sys, "argv", ["synthlaw", *arguments, "--json"])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as error:
            status = int(error.code or 0)
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else None, said.err

    call("tokenize", "--input", "a.jsonl", "--vocab", "300", "--out", "a", "--workers", "1")
    call("tokenize", "--input", "b.jsonl", "--tokenizer", "a/tokenizer.json", "--out", "b")
    return call


MIX = ["mix", "--source", "a=a", "--source", "b=b", "--share", "a=1", "--context", "32"]


def test_shares_that_change_and_a_preview_by_the_sets_own_tokenizer(run: Any) -> None:
    status, value, _ = run(*MIX, "--tokens", "3200", "--phase", "0.75:a=0.5,b=0.5", "--preview=2")
    assert status == 0
    tokens = {use["source"]: use["tokens"] for use in value["sources"]}
    assert tokens == {"a": 2784, "b": 416} or tokens == {"a": 2816, "b": 384}
    assert len(value["preview"]) == 2 and "The" in value["preview"][0]


def test_unique_tokens_are_repeated_when_that_is_allowed(run: Any) -> None:
    arguments = [*MIX, "--tokens", "3200", "--unique", "a=640"]
    status, _, said = run(*arguments)
    assert status == 2 and "max_epochs: 5" in said
    _, value, _ = run(*arguments, "--max-epochs", "5")
    assert value["sources"][0]["epochs"] == 5


def test_documents_may_be_what_is_shared(run: Any) -> None:
    status, value, _ = run(*MIX, "--tokens", "3200", "--by", "documents")
    assert (status, value["by"], value["tokens"]) == (0, "documents", 3200)
    status, _, said = run(*MIX, "--tokens", "3200", "--by", "documents", "--unique", "a=640")
    assert status == 2 and "--by documents" in said


@pytest.mark.parametrize("phase", ["0.5", "1.5:a=1", "0.5:c=1", "x:a=1", "0.5:a=0.7"])
def test_a_phase_that_cannot_be_read_is_told(run: Any, phase: str) -> None:
    status, value, said = run(*MIX, "--tokens", "3200", "--phase", phase)
    assert status == 2 and value is None and said.startswith("error:")


def test_check_names_damage_and_the_wrong_tokenizer(run: Any) -> None:
    assert run("check", "a", "--tokenizer", "a/tokenizer.json")[0] == 0
    run("tokenize", "--input", "b.jsonl", "--vocab", "310", "--out", "c")
    status, value, said = run("check", "a", "--tokenizer", "c/tokenizer.json")
    assert status == 2 and "whose ids mean other text" in said and len(value["problems"]) == 1
    raw = bytearray(Path("a/00000-000.bin").read_bytes())
    raw[99] ^= 4
    Path("a/00000-000.bin").write_bytes(raw)
    Path("a/tokenizer.json").write_bytes(Path("c/tokenizer.json").read_bytes())
    status, value, _ = run("check", "a")
    assert status == 2 and len(value["problems"]) == 2
    assert "00000-000.bin: SHA-256 is" in value["problems"][0]
    assert "the tokenizer was changed after" in value["problems"][1]
    status, _, said = run("tokenize", "--input", "a.jsonl", "--vocab", "300", "--out", "a")
    assert status == 2 and "was changed after `tokenize --vocab` trained it" in said


def test_a_set_of_another_tokenizer_cannot_join_a_mixture(run: Any) -> None:
    run("tokenize", "--input", "b.jsonl", "--vocab", "310", "--out", "c")
    status, _, said = run(
        "mix",
        "--source",
        "a=a",
        "--source",
        "c=c",
        "--share",
        "a=0.5",
        "--share",
        "c=0.5",
        "--tokens",
        "320",
        "--context",
        "32",
    )
    assert status == 2 and "made with different tokenizers" in said
