"""Runs of the command `generate`, in this process and in others, and what they left."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from fault_server import Exchange, FaultServer

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


@dataclass(frozen=True)
class Kill:
    """The instant at which a process was killed, and the answers that it left on disk."""

    instant: float
    texts: frozenset[str]


def killed(process: subprocess.Popen[bytes] | subprocess.Popen[str], out: Path) -> Kill:
    """SIGKILL, and what the process leaves: answers in journals and in finished blocks."""
    instant = time.monotonic()
    process.kill()
    process.wait()
    texts = set()
    for file in (one for kind in ("journal", "documents", "dropped") for one in _files(out, kind)):
        for line in file.read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError):  # a torn line is no answer
                texts.add(json.loads(line)["text"])
    return Kill(instant, frozenset(texts))


def _files(out: Path, kind: str) -> list[Path]:
    return sorted(out.glob(f"runs/*/{kind}/*.jsonl"))


def asked_again(exchanges: list[Exchange], kills: list[Kill]) -> dict[str, int]:
    """Request by request, by the server's log: what was asked again, and where its answer was.

    finished: the answer was on disk at a kill before it was asked again; must be 0. written: not on
    disk, though the server had written all of it before the kill. in_flight: neither.
    Raises KeyError when an answer on disk is none of the server's.
    """
    digests = {one.text: one.digest for one in exchanges if one.text}
    counts = {"finished": 0, "written": 0, "in_flight": 0}
    on_disk = [(kill.instant, {digests[text] for text in kill.texts}) for kill in kills]
    last: dict[str, Exchange] = {}
    for one in sorted(exchanges, key=lambda one: one.received):
        before, last[one.digest] = last.get(one.digest), one
        if before is None:
            continue
        passed = [(at, there) for at, there in on_disk if at < one.received]
        if any(one.digest in there for _, there in passed):
            counts["finished"] += 1
        elif before.written and any(
            before.written < at for at, _ in passed if at > before.received
        ):
            counts["written"] += 1
        else:
            counts["in_flight"] += 1
    return counts
