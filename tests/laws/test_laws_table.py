"""Reading tables of runs: what is used, what is left out, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.laws.table import RunsTable


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_columns_under_other_names(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", "N,D,val\n1e8,2e9,3.1\n2e8,2e9,3.0\n")
    table = RunsTable.read(path, {"params": "N", "tokens": "D", "loss": "val"})
    runs, left = table.usable(["params", "tokens"])
    assert runs.numbers["params"].tolist() == [1e8, 2e8]
    assert runs.loss.tolist() == [3.1, 3.0]
    assert left == []


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_reads_common_separators_and_a_byte_order_mark(tmp_path: Path, sign: str) -> None:
    text = "\ufefftokens,loss\n1e9,3.1\n".replace(",", sign)
    runs, _ = RunsTable.read(write(tmp_path / "runs.csv", text)).usable(["tokens"])
    assert runs.numbers["tokens"].tolist() == [1e9]


def test_quoted_cells_may_hold_line_breaks(tmp_path: Path) -> None:
    text = 'tokens,loss,note\n1e9,3.1,"two\nlines"\n2e9,x,\n'
    runs, left = RunsTable.read(write(tmp_path / "runs.csv", text)).usable(["tokens"])
    assert runs.texts["note"].tolist() == ["two\nlines"]
    assert left[0].row == 4


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("n/a", "loss: found 'n/a'"),
        ("", "loss: found an empty cell"),
        ("nan", "loss: found nan"),
        ("inf", "loss: found inf"),
        ("-2", "loss: found -2"),
        ("0", "loss: found 0"),
    ],
)
def test_unusable_losses_are_left_out_with_line_and_reason(
    tmp_path: Path, cell: str, reason: str
) -> None:
    path = write(tmp_path / "runs.csv", f"tokens,loss\n1e9,3.1\n2e9,{cell}\n4e9,2.9\n")
    runs, left = RunsTable.read(path).usable(["tokens"])
    assert len(runs) == 2
    assert (left[0].row, left[0].reason.startswith(reason)) == (3, True)


def test_negative_tokens_and_diverged_runs_stay_out() -> None:
    rows = [
        {"tokens": 1e9, "loss": 3.0, "status": "done"},
        {"tokens": -1e9, "loss": 3.0, "status": "done"},
        {"tokens": 2e9, "loss": 3.0, "status": "diverged"},
        {"tokens": 2e9, "loss": 3.0, "status": None},
    ]
    runs, left = RunsTable.from_rows(rows).usable(["tokens"])
    assert len(runs) == 2
    assert "tokens: found -1e+09" in left[0].reason
    assert "diverged" in left[1].reason


def test_a_share_in_percent_is_refused_with_the_right_range() -> None:
    rows = [{"tokens": 1e9, "loss": 3.0, "synthetic_ratio": 33}]
    with pytest.raises(UsageError, match="share from 0 to 1"):
        RunsTable.from_rows(rows).usable(["ratio"])


def test_a_missing_column_names_those_found_and_the_option(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", "N,loss\n1,2\n")
    with pytest.raises(UsageError, match=r"runs\.csv: found the columns N, loss.*--tokens-column"):
        RunsTable.read(path).usable(["tokens"])


@pytest.mark.parametrize("text", ["", "\n", "tokens,loss\n"])
def test_empty_files_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"runs\.csv"):
        RunsTable.read(write(tmp_path / "runs.csv", text))


def test_files_that_are_missing_or_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        RunsTable.read(tmp_path / "absent.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x01,")
    with pytest.raises(UsageError, match="not UTF-8"):
        RunsTable.read(tmp_path / "bytes.csv")
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(UsageError, match=r"bad\.parquet"):
        RunsTable.read(tmp_path / "bad.parquet")


def test_parquet_and_csv_agree(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"tokens": 1e9, "loss": 3.0}, {"tokens": 2e9, "loss": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "runs.parquet")
    runs, left = RunsTable.read(tmp_path / "runs.parquet").usable(["tokens"])
    assert runs.loss.tolist() == [3.0]
    assert "empty cell" in left[0].reason
