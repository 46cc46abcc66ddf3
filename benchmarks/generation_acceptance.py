"""What generation promises, shown at scale through the command, each process a real one.

    python benchmarks/generation_acceptance.py overhead [--requests 20000] [--tokenize 1]
    python benchmarks/generation_acceptance.py memory   [--documents 1000000] [--seconds 900]
    python benchmarks/generation_acceptance.py faults   [--documents 2000]
    python benchmarks/generation_acceptance.py kills    [--documents 2000] [--kills 20]
    python benchmarks/generation_acceptance.py workers  [--documents 2000]

`overhead`: a server of 256 places and 200 ms. `memory`: the same server and a million documents in
the input, all of them surveyed; stopped after some minutes of serving, since memory shows long
before the end. `faults`: the tests' fault server, every kind of fault and one document that always
fails. `kills`: SIGKILL at random instants, each time another concurrency and block size; the
server's log of requests against the answers that each kill left on disk. `workers`: four processes
on one folder, two of them killed. Each prints JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stand_in_server import english

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "generate"))
from fault_server import fault_server
from generation_runs import asked_again, killed

COMMAND = "from synthlaw.cli.main import main; import sys; sys.argv[0] = 'synthlaw'; main()"
SOURCE_WORDS = 400
IDEAL_DELAY, IDEAL_SLOTS = 0.2, 256


def write_documents(path: Path, count: int, words: int) -> Path:
    """Documents of so many words; 500 different texts, each with its number."""
    texts = [english(1000 + n, words) for n in range(min(count, 500))]
    with path.open("w", encoding="utf-8") as stream:
        for n in range(count):
            text = f"Text number {n} . {texts[n % len(texts)]}"
            stream.write(json.dumps({"id": f"doc-{n}", "text": text}) + "\n")
    return path


def start(url: str, source: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """The command, running."""
    args = ["generate", "--recipe", "hq", "--input", str(source), "--out", str(out), "--json"]
    args += ["--engine", "openai", "--base-url", url, "--model", "test-model", *more]
    program = [sys.executable, "-c", COMMAND, *args]
    return subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], Any]:
    """Exit status, the JSON, and what the process used."""
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, json.loads(said) if said else {}, usage


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Documents of a folder of JSONL."""
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as stream:
            yield from map(json.loads, stream)


@contextlib.contextmanager
def stand_in(folder: Path, *more: str) -> Iterator[tuple[str, Path]]:
    """The lean server in a process of its own: its URL, and where its figures will be."""
    stats = folder / "stats.json"
    script = Path(__file__).with_name("stand_in_server.py")
    program = [sys.executable, str(script), "--stats", str(stats)]
    program += ["--delay", str(IDEAL_DELAY), "--slots", str(IDEAL_SLOTS), *more]
    server = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}", stats
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def overhead(folder: Path, requests: int, concurrency: int, tokenize: int) -> dict[str, Any]:
    """Requests per second, between the server's first request and its last answer.

    tokenize: 1 for a server that counts each document's tokens before it is asked, as vLLM does.
    """
    source = write_documents(folder / "in.jsonl", requests, SOURCE_WORDS)
    began = time.monotonic()
    with stand_in(folder, *["--tokenizes"] * tokenize) as (url, stats):
        process = start(url, source, folder / "out", "--concurrency", str(concurrency))
        status, answer, usage = finish(process)
    seen = json.loads(stats.read_text())
    rate, ideal = seen["answered"] / (seen["last"] - seen["first"]), IDEAL_SLOTS / IDEAL_DELAY
    return {
        "exit_status": status,
        "documents": answer["documents"],
        "questions_of_tokens": seen["tokenized"],
        "requests_per_second": round(rate, 1),
        "share_of_ideal": round(rate / ideal, 4),
        "seconds_with_start_survey_and_report": round(time.monotonic() - began, 1),
        "client_cpu_ms_per_request": round(1e3 * (usage.ru_utime + usage.ru_stime) / requests, 3),
        "server_cpu_ms_per_request": round(1e3 * seen["cpu_s"] / requests, 3),
        "client_peak_mb": round(usage.ru_maxrss / 1024),
    }


def memory(folder: Path, documents: int, requests: int, words: int, seconds: int) -> dict[str, Any]:
    """Resident memory at the start, after the survey, and every 10,000 answers.

    Stopped after so many requests or seconds of serving, whichever is first.
    """
    source = write_documents(folder / "in.jsonl", documents, words)
    curve: list[dict[str, int]] = []
    peak, surveyed = 0, 0.0
    with stand_in(folder) as (url, _):
        began = time.monotonic()
        process = start(url, source, folder / "out", "--concurrency", str(IDEAL_SLOTS))
        while process.poll() is None:
            time.sleep(0.5)
            now, answers = time.monotonic() - began, _requests(folder / "out")
            if not surveyed and any((folder / "out").glob("runs/*/run.json")):
                surveyed = now
            resident, most = _resident_mb(process.pid)
            peak = max(peak, most)
            stage = 0 if not surveyed else 1 + answers // 10_000
            if not curve or curve[-1]["stage"] != stage:
                curve.append({"stage": stage, "seconds": round(now), "answers": answers})
                curve[-1]["resident_mb"] = resident
                print(curve[-1], file=sys.stderr, flush=True)
            if answers >= requests or (surveyed and now - surveyed > seconds):
                break
        ended = {"seconds": round(now), "answers": answers, "resident_mb": resident}
        process.kill()
        process.wait()
    return {
        "documents": documents,
        "input_mb": round(source.stat().st_size / 1e6),
        "seconds_of_survey": round(surveyed),
        "curve": [{k: v for k, v in one.items() if k != "stage"} for one in curve] + [ended],
        "peak_mb": peak,
    }


