"""Tables of runs as people write them: every format, every number, every doubt said."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthlaw.common.errors import UsageError
from synthlaw.laws.table import RunsTable

PARAMS = (1e8, 1e9, 7e9)
TOKENS = (2e9, 2e10, 1e12)
LOSSES = (3.9, 3.125, 2.5)
CSV = "params,tokens,loss\n100000000,2e9,3.9\n1e9,2e10,3.125\n7e9,1e12,2.5\n"
ROWS = [
    {"params": n, "tokens": d, "loss": y} for n, d, y in zip(PARAMS, TOKENS, LOSSES, strict=True)
]


def numbers(path: Path, **columns: str) -> tuple[list[float], list[float], list[float]]:
    runs, left = RunsTable.read(path, columns).usable(["params", "tokens"])
    assert left == []
    found = [runs.numbers[name].tolist() for name in ("params", "tokens", "loss")]
    return found[0], found[1], found[2]


def holds(path: Path) -> None:
    assert numbers(path) == tuple(pytest.approx(v) for v in (PARAMS, TOKENS, LOSSES))


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


def arrow(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
BY_ROW = {name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]}
NESTED = [
    {"config": {"params": {"value": r["params"]}, "tokens": r["tokens"]},
     "summary": {"eval/loss": r["loss"]}, "state": "finished"}
    for r in ROWS
]  # fmt: skip

CONTENTS: dict[str, bytes] = {
    "comma": CSV.encode(),
    "tab": CSV.replace(",", "\t").encode(),
    "semicolon": CSV.replace(",", ";").encode(),
    "bar": CSV.replace(",", "|").encode(),
    "blanks": CSV.replace(",", "   ").encode(),
    "byte order mark": b"\xef\xbb\xbf" + CSV.encode(),
    "UTF-16": CSV.encode("utf-16"),
    "CRLF": CSV.replace("\n", "\r\n").encode(),
    "old Mac": CSV.replace("\n", "\r").encode(),
    "stray spaces": CSV.replace(",", " , ").encode(),
    "quoted": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in CSV.split("\n") if line
    ).encode(),
    "quoted with spaces": b'"params", "tokens", "loss"\n"1e8", "2e9", "3.9"\n'
    b'"1e9" ,2e10,"3.125"\n7e9,1e12,2.5',
    "no last line end": CSV.strip().encode(),
    "empty lines": CSV.replace("\n", "\n\n").encode(),
    "trailing commas": CSV.replace("\n", ",,\n").encode(),
    "comment first": b"# our runs, 2026\n" + CSV.encode(),
    "numpy's header": b"# " + CSV.encode(),
    "Excel's sep": b"sep=;\n" + CSV.replace(",", ";").encode(),
    "decimal commas": b"params;tokens;loss\n1e8;2e9;3,9\n1e9;2e10;3,125\n7e9;1e12;2,5\n",
    "German thousands": b"params;tokens;loss\n100.000.000;2.000.000.000;3,9\n"
    b"1.000.000.000;20.000.000.000;3,125\n7.000.000.000;1.000.000.000.000;2,5\n",
    "suffixes": b"params,tokens,loss\n100M,2B,3.9\n1 billion,20 B tokens,3.125\n7b,1T,2.5\n",
    "quoted thousands": b'params,tokens,loss\n"100,000,000","2,000,000,000",3.9\n'
    b'"1,000,000,000",20_000_000_000,3.125\n7 000 000 000,1\'000\'000\'000\'000,2.5\n',
    "powers": (
        "params,tokens,loss\n1x10^8,2×10^9,3.9\n1*10**9,2e10,3.125\n7E9,1.0e+12,2.50\n".encode()
    ),
    "Markdown": b"| params | tokens | loss |\n|---|:-:|---|\n| 100M | 2B | 3.9 |\n"
    b"| 1B | 20B | 3.125 |\n| 7B | 1T | 2.5 |\n",
    "gzip": gzip.compress(CSV.encode(), mtime=0),
    "bzip2": bz2.compress(CSV.encode()),
    "xz": lzma.compress(CSV.encode()),
    "zstd": pa.compress(CSV.encode(), codec="zstd", asbytes=True),
    "JSON": json.dumps(ROWS, indent=1).encode(),
    "JSON in an object": json.dumps({"made": "today", "runs": ROWS}).encode(),
    "JSON columns": json.dumps(COLUMNS).encode(),
    "JSON by row": json.dumps(BY_ROW).encode(),
    "JSON split": json.dumps(
        {"columns": list(ROWS[0]), "index": [0, 1, 2], "data": [list(r.values()) for r in ROWS]}
    ).encode(),
    "JSONL": "\n".join(json.dumps(row) for row in ROWS).encode(),
    "nested": json.dumps(NESTED).encode(),
    "Parquet": parquet(ROWS),
    "Arrow": arrow(ROWS),
    "old encoding": ("note," + CSV.replace("\n", "\nModèle,", 2).replace("7e9", "é,7e9")).encode(
        "cp1252"
    ),
    "JSON texts": json.dumps([{k: str(v) for k, v in row.items()} for row in ROWS]).encode(),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ""])
@pytest.mark.parametrize("name", CONTENTS)
def test_a_table_is_read_whatever_its_format_and_its_name(
    tmp_path: Path, name: str, suffix: str
) -> None:
    path = tmp_path / f"runs{suffix}"
    path.write_bytes(CONTENTS[name])
    holds(path)


@pytest.mark.parametrize(
    "header",
    ["N,D,val_loss", "n_params,train_tokens,Loss", "Params,TOKENS,eval/loss",
     "config.n_params,config.tokens,summary.loss", "model size,training tokens,Final Loss",
     "params,tokens,c4_val_loss", "params (1),tokens (count),loss (nats)", "params,D,loss"],
)  # fmt: skip
def test_usual_names_are_taken_and_said(tmp_path: Path, header: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(CSV.replace("params,tokens,loss", header))
    if "(1)" in header:
        with pytest.raises(UsageError, match="expected a column 'params'"):
            holds(path)
        return
    holds(path)
    notes = " ".join(RunsTable.read(path).notes)
    for name, usual in zip(header.split(","), ("params", "tokens", "loss"), strict=True):
        assert (f"'{name}' is taken for {usual}" in notes) == (name != usual)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("params (B),tokens (B),loss", "0.1,2,3.9\n1,20,3.125\n7B,1000,2.5\n"),
        ("params_M,tokens_B,loss", "100,2,3.9\n1000,20,3.125\n7000,1000,2.5\n"),
        ("N [millions],D (in billions),loss", "100,2,3.9\n1000,20,3.125\n7e3,1T,2.5\n"),
    ],
)
def test_units_in_a_columns_name_count(tmp_path: Path, header: str, rows: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"{header}\n{rows}")
    holds(path)
    assert sum("read in units of 1e+0" in note for note in RunsTable.read(path).notes) == 2


def test_counts_in_a_column_of_billions_are_left_out_as_misread(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("params,tokens (B),loss\n1e9,20,3\n1e9,2e10,3\n")
    _, left = RunsTable.read(path).usable(["tokens"])
    assert "found 2e+19 tokens; expected at most 1e+19" in left[0].reason


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("N,N_no_embed,tokens,loss", "2 columns that could be params (N, N_no_embed)"),
        ("params,tokens,train_loss,val_loss", "could be loss (train_loss, val_loss)"),
        ("params,D,train tokens,loss", "could be tokens"),
        ("params,tokens,loss,loss", "column 'loss' 2 times"),
        ("params,tokens,loss/web,loss/code", "could be loss (loss/web, loss/code)"),
        ("params,tokens,c4_val_loss,ptb_loss", "could be loss (c4_val_loss, ptb_loss)"),
    ],
)
def test_two_columns_for_one_thing_are_refused(tmp_path: Path, header: str, words: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(header + "\n1e9,2e9,3,3\n")
    with pytest.raises(UsageError) as error:
        RunsTable.read(path).usable(["params", "tokens"])
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("row", "found", "hint"),
    [
        ("47,557,632,2e9,3.1", 5, "47557632"),
        ("1e8,2,000,000,3.1", 5, "2000000"),
        ("1e8,2e9,3.1,extra", 4, ""),
        ("1e8,2e9", 2, ""),
        ("1e8", 1, ""),
    ],
)
def test_rows_that_are_not_as_long_as_the_header_are_refused(
    tmp_path: Path, row: str, found: int, hint: str
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"params,tokens,loss\n1e8,2e9,3.9\n{row}\n1e9,2e9,3\n")
    with pytest.raises(UsageError) as error:
        RunsTable.read(path)
    assert f"line 3: found {found} cells" in str(error.value)
    assert "expected 3" in str(error.value) and hint in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('params,tokens,loss\n"1,000","2,000",3\n', "'1,000', which can be read with thousands"),
        ("params;tokens;loss\n1e9;2,5e9;3.25\n", "'3.25' (line 2, column loss) and '2,5e9'"),
        ('params,tokens,loss\n1e8,2e9,"3.9\n1e9,2e9,3\n', "never closed"),
        ('[{"params": 1e9}', "found no JSON"),
        ('{"params": 1e9}\n{"tokens": oops}\n', "line 2: found no JSON"),
        ('{"params": 1e9}\n[1]\n', "line 2: found '[1]'"),
        ("[1, 2]", "neither a list of objects nor columns"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"params": 1' + "0" * 5000 + "}]", "no JSON"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        RunsTable.read(path).usable(["params", "tokens"])
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"%PDF-1.7", "a PDF"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"\x1f\x8bnothing", "no readable gzip"),
        (gzip.compress(CSV.encode(), mtime=0)[:-12], "no readable gzip"),
        (b"BZhnothing", "no readable bzip2"),
        (b"\x28\xb5\x2f\xfdnothing", "no readable zstd"),
        (b"PAR1nothing", "no readable Parquet"),
        (b"ARROW1nothing", "no readable Arrow"),
        (gzip.compress(b"a,b\n" * 20_000_000, mtime=0), "more than 64 MiB"),
        (b"params,tokens,loss\n\x00\x00\x00", "NUL"),
    ],
)
def test_files_that_are_no_table_are_refused_for_what_they_are(
    tmp_path: Path, data: bytes, words: str
) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        RunsTable.read(path)


def test_parquet_columns_that_python_cannot_hold_cost_no_run(tmp_path: Path) -> None:
    made = pa.table(
        {
            "params": [1e9, 2e9], "tokens": pa.array([1, 2], pa.decimal128(20, 0)),
            "loss": [3.0, 2.9], "made": pa.array([2**62, 1], pa.timestamp("us")),
            "deep": [{"a": [1]}, {"a": None}],
        }
    )  # fmt: skip
    pq.write_table(made, tmp_path / "runs.parquet")
    table = RunsTable.read(tmp_path / "runs.parquet")
    runs, left = table.usable(["params", "tokens"])
    assert (len(runs), left, runs.numbers["tokens"].tolist()) == (2, [], [1.0, 2.0])
    assert any("'made'" in note for note in table.notes)


@pytest.mark.parametrize("column", ["State", "state", "status", "Status", "run_state", "Run State"])
@pytest.mark.parametrize(
    ("state", "used"),
    [("finished", True), ("Completed", True), ("DONE", True), (" finished ", True), ("", True),
     ("crashed", False), ("failed", False), ("Killed", False), ("running", False),
     ("pending", False), ("preempted", False), ("diverged", False), ("OUT_OF_MEMORY", False)],
)  # fmt: skip
def test_only_runs_that_ended_well_enter_a_fit(column: str, state: str, used: bool) -> None:
    rows = [
        {"tokens": 1e9, "loss": 3.0, column: "finished"},
        {"tokens": 2e9, "loss": 2.9, column: state},
    ]
    runs, left = RunsTable.from_rows(rows).usable(["tokens"])
    assert len(runs) == 1 + used
    assert [(row.row, state.strip().lower() in row.reason) for row in left] == [(2, True)] * (
        not used
    )


@pytest.mark.parametrize("cell", ["33%", "33 %", "0.33", ".33", 0.33])
def test_shares_in_percent_and_as_fractions(cell: Any) -> None:
    runs, _ = RunsTable.from_rows([{"loss": 3.0, "synthetic_ratio": cell}]).usable(["ratio"])
    assert runs.numbers["ratio"].tolist() == [pytest.approx(0.33)]


def test_a_column_of_percent() -> None:
    rows = [{"loss": 3.0, "synthetic share (%)": v} for v in (0, "33", 100.0)]
    runs, _ = RunsTable.from_rows(rows).usable(["ratio"])
    assert runs.numbers["ratio"].tolist() == pytest.approx([0.0, 0.33, 1.0])


@pytest.mark.parametrize("name", ["perplexity", "ppl", "val_ppl", "eval/perplexity", "Val PPL"])
def test_perplexities_become_losses(name: str) -> None:
    table = RunsTable.from_rows([{"tokens": 1e9, name: 20.0}, {"tokens": 2e9, name: 0.5}])
    runs, left = table.usable(["tokens"])
    assert runs.loss.tolist() == [pytest.approx(math.log(20.0))]
    assert "perplexity" in " ".join(table.notes) and "found 0.5" in left[0].reason


def test_a_perplexity_by_another_name_is_told() -> None:
    table = RunsTable.from_rows([{"tokens": 1e9, "loss": v} for v in (31.0, 28.0, 25.0)])
    runs, _ = table.usable(["tokens"])
    assert any("belongs in a column called perplexity" in note for note in table.remarks(runs))


def test_counts_that_seem_to_be_billions_are_told() -> None:
    table = RunsTable.from_rows([{"params": 0.1, "tokens": 2, "loss": 3.0}])
    runs, _ = table.usable(["params", "tokens"])
    assert sum("if these are millions" in note for note in table.remarks(runs)) == 2
