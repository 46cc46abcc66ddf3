"""Tables of runs: written in every format, spoiled, read and fitted."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from fuzzing.mutation import mutated
from synthlaw.laws.api import fit_laws
from synthlaw.laws.table import RunsTable

NAMES = (
    "params", "tokens", "loss", "mixture", "seed", "synthetic_ratio", "synthetic_type", "status",
    "State", "N", "D", "val_loss", "ppl", "unique_tokens", "tokens (B)", "params_M", "run", "Name",
    "dataset", "lr", "", "loss/web", "config.params", "synthetic %", "métrique", "loss ",
)  # fmt: skip
CELLS = (
    "7B", "1.5e12", "2T", "1,000", "1_000", "47,557,632", "3,14", "3.14", "33%", "nan", "inf", "-1",
    "", "crashed", "finished", "NA", "1e999", "9" * 5000, '"', "'", "a\nb", "1.234,5", "0", "１２",
    "200 B tokens", "2.9 ± 0.1", "=1+1", "\x00", "\ufeff", "[1]", "{}", "true", "1e-400", "٣",
)  # fmt: skip
SPLICES = (
    b'"', b",", b";", b"\t", b"\n", b"\r", b"\x00", b"\xff", b"{", b"[", b"]", b"}", b"#",
    b"sep=;\n", b"PAR1", b"\x1f\x8b", b"ARROW1", b"1e9", b"NaN", b"Infinity", b"|", b"\xef\xbb\xbf",
    b"9" * 400, b"[" * 3000, b'{"a":' * 2000, b"\\u0000", b"-" * 200,
)  # fmt: skip
LAWS = ("data", "model", "joint", "ratio", "repetition")


class _Tables:
    """The reader of runs tables, and the laws fitted to what it read."""

    def make(self, rng: Random) -> bytes:
        """A table in some format, half of them spoiled."""
        data = _written(rng, _table(rng))
        for _ in range(rng.choice((0, 0, 0, 1, 2, 8))):
            data = mutated(data, rng, SPLICES)
        return data

    def read(self, given: bytes) -> str:
        """Read one table, and fit a law to it where it can be read."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "runs"
            path.write_bytes(given)
            table = RunsTable.read(path)
        laws = fit_laws(table, LAWS[len(given) % len(LAWS)], bootstrap=0)
        json.dumps(laws.to_json(), allow_nan=False)
        return "fitted"


def _table(random: Random) -> list[dict[str, object]]:
    """Rows that follow a law, with columns and cells that people write, and stranger ones."""
    names = ["params", "tokens", "loss", *random.sample(NAMES, random.choice((0, 0, 1, 2, 4)))]
    names = list(dict.fromkeys(names))
    if random.random() < 0.1:
        names = random.sample(NAMES, random.randrange(1, 8))
    rows: list[dict[str, object]] = []
    for _ in range(random.choice((0, 5, 12, 20, 30, 40))):
        params, tokens = random.choice((1e8, 1e9, 7e9)), 10.0 ** random.randrange(8, 13)
        loss = 1.7 + 20 * params**-0.3 + 30 * tokens**-0.3
        row: dict[str, object] = {name: random.choice(CELLS) for name in names}
        row |= {"params": params, "tokens": tokens, "loss": loss, "status": "done"}
        row |= {"synthetic_ratio": random.choice((0, 0.3, 0.5, 1)), "unique_tokens": tokens / 2}
        for name in random.sample(names, random.choice((0,) * 30 + (1,))):
            row[name] = random.choice(CELLS)
        rows.append({name: row.get(name, "") for name in names})
    return rows


def _written(random: Random, rows: list[dict[str, object]]) -> bytes:
    kind = random.choice(("text", "text", "text", "json", "jsonl", "columns", "parquet", "arrow"))
    if kind == "text":
        return _text(random, rows)
    if kind in ("parquet", "arrow"):
        table = pa.table({k: [str(r[k]) for r in rows] for k in (rows[0] if rows else {})})
        sink = io.BytesIO()
        if kind == "parquet":
            pq.write_table(table, sink, compression=random.choice(("none", "zstd", "snappy")))
        else:
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        return sink.getvalue()
    if kind == "jsonl":
        return "\n".join(json.dumps(row) for row in rows).encode()
    value: object = rows
    if kind == "columns":
        value = {k: [r[k] for r in rows] for k in (rows[0] if rows else {})}
    return json.dumps(value).encode("utf-8")


def _text(random: Random, rows: list[dict[str, object]]) -> bytes:
    sign = random.choice(",,,;\t| ")
    quote = random.random() < 0.3
    lines = [list(rows[0]) if rows else ["params", "tokens", "loss"]]
    lines += [[str(cell) for cell in row.values()] for row in rows]
    if random.random() < 0.2:
        lines = [[cell.replace(".", ",") for cell in line] for line in lines]
    text = random.choice(("\n", "\r\n", "\r")).join(
        sign.join(f'"{cell}"' if quote else cell for cell in line) for line in lines
    )
    data = text.encode(random.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16")))
    return gzip.compress(data) if random.random() < 0.1 else data


TARGETS = {"tables": _Tables()}
