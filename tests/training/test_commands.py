"""train and tune from the command line: what their options make of a run."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from synthlaw.cli.main import main
from synthlaw.common.files import read_json
from synthlaw.common.locks import exclusive
from synthlaw.tokens.tokenizer import Tokenizer, train_bpe
from synthlaw.tokens.writing import write_texts
from synthlaw.training.metrics import read_metrics

RUN = ["--source", "a=a", "--share", "a=1", "--size", "0.1M", "--tokens", "1280"]
RUN += ["--context", "32", "--batch-tokens", "64", "--dtype", "fp32", "--threads", "1"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A command in a folder with the token set `a`: its exit status, JSON and standard error."""
    words = ["salt", "river", "under", "seven", "lamps", "carry", "north", "grain"]
    texts = [" ".join(random.Random(seed).choices(words, k=200)) for seed in range(20)]
    train_bpe(texts, 300, tmp_path / "tokenizer.json")
    write_texts(tmp_path / "a", texts, Tokenizer(tmp_path / "tokenizer.json"))
    shutil.copy(tmp_path / "tokenizer.json", tmp_path / "a")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["synthlaw", *arguments, "--json"])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as error:
            status = int(error.code or 0)
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else None, said.err

    return call


def test_wsd_stays_at_the_peak_and_falls(run: Any, tmp_path: Path) -> None:
    options = ["--schedule", "wsd", "--cooldown", "0.25", "--document-masking"]
    status, value, said = run("train", *RUN, *options, "--out", "wsd")
    assert (status, value["steps"]) == (0, 20), said
    rates = [row["lr"] for row in read_metrics(tmp_path / "wsd" / "metrics.jsonl")]
    assert rates[0] < rates[1] < 3e-4  # two steps of warm-up
    assert rates[2:15] == [3e-4] * 13
    assert rates[14:] == sorted(rates[14:], reverse=True) and rates[-1] < 1e-8
    assert read_json(tmp_path / "wsd" / "result.json")["identity"]["config"]["document_start"] >= 0


def test_the_default_is_the_paper_s_cosine(run: Any, tmp_path: Path) -> None:
    status, _, said = run("train", *RUN, "--out", "plain")
    assert status == 0, said
    config = read_json(tmp_path / "plain" / "result.json")["identity"]["config"]
    assert config["schedule"] == "cosine" and "document_start" not in config
    rates = [row["lr"] for row in read_metrics(tmp_path / "plain" / "metrics.jsonl")]
    assert rates[3] < max(rates) == 3e-4


def test_a_cosine_has_no_cooldown(run: Any, tmp_path: Path) -> None:
    status, _, said = run("train", *RUN, "--cooldown", "0.2", "--out", "no")
    assert status == 2
    assert "belongs to schedule 'wsd'" in said and not (tmp_path / "no").exists()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_two_that_train_in_one_folder_exclude_each_other(
    run: Any, tmp_path: Path, processes: str
) -> None:
    with exclusive(tmp_path / "shared"):
        status, _, said = run("train", *RUN, "--processes", processes, "--out", "shared")
    assert status == 2
    assert f"shared: in use by process {os.getpid()} on {socket.gethostname()}" in said
    assert not (tmp_path / "shared" / "metrics.jsonl").exists()


def test_tracking_without_its_package_names_the_extra(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    status, _, said = run("train", *RUN, "--track", "wandb", "--out", "no")
    assert status == 2 and "synthlaw[wandb]" in said


def test_tune_finds_the_rate_that_trains_best(run: Any, tmp_path: Path) -> None:
    again = ["--rate", "1e-6", "--rate", "1e-2", "--rate", "3.0", "--out", "rates"]
    status, value, said = run("tune", *RUN, *again)
    assert status == 0, said
    losses = {trial["rate"]: trial["loss"] for trial in value["trials"]}
    assert (value["best"], value["at_the_edge"]) == (1e-2, False)
    assert losses[1e-2] < losses[1e-6] - 0.5  # a rate so small learns nothing in twenty steps
    for rate, loss in losses.items():
        if loss is not None:
            assert loss == read_json(tmp_path / "rates" / f"rate-{rate!r}" / "result.json")["loss"]
    assert run("tune", *RUN, *again)[1] == value


def test_tune_says_when_a_better_rate_may_lie_beyond(run: Any) -> None:
    status, value, _ = run("tune", *RUN, "--rate", "1e-5", "--rate", "1e-3", "--out", "rates")
    assert (status, value["best"], value["at_the_edge"]) == (0, 1e-3, True)


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_export_replaces_nothing_but_an_export(run: Any, tmp_path: Path) -> None:
    status, _, said = run("train", *RUN, "--out", "first")
    assert status == 0, said
    before = everything(tmp_path / "first")
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    for name in (".git/HEAD", "model.safetensors", "config.json"):
        (clone / name).write_text("theirs")
    theirs = everything(clone)
    for out in ("clone", "first", "first/model"):
        status, _, said = run("export", "--model", "first", "--out", out)
        assert status == 2 and "holds other files" in said, (out, said)
    assert everything(clone) == theirs and everything(tmp_path / "first") == before
    for _ in range(2):
        status, _, said = run("export", "--model", "first", "--out", "hf")
        assert status == 0, said
        (tmp_path / "hf" / "notes.txt").write_text("mine")
    assert (tmp_path / "hf" / "notes.txt").read_text() == "mine"


def test_an_export_takes_the_tokenizer_of_what_was_trained_on(run: Any, tmp_path: Path) -> None:
    status, _, said = run("train", *RUN, "--out", "first")
    assert status == 0, said
    status, _, said = run("export", "--model", "first", "--out", "hf")
    assert status == 0 and "no tokenizer" not in said, said
    kept = (tmp_path / "first" / "tokenizer.json").read_bytes()
    assert (tmp_path / "hf" / "tokenizer.json").read_bytes() == kept
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    own = Tokenizer(tmp_path / "hf" / "tokenizer.json")
    assert (config["bos_token_id"], config["eos_token_id"]) == (own.bos, own.eos)
    # A run whose tokenizer nobody knows any more says so, and makes no ids up.
    (tmp_path / "first" / "tokenizer.json").unlink()
    status, _, said = run("export", "--model", "first", "--out", "bare")
    assert status == 0 and "no tokenizer is known" in said
    config = json.loads((tmp_path / "bare" / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (None, None)


@pytest.mark.parametrize("command", ["train", "tune"])
def test_a_command_does_not_fill_a_folder_of_others(run: Any, tmp_path: Path, command: str) -> None:
    (tmp_path / "thesis" / "checkpoints").mkdir(parents=True)
    (tmp_path / "thesis" / "checkpoints" / "mine").write_text("years of work")
    before = everything(tmp_path / "thesis")
    status, _, said = run(command, *RUN, "--out", "thesis")
    assert status == 2 and "holds other files (checkpoints)" in said
    assert everything(tmp_path / "thesis") == before


@pytest.mark.parametrize("rates", [["1e-3"], ["1e-3", "0.001"], ["1e-3", "-1"]])
def test_tune_wants_rates_to_choose_from(run: Any, rates: list[str]) -> None:
    options = [word for rate in rates for word in ("--rate", rate)]
    status, _, said = run("tune", *RUN, *options, "--out", "rates")
    assert status == 2 and "expected" in said
