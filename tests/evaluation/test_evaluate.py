"""`synthlaw evaluate` from files to figures, its conventions, edges and resumption."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers
import torch
from click.testing import CliRunner
from tiny_texts import LINES

from synthlaw.cli.main import cli
from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document
from synthlaw.evaluation.conventions import Protocol, protocol_of
from synthlaw.evaluation.evaluate import Evaluator, prefix, prepare_domain
from synthlaw.evaluation.loading import load_any
from synthlaw.evaluation.scores import read_scores
from synthlaw.evaluation.token_losses import TokenLosses
from synthlaw.tokens.tokenizer import BOS, EOS, Tokenizer


def write(path: Path, texts: list[str]) -> Path:
    rows = [{"id": f"d{number}", "text": text} for number, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write(tmp_path / "texts.jsonl", [line * (1 + n % 3) for n, line in enumerate(LINES * 4)])


def evaluate(*arguments: object) -> Any:
    """The command's JSON; errors of synthlaw are raised."""
    words = ["evaluate", "--dtype", "fp32", *map(str, arguments), "--json"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)
    return json.loads(result.stdout)


def test_figures_are_those_of_transformers(exported: Path, texts: Path, tmp_path: Path) -> None:
    """One document after another in windows of 16 end to end, by the oracle's own loss."""
    from transformers import AutoModelForCausalLM

    oracle = AutoModelForCausalLM.from_pretrained(exported)
    tokenizer = Tokenizer(exported / "tokenizer.json")
    nll, tokens = 0.0, 0
    rows = [json.loads(line)["text"] for line in texts.read_text().splitlines()]
    for ids in tokenizer.encode(rows):
        sequence = [tokenizer.bos, *ids.tolist()]
        for start in range(0, len(ids), 16):
            end = min(start + 16, len(ids))
            begin = max(0, end - 16)
            window = torch.tensor([sequence[begin : end + 1]])
            with torch.no_grad():
                losses = -torch.log_softmax(oracle(window).logits[0, :-1], -1)
            picked = losses.gather(1, window[0, 1:, None])[start - begin :, 0]
            nll += float(picked.sum())
            tokens += len(picked)
    found = evaluate(
        "--model", exported, "--domain", f"news={texts}", "--window", 16, "--stride", 16,
        "--out", tmp_path / "out",
    )  # fmt: skip
    figures = {row["metric"]: row for row in found["figures"]}
    assert figures["loss"]["tokens"] == tokens
    assert figures["loss"]["value"] == pytest.approx(nll / tokens, rel=1e-5)
    assert figures["loss"]["low"] < nll / tokens < figures["loss"]["high"]
    size, words = sum(len(t.encode()) for t in rows), sum(len(t.split()) for t in rows)
    assert figures["bits_per_byte"]["value"] == pytest.approx(nll / size / math.log(2), rel=1e-5)
    assert figures["word_perplexity"]["value"] == pytest.approx(math.exp(nll / words), rel=1e-5)


