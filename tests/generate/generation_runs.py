"""Runs of the command `generate`, in this process and in others, and what they left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from fault_server import FaultServer

from synthlaw.cli.generate import generate


def write_input(path: Path, count: int, prefix: str = "doc") -> Path:
    rows = (
        json.dumps({"id": f"{prefix}-{n}", "text": f"Text number {n} of {prefix} about rivers."})
        for n in range(count)
    )
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def arguments(server: FaultServer, source: Path, out: Path, *more: str) -> list[str]:
    base = ["--input", str(source), "--out", str(out), "--engine", "openai", "--json"]
    recipe = [] if "--recipe" in more else ["--recipe", "hq"]
    return [*recipe, *base, "--base-url", server.url, "--model", "test-model", *more]


def run(*args: str) -> dict[str, Any]:
    """The command in this process; raises what it raises."""
    result = CliRunner().invoke(generate, list(args), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def rows(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def start(args: list[str]) -> subprocess.Popen[bytes]:
    code = "from synthlaw.cli.main import main; import sys; sys.argv[0] = 'synthlaw'; main()"
    command = [sys.executable, "-c", code, "generate", *args]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def contents(out: Path) -> list[tuple[str, str, int]]:
    return sorted((r["source_id"], r["text"], r["seed"]) for r in rows(out / "documents"))
