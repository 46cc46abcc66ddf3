"""`synthlaw stats` from outside: tables, figures, one JSON document, errors that name the cause."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from synthlaw.cli.main import cli
from synthlaw.common.errors import SynthlawError
from synthlaw.evaluation.token_losses import LossSource, keeping_losses
from synthlaw.statistics.build import write_tables
from synthlaw.tokens.dataset import TokenDataset


def stats(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["stats", "--out", str(out), *arguments])


@pytest.fixture(scope="module")
def sets(make_set) -> dict[str, TokenDataset]:
    """Zipf-like documents; the synthetic set lacks ids of 30 and more and overuses id 7."""
    random = np.random.default_rng(0)
    law = 1 / np.arange(1, 41)

    def draw(weights: np.ndarray, documents: int) -> list[np.ndarray]:
        return [random.choice(40, 400, p=weights / weights.sum()) for _ in range(documents)]

    narrow = np.where(np.arange(40) < 30, law, 0)
    narrow[7] *= 5
    return {
        "natural": make_set(draw(law, 20)),
        "hq": make_set(draw(narrow, 12)),
        "news": make_set(draw(law, 6)),
    }


def options(sets: dict[str, TokenDataset]) -> list[str]:
    named = {name: f"{name}={data.folder}" for name, data in sets.items()}
    return ["--train", named["natural"], "--train", named["hq"], "--test", named["news"]]


def test_tables_figures_and_one_json_document(tmp_path, sets):
    source = LossSource("news", "m", "numbers", 50, window=8, stride=4, bos=48, dtype="fp32")
    news = sets["news"]
    documents = [news.document(i)[1:-1] for i in range(6)]
    arguments = [*options(sets), "--mixture", "half=natural:0.5,hq:0.5", "--json"]
    for number, model in enumerate(("plain", "mixed")):
        folder = tmp_path / model
        with keeping_losses(folder, documents, source) as keep:
            for index, ids in enumerate(documents):
                keep(index, 0, (ids / 10 + number * (ids == 3)).astype(np.float32))
        arguments += ["--losses", f"{model}:{'half' if number else 'natural'}={folder}"]
    out = tmp_path / "out"
    result = stats(out, *arguments)
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["training"] == {"natural": 8000, "hq": 4800}
    assert value["training_tokens"] == 4320
    rows = {
        name: pq.read_table(out / "tables" / f"{name}.parquet").to_pylist()
        for name in value["tables"]
    }
    assert {name: len(rows[name]) for name in rows} == value["tables"]
    as_csv = pyarrow.csv.read_csv(out / "tables" / "divergence.csv")
    assert as_csv["kl"].to_pylist() == [row["kl"] for row in rows["divergence"]]
    assert {f"{name}.svg" for name in ("divergence", "loss_curve")} <= set(value["figures"])

    types = {r["set"]: r["types"] for r in rows["support"] if r["sample"] == "equal"}
    assert types["hq"] <= 30 < types["half"] <= types["natural"] + 0.5
    kl = {r["training"]: r["kl"] for r in rows["divergence"] if r["smoothing"] == "good-turing"}
    assert kl["natural"] < kl["half"] < kl["hq"]
    assert {r["token"] for r in rows["gaps"] if r["training"] == "hq"} >= {31, 32, 33}
    first = next(r for r in rows["overuse"] if r["set"] == "hq")
    assert first["token"] == 7
    explained = rows["loss_difference"][0]
    assert (explained["token"], explained["part"]) == (3, pytest.approx(explained["difference"]))


def test_counts_are_kept_and_the_same_sets_give_the_same_tables(tmp_path, sets, monkeypatch):
    assert stats(tmp_path, *options(sets), "--ngrams", "0").exit_code == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "tables").iterdir()}

    def refuse(*_: object, **__: object) -> None:
        raise SynthlawError("counted again")

    monkeypatch.setattr("synthlaw.statistics.unigrams.count_unigrams", refuse)
    assert stats(tmp_path, *options(sets), "--ngrams", "0").exit_code == 0
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "tables").iterdir()}


def test_a_test_set_is_not_needed(tmp_path, sets):
    result = stats(tmp_path, *options(sets)[:2])
    assert result.exit_code == 0
    assert "40 types" in result.output
    assert not (tmp_path / "tables" / "divergence.csv").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--test", "gone=nowhere"], "nowhere/dataset.json: not a finished token set"),
        (["--mixture", "m=natural"], "--mixture m: found 'natural'; expected SET:SHARE"),
        (["--mixture", "m=web:1"], "there is no set 'web'"),
        (["--mixture", "m=natural:0.5"], "shares add to 0.5"),
        (["--baseline", "web"], "there is no training set 'web'"),
        (["--losses", "m=x"], "expected MODEL:SET=FOLDER"),
        (["--losses", "m:web=x"], "there is no training set or mixture 'web'"),
        (["--losses", "m:hq=x"], "x/losses.json: not a finished set of token losses"),
        (["--tokens", "1M"], "the smallest set, 'hq', holds 4,800"),
        (["--train", "a/b=x"], "set 'a/b': expected a name of letters"),
    ],
)
def test_mistakes_are_told(tmp_path, sets, more, told):
    result = stats(tmp_path, *options(sets), *more)
    assert isinstance(result.exception, SynthlawError)
    assert result.exception.exit_status == 2
    assert told in str(result.exception)


def test_empty_documents_and_single_tokens(tmp_path, make_set):
    lonely = make_set([[], [5], []])
    result = stats(tmp_path / "one", "--train", f"one={lonely.folder}", "--json")
    assert result.exit_code == 0, result.output
    rows = pq.read_table(tmp_path / "one" / "tables" / "support.parquet").to_pylist()
    assert (rows[0]["tokens"], rows[0]["types"]) == (1, 1)
    empty = make_set([[], []])
    result = stats(tmp_path / "none", "--train", f"none={empty.folder}")
    assert "found no token of text in 2 documents" in str(result.exception)


def test_a_table_without_numbers_is_written_as_empty_cells(tmp_path):
    write_tables(tmp_path / "out", {"a": [{"x": 1.0, "y": float("nan")}], "b": []}, {})
    assert (tmp_path / "out" / "a.csv").read_text() == "x,y\n1.0,\n"
    assert not (tmp_path / "out" / "b.csv").exists()