def test_everything_is_on_disk(exported: Path, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = evaluate(
        "--model", exported, "--domain", f"news={texts}", "--input", texts, "--keep-losses",
        "--out", out,
    )  # fmt: skip
    assert found["protocol"]["window"] == 32  # the exported context
    saved = json.loads((out / "scores.json").read_text())
    assert found.pop("tasks") == []
    assert saved == found
    assert pq.read_table(out / "figures.parquet").to_pylist() == found["figures"]
    kinds = {(row["kind"], row["domain"]) for row in found["figures"]}
    assert kinds == {
        ("domain", "news"), ("domain", "input"), ("pooled", "pooled"), ("mean", "mean of domains"),
    }  # fmt: skip
    scores = read_scores(out / "scores.parquet")["news"].documents
    kept = TokenLosses(out / "domains" / "news" / "token-losses")
    kept.verify()
    sums = [float(kept.document(i)[1].sum(dtype=np.float64)) for i in range(len(kept))]
    np.testing.assert_allclose(sums, scores.nll, rtol=1e-6)
    assert (out / "losses.svg").read_text().startswith("<?xml")
    ids = pq.read_table(out / "domains" / "news" / "documents.parquet")["id"].to_pylist()
    assert ids[:2] == ["d0", "d1"]


def test_what_is_scored_is_not_scored_again_unless_it_changed(
    exported: Path, texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = ["--model", exported, "--domain", f"news={texts}", "--out", out]
    place = out / "domains" / "news" / "domain.json"
    evaluate(*call)
    first = place.stat().st_ino
    evaluate(*call)
    assert place.stat().st_ino == first
    evaluate(*call, "--stride", 8)
    second = place.stat().st_ino
    assert second != first
    evaluate(*call, "--stride", 8, "--keep-losses")
    third = place.stat().st_ino
    assert third != second
    losses = out / "domains" / "news" / "token-losses" / "losses.npy"
    os.truncate(losses, losses.stat().st_size - 4)
    evaluate(*call, "--stride", 8, "--keep-losses")
    assert place.stat().st_ino != third


def test_a_killed_evaluation_goes_on_with_its_domain(exported: Path, tmp_path: Path) -> None:
    small = write(tmp_path / "small.jsonl", LINES)
    large = write(tmp_path / "large.jsonl", [LINES[0] * 400] * 40)
    out = tmp_path / "out"
    code = "from synthlaw.cli.main import main; main()"
    words = [
        sys.executable, "-c", code, "evaluate", "--model", str(exported), "--out", str(out),
        "--domain", f"small={small}", "--domain", f"large={large}", "--json",
    ]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (out / "domains" / "small" / "domain.json").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (out / "domains" / "large").exists()
    assert not (out / "scores.json").exists()
    write(large, LINES)  # what is left is smaller now, to be quick
    first = (out / "domains" / "small" / "domain.json").stat().st_ino
    found = evaluate("--model", exported, "--out", out, "--dtype", "auto",
                     "--domain", f"small={small}", "--domain", f"large={large}")  # fmt: skip
    assert (out / "domains" / "small" / "domain.json").stat().st_ino == first
    assert {row["domain"] for row in found["figures"]} >= {"small", "large"}


def test_a_prefix_is_said_and_counted_by_its_own_text(
    exported: Path, texts: Path, tmp_path: Path
) -> None:
    found = evaluate(
        "--model", exported, "--domain", f"news={texts}", "--max-tokens", 20,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert found["documents"]["news"]["cut"] == 12
    scores = read_scores(tmp_path / "out" / "scores.parquet")["news"].documents
    assert scores.tokens.tolist() == [20] * 12
    tokenizer = Tokenizer(exported / "tokenizer.json")
    texts_cut = [tokenizer.decode(ids[:20]) for ids in tokenizer.encode(LINES)]
    assert scores.bytes[:3].tolist() == [len(text.encode()) for text in texts_cut]


def test_a_prefix_never_ends_inside_a_character(exported: Path) -> None:
    tokenizer = Tokenizer(exported / "tokenizer.json")
    (ids,) = tokenizer.encode(["of €"])  # three bytes, three tokens here
    whole, text = prefix(tokenizer, ids, len(ids))
    assert (len(whole), text) == (len(ids), "of €")
    for less in (1, 2):
        cut, text = prefix(tokenizer, ids, len(ids) - less)
        assert text == "of "
        assert tokenizer.decode(cut) == "of "


def test_a_sample_of_documents_is_chosen_by_seed(
    exported: Path, texts: Path, tmp_path: Path
) -> None:
    chosen = {}
    for seed, take in ((0, "a"), (0, "b"), (1, "a")):
        out = tmp_path / f"{seed}{take}"
        evaluate("--model", exported, "--domain", f"news={texts}", "--documents", 4,
                 "--seed", seed, "--out", out)  # fmt: skip
        table = pq.read_table(out / "domains" / "news" / "documents.parquet")
        chosen[seed, take] = table["id"].to_pylist()
    assert len(chosen[0, "a"]) == 4
    assert chosen[0, "a"] == chosen[0, "b"] != chosen[1, "a"]


def test_paloma_starts_from_eos_and_none_leaves_the_first_token_out(
    exported: Path, texts: Path, tmp_path: Path
) -> None:
    losses = {}
    for name, extra in {
        "harness": ["--convention", "lm-eval"],
        "paloma": ["--convention", "paloma"],
        "eos": ["--convention", "lm-eval", "--prefix", "eos"],
        "none": ["--prefix", "none"],
    }.items():
        found = evaluate("--model", exported, "--domain", f"news={texts}", *extra,
                         "--out", tmp_path / name)  # fmt: skip
        losses[name] = found["figures"][0]
    assert losses["paloma"]["value"] == losses["eos"]["value"] != losses["harness"]["value"]
    assert losses["none"]["tokens"] == losses["paloma"]["tokens"] - 12


def prepared(exported: Path, texts: list[str], protocol: Protocol | None = None) -> Any:
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    tokenizer = Tokenizer(exported / "tokenizer.json")
    return prepare_domain(
        "x", documents, tokenizer, protocol or protocol_of("synthlaw", context=32, dtype="fp32")
    )


def test_edges_have_defined_results(exported: Path, tmp_path: Path) -> None:
    """An empty document, one of one token, and one a thousand windows long."""
    protocol = protocol_of("synthlaw", context=32, window=4, stride=4, dtype="fp32")
    evaluator = Evaluator(load_any(exported), Tokenizer(exported / "tokenizer.json"), protocol)
    ready = prepared(exported, ["", "a", LINES[0] * 150], protocol)
    scores = evaluator.score(ready, tmp_path / "x").documents
    assert scores.tokens[:2].tolist() == [0, 1]
    assert scores.nll[0] == 0
    assert scores.tokens[2] > 4 * 1000
    assert math.isfinite(scores.nll[2])


def test_nothing_to_score_is_an_error(exported: Path, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'x': found no token to score in 2 documents"):
        prepared(exported, ["", ""])
    lonely = protocol_of("synthlaw", context=32, prefix="none")
    with pytest.raises(UsageError, match="at least one document of 2 tokens"):
        prepared(exported, ["a"], lonely)
    out = ["--out", tmp_path / "out"]
    with pytest.raises(UsageError, match="give documents"):
        evaluate("--model", exported, *out)
    with pytest.raises(UsageError, match="holds no model"):
        evaluate("--model", tmp_path, "--input", texts, *out)
    with pytest.raises(UsageError, match=r"found the name '\.\./x'"):
        evaluate("--model", exported, "--domain", f"../x={texts}", *out)
    with pytest.raises(UsageError, match="no such file"):
        evaluate("--model", exported, "--domain", "news=absent.jsonl", *out)


def test_another_tokenizer_is_refused(exported: Path, texts: Path, tmp_path: Path) -> None:
    from synthlaw.tokens.tokenizer import train_bpe

    train_bpe([line * 3 for line in LINES * 5], 320, tmp_path / "tokenizer.json")
    with pytest.raises(UsageError, match="expected the tokenizer that it was trained with"):
        evaluate("--model", exported, "--input", texts, "--out", tmp_path / "out",
                 "--tokenizer", tmp_path / "tokenizer.json")  # fmt: skip


def test_unknown_tokens_are_scored_and_said(exported: Path, tmp_path: Path) -> None:
    vocab = {BOS: 0, EOS: 1, "<unk>": 2, "river": 3, "the": 4}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    inner.save(str(tmp_path / "tokenizer.json"))
    path = write(tmp_path / "t.jsonl", ["the river Main", "the Rhine"])
    found = evaluate("--model", exported, "--input", path, "--out", tmp_path / "out",
                     "--tokenizer", tmp_path / "tokenizer.json")  # fmt: skip
    assert found["documents"]["input"]["unknown"] == 2
    assert found["figures"][0]["tokens"] == 5
