"""Mixtures written for other trainers: ids, order and shares as our own trainer reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from synthlaw.cli.tokens import mix
from synthlaw.common.errors import UsageError
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.document_sampler import DocumentSampler
from synthlaw.tokens.export import FACTS_FILE, export_mixture, format_names
from synthlaw.tokens.formats import megatron
from synthlaw.tokens.mixture import Mixture
from synthlaw.tokens.sampler import MixtureSampler, Sampler
from synthlaw.tokens.tokenizer import Tokenizer

MakeSet = Callable[[str, int], TokenDataset]
SHARES = {"natural": 0.67, "hq": 0.33}


@pytest.fixture
def sampler(make_set: MakeSet) -> MixtureSampler:
    sets = {"natural": make_set("natural", 120), "hq": make_set("hq", 120)}
    return MixtureSampler(sets, SHARES, context=16, seed=3)


def ours(sampler: Sampler, windows: int) -> np.ndarray:
    return sampler.windows(np.arange(windows))


@pytest.mark.filterwarnings("ignore")
def test_megatrons_own_reader_reads_our_windows(sampler: MixtureSampler, tmp_path: Path) -> None:
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    facts = export_mixture(Mixture(sampler, 100, 512), "megatron", tmp_path / "out")
    found = indexed.IndexedDataset(str(tmp_path / "out" / "mixture"))
    assert len(found) == 100
    assert np.array_equal(np.stack([found[g] for g in range(100)]), ours(sampler, 100))
    assert found.index.dtype is np.uint16
    assert found.document_indices.tolist() == list(range(101))
    assert {use["source"]: use["tokens"] for use in facts["sources"]} == {
        "natural": 67 * 16,
        "hq": 33 * 16,
    }


@pytest.mark.parametrize(
    ("vocab", "dtype"), [(512, "uint16"), (65_499, "uint16"), (65_500, "int32"), (128_256, "int32")]
)
def test_a_large_vocabulary_takes_wider_ids(
    sampler: MixtureSampler, tmp_path: Path, vocab: int, dtype: str
) -> None:
    export_mixture(Mixture(sampler, 7, vocab), "megatron", tmp_path / "out")
    index = (tmp_path / "out" / "mixture.idx").read_bytes()
    assert index.startswith(megatron.MAGIC)
    assert index[17] == megatron.DTYPES[dtype]
    data = np.fromfile(tmp_path / "out" / "mixture.bin", np.dtype(dtype).newbyteorder("<"))
    assert np.array_equal(data.reshape(7, 17), ours(sampler, 7))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_rows_hold_window_source_ids_and_text(
    sampler: MixtureSampler, tokenizer: Tokenizer, tmp_path: Path, form: str
) -> None:
    export_mixture(Mixture(sampler, 50, 512, tokenizer), form, tmp_path / "out")
    if form == "parquet":
        rows = pq.read_table(tmp_path / "out" / "part-00000.parquet").to_pylist()
    else:
        lines = (tmp_path / "out" / "mixture.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    windows = ours(sampler, 50)
    assert [row["window"] for row in rows] == list(range(50))
    assert np.array_equal([row["input_ids"] for row in rows], windows)
    assert [row["text"] for row in rows] == [tokenizer.decode(row[:-1]) for row in windows]
    names = [sampler.names[i] for i in sampler.sources_of(np.arange(50))]
    assert [row["source"] for row in rows] == names
    assert names.count("natural") in (33, 34)


def test_parquet_is_cut_into_files(
    sampler: MixtureSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthlaw.tokens.formats.parquet.ROWS", 16)
    monkeypatch.setattr("synthlaw.tokens.export.WINDOW_TOKENS", 8 * 17)
    export_mixture(Mixture(sampler, 50, 512), "parquet", tmp_path / "out")
    files = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert [pq.read_metadata(file).num_rows for file in files] == [16, 16, 16, 2]
    found = np.concatenate([pq.read_table(f)["input_ids"].to_pylist() for f in files])
    assert np.array_equal(found, ours(sampler, 50))


def test_windows_of_documents_name_the_source_they_begin_in(
    make_set: MakeSet, tmp_path: Path
) -> None:
    sets = {"natural": make_set("natural", 120), "hq": make_set("hq", 120)}
    sampler = DocumentSampler(sets, SHARES, context=16, seed=3)
    export_mixture(Mixture(sampler, 30, 512), "jsonl", tmp_path / "out")
    lines = (tmp_path / "out" / "mixture.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        ids = set(row["input_ids"][:1])
        assert row["source"] in SHARES
        assert ids
    assert np.array_equal([json.loads(line)["input_ids"] for line in lines], ours(sampler, 30))


def test_the_same_mixture_is_kept_and_foreign_folders_are_left(
    sampler: MixtureSampler, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_mixture(Mixture(sampler, 20, 512), "megatron", out)
    before = (out / "mixture.bin").stat().st_mtime_ns
    export_mixture(Mixture(sampler, 20, 512), "megatron", out)
    assert (out / "mixture.bin").stat().st_mtime_ns == before
    export_mixture(Mixture(sampler, 21, 512), "megatron", out)
    assert json.loads((out / FACTS_FILE).read_text())["windows"] == 21
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match="mine"):
        export_mixture(Mixture(sampler, 20, 512), "megatron", tmp_path / "mine")
    with pytest.raises(UsageError, match="expected one of jsonl, megatron, parquet"):
        export_mixture(Mixture(sampler, 20, 512), "nemo", tmp_path / "x")
    with pytest.raises(UsageError, match="holds"):
        export_mixture(Mixture(sampler, 10**6, 512), "megatron", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_command_writes_what_it_says(make_set: MakeSet, tmp_path: Path) -> None:
    data = make_set("natural", 120)
    words = ["--source", f"natural={data.folder}", "--share", "natural=1", "--tokens", "640"]
    words += ["--context", "16", "--format", "megatron", "--out", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(mix, words, catch_exceptions=False)
    assert json.loads(done.stdout)["format"] == "megatron"
    sampler = MixtureSampler({"natural": data}, {"natural": 1.0}, context=16, seed=0)
    data_file = np.fromfile(tmp_path / "out" / "mixture.bin", "<u2").reshape(40, 17)
    assert np.array_equal(data_file, ours(sampler, 40))
    with pytest.raises(UsageError, match="go together"):
        CliRunner().invoke(mix, [*words[:-3], "--json"], catch_exceptions=False)


def test_formats_are_files() -> None:
    assert format_names() == ["jsonl", "megatron", "parquet"]