def _resident_mb(pid: int) -> tuple[int, int]:
    """Resident memory of a process now, and its peak; zeros for one that is just ending."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        if "VmHWM" in values:
            resident, peak = (int(values[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))
            return resident, peak
    return 0, 0


def _requests(out: Path) -> int:
    """Answers so far, as the heartbeat tells."""
    for path in out.glob("runs/*/workers/*.json"):
        with contextlib.suppress(OSError, ValueError):
            return int(json.loads(path.read_text()).get("requests", 0))
    return 0


def faults(folder: Path, documents: int) -> dict[str, Any]:
    """Every other document once, the poisonous one listed, exit status 1."""
    source = write_documents(folder / "in.jsonl", documents, 40)
    with fault_server(fault_share=0.2, poison="number 77 .", hang_seconds=20) as server:
        process = start(server.url, source, folder / "out", "--concurrency", "128")
        began = time.monotonic()
        status, _, _ = finish(process)
        seconds, asked = time.monotonic() - began, len(server.received)
        most = max(server.answered.values())
    counted = Counter(row["source_id"] for row in rows(folder / "out" / "documents"))
    expected = {f"doc-{n}" for n in range(documents)} - {"doc-77"}
    return {
        "exit_status": status,
        "documents_once": set(counted) == expected and max(counted.values()) == 1,
        "failed": [(r["source_id"], r["reason"]) for r in rows(folder / "out" / "failed")],
        "requests_received": asked,
        "most_answers_to_one_request": most,
        "seconds": round(seconds, 1),
    }


def _outputs(out: Path) -> list[tuple[str, str, int]]:
    return sorted((r["source_id"], r["text"], r["seed"]) for r in rows(out / "documents"))


def kills(folder: Path, documents: int, kills: int) -> dict[str, Any]:
    """Killed so often: the output of an undisturbed run, and nothing finished asked again."""
    source, draw = write_documents(folder / "in.jsonl", documents, 40), random.Random(3)
    with fault_server() as calm:
        finish(start(calm.url, source, folder / "calm", "--concurrency", "32"))
    before_each, deaths = [], []
    in_flight = 0
    with fault_server(delay=0.2) as server:
        for turn in range(kills):
            concurrency = draw.choice([1, 4, 16, 64])
            in_flight += concurrency
            sizes = ["--concurrency", str(concurrency)]
            sizes += ["--shard-size", str(draw.choice([7, 50, 333]))]
            before = len(server.received)
            process = start(server.url, source, folder / "out", *sizes)
            while turn % 4 and len(server.received) == before:  # each fourth dies while it starts
                time.sleep(0.02)
            time.sleep(draw.uniform(0.0, 1.0))
            deaths.append(killed(process, folder / "out"))
            before_each.append(len(deaths[-1].texts))
        server.delay = 0.0
        status, answer, _ = finish(start(server.url, source, folder / "out"))
        again = asked_again(server.exchanges, deaths)
    return {
        "exit_status": status,
        "kills": kills,
        "answers_on_disk_at_each_kill": before_each,
        "equal_to_undisturbed": _outputs(folder / "out") == _outputs(folder / "calm"),
        "documents": answer["documents"],
        "requests_received": len(server.exchanges),
        "asked_again_by_where_the_answer_was": again,
        "most_that_can_have_been_in_flight_at_the_kills": in_flight,
    }


def workers(folder: Path, documents: int) -> dict[str, Any]:
    """Four at once; two are killed on the way."""
    source = write_documents(folder / "in.jsonl", documents, 40)
    with fault_server(delay=0.1) as server:
        sizes = ["--concurrency", "16", "--shard-size", "25"]
        running = [start(server.url, source, folder / "out", *sizes) for _ in range(4)]
        while len(server.answered) < documents // 5:
            time.sleep(0.05)
        for process in running[:2]:
            process.kill()
            process.wait()
        statuses = [finish(process)[0] for process in running[2:]]
        again = sum(server.answered.values()) - len(server.answered)
    counted = Counter(row["source_id"] for row in rows(folder / "out" / "documents"))
    return {
        "exit_statuses_of_the_living": statuses,
        "complete": set(counted) == {f"doc-{n}" for n in range(documents)},
        "duplicates": sum(counted.values()) - len(counted),
        "answered_again_because_in_flight_at_a_kill": again,
    }


def main() -> None:
    """Run one and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    flags = {
        overhead: {"requests": 20_000, "concurrency": IDEAL_SLOTS, "tokenize": 0},
        memory: {"documents": 1_000_000, "requests": 200_000, "words": 400, "seconds": 900},
        faults: {"documents": 2000},
        kills: {"documents": 2000, "kills": 20},
        workers: {"documents": 2000},
    }
    for function, options in flags.items():
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
        for name, default in options.items():
            command.add_argument(f"--{name}", type=int, default=default)
    chosen = vars(parser.parse_args())
    del chosen["command"]
    folder = Path(tempfile.mkdtemp(prefix="generation-"))
    try:
        print(json.dumps(chosen.pop("function")(folder, **chosen), indent=2))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
