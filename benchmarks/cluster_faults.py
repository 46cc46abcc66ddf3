"""A study on a real Slurm, disturbed in the ways that clusters disturb, against the same one here.

    python benchmarks/cluster_faults.py kills   TEXT [--kills 10]
    python benchmarks/cluster_faults.py limit   TEXT [--minutes 3]
    python benchmarks/cluster_faults.py node    TEXT
    python benchmarks/cluster_faults.py tasks   [--tasks 2400]
    python benchmarks/cluster_faults.py corpus  [--megabytes 100]
    python benchmarks/cluster_faults.py local   [--tasks 1000]

kills: a study of 24 runs whose driver is killed (SIGKILL) and started again at random moments.
limit: two runs of some minutes each under a time limit of one minute. node: the node of a run
under way is taken down for a while. Each compares `runs.csv` with the local executor's, byte for
byte, and looks in every run's metrics for a step that two writers would have left twice. tasks:
jobs that do nothing, in arrays of at most 1,000, with the CPU seconds of each. corpus: generation
by a stand-in server and tokens as jobs, against the same here. local: jobs that do nothing in
worker processes.

TEXT: a JSONL file or folder of documents. Needs Debian's slurm-wlm and munge, and the helpers of
the tests. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests" / "execute"))

from slurm_cluster import slurm, slurm_cluster

from study_memory import write_texts
from synthlaw.execute.base import ExecutorSettings
from synthlaw.execute.registry import make_executor

COMMAND = "from synthlaw.cli.main import main; import sys; sys.argv[0] = 'synthlaw'; main()"


def study(
    text: str, sizes: dict[str, Any], budgets: list[str], **slurm_options: Any
) -> dict[str, Any]:
    """A study of given text alone: mixtures of the first and second halves of it do not matter."""
    return {
        "name": "cluster-faults",
        "natural": {"path": text},
        "sources": {"given": {"path": text}},
        "corpus": {"held_out": 0.02},
        "tokenizer": {"vocab": 2048},
        "mixtures": {
            "CC": {"natural": 1.0},
            "half": {"natural": 0.5, "given": 0.5},
            "given": {"given": 1.0},
        },
        "ladder": {"sizes": sizes, "budgets": budgets, "max_epochs": 100},
        "training": {"context": 128, "batch_tokens": 2048, "learning_rate": 0.003},
        "execution": {"slurm": slurm_options},
    }


def command(folder: Path, out: str, executor: str, until: str = "evaluation") -> list[str]:
    """`synthlaw run`."""
    arguments = ["run", str(folder / "study.yaml"), "--out", str(folder / out)]
    return [sys.executable, "-c", COMMAND, *arguments, "--executor", executor, "--until", until]


def go(folder: Path, out: str, executor: str, until: str = "evaluation") -> float:
    """Run the study to its end; returns its seconds."""
    started = time.monotonic()
    with (folder / f"{out}.log").open("a") as log:
        subprocess.run(command(folder, out, executor, until), stderr=log, check=True)
    return round(time.monotonic() - started, 1)


def compared(folder: Path) -> dict[str, Any]:
    """The study in `there` against that in `here`; steps that were written twice."""
    runs = [(folder / out / "runs.csv").read_bytes() for out in ("here", "there")]
    twice, finished = 0, Counter[str]()
    for path in (folder / "there/artifacts/training").glob("*/metrics.jsonl"):
        steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
        twice += len(steps) - len(set(steps))
        finished[path.parent.name.rpartition("-")[0]] += 1
    return {
        "runs": len(finished),
        "runs.csv equal": runs[0] == runs[1],
        "steps written twice": twice,
        "runs with two artifacts": sum(count > 1 for count in finished.values()),
    }


@contextmanager
def prepared(value: dict[str, Any], nodes: int = 2) -> Iterator[Path]:
    """A folder with the study, done here, and a cluster that is up."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(json.dumps(value))
        print(json.dumps({"here": go(folder, "here", "local")}), flush=True)
        (folder / "slurm").mkdir()
        with slurm_cluster(folder / "slurm", nodes=nodes):
            yield folder


def kills(text: str, count: int) -> dict[str, Any]:
    """Kill the driver at random moments and start it again."""
    sizes = {f"s{n}": {"dim": 32 * n, "layers": 2, "heads": 2} for n in (1, 2)}
    value = study(text, sizes, ["400k", "600k", "800k", "1M"])
    draw = random.Random(os.environ.get("SEED", "1"))
    with prepared(value) as folder:
        moments, ended = [], False
        with (folder / "there.log").open("a") as log:
            for _ in range(count):
                driver = subprocess.Popen(command(folder, "there", "slurm"), stderr=log)
                moments.append(round(draw.uniform(4, 30), 1))
                try:
                    driver.wait(moments[-1])
                    ended = True
                    break
                except subprocess.TimeoutExpired:
                    driver.send_signal(signal.SIGKILL)
                    driver.wait()
        left = go(folder, "there", "slurm")
        adopted = (folder / "there.log").read_text().count("of an earlier start")
        return {
            "killed after": moments,
            "ended before the last kill": ended,
            "last start, seconds": left,
            "starts that found jobs in the queue": adopted,
            **compared(folder),
        }


def limit(text: str, minutes: float) -> dict[str, Any]:
    """Runs that are longer than their time limit."""
    tokens = int(minutes * 1.5e6)
    value = study(text, {"a": {"dim": 128, "layers": 4, "heads": 2}}, [str(tokens)], time="1")
    del value["mixtures"]["half"]
    with prepared(value) as folder:
        took = go(folder, "there", "slurm")
        states = (folder / "there.log").read_text()
        return {
            "seconds": took,
            "run seconds here": _seconds(folder / "here"),
            "arrays submitted": states.count(" tasks in ") + states.count(" tasks of a in "),
            **compared(folder),
        }


def node(text: str) -> dict[str, Any]:
    """Take a node down under its run, and give it back a minute later."""
    sizes = {"a": {"dim": 64, "layers": 2, "heads": 2}}
    value = study(text, sizes, ["1M", "2M"])
    with prepared(value) as folder:
        with (folder / "there.log").open("a") as log:
            driver = subprocess.Popen(command(folder, "there", "slurm"), stderr=log)
            while not list((folder / "there").glob("work/training/*/metrics.jsonl")):
                time.sleep(0.2)
            [gone, *_] = slurm("squeue", "-h", "-t", "R", "-o", "%N").split()
            lost = slurm("squeue", "-h", "-r", "-w", gone, "-o", "%F_%K").split()
            slurm("scontrol", "update", f"nodename={gone}", "state=down", "reason=test")
            time.sleep(60)
            slurm("scontrol", "update", f"nodename={gone}", "state=resume")
            status = driver.wait()
        return {"node": gone, "its jobs": lost, "exit status": status, **compared(folder)}


def _seconds(out: Path) -> list[float]:
    found = out.glob("artifacts/training/*/result.json")
    return [round(json.loads(path.read_text())["seconds"], 1) for path in found]


def nothing(payload: Any, report: Any) -> Any:
    """A job that does nothing."""
    return payload


def tasks(count: int, executor: str) -> dict[str, Any]:
    """CPU seconds that a job costs beside its work."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)

        def mapped(seconds: Any) -> dict[str, float]:
            before, started = _cpu(), time.monotonic()
            settings = ExecutorSettings(folder=folder / executor, workers=2)
            with make_executor(executor, settings) as there:
                jobs = there.map("cluster_faults:nothing", range(count), seconds=seconds)
                assert sorted(jobs) == [(n, n) for n in range(count)]
            return {
                "wall": round(time.monotonic() - started, 2),
                "own CPU a task": round((_cpu() - before) / count, 4),
            }

        sys.path.insert(0, str(Path(__file__).parent))
        if executor == "local":
            return mapped(None)
        (folder / "c").mkdir()
        with slurm_cluster(folder / "c", extra="MaxArraySize=1001"):
            found = mapped(lambda payload: 1.0)
        # What jobs leave behind is no child of ours: they had at most both nodes' cores all along.
        return {**found, "CPU a task of jobs, at most": round(2 * found["wall"] / count, 4)}


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def corpus(megabytes: int) -> dict[str, Any]:
    """Corpus, generation and tokens as jobs, against the same here."""
    from study_memory import study as memory_study

    count = int(megabytes * 1e6 / 2600)
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stand_in_server.py")), "--delay", "0.05"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    value = memory_study(count, port, signals=False)
    value["generate"]["workers"] = 2
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        write_texts(folder / "natural", count, 1)
        write_texts(folder / "given", count // 8, 2)
        size = sum(path.stat().st_size for path in (folder / "natural").iterdir())
        (folder / "study.yaml").write_text(json.dumps(value))
        here = go(folder, "here", "local", "tokens")
        (folder / "slurm").mkdir()
        with slurm_cluster(folder / "slurm"):
            there = go(folder, "there", "slurm", "tokens")
        server.terminate()
        same = [
            [path.read_bytes() for path in sorted((folder / out).glob(pattern))]
            for pattern in ("artifacts/tokens/*/**/*.bin", "generated/*/runs/*/documents/*")
            for out in ("here", "there")
        ]
        arrays = (folder / "there.log").read_text().count(" tasks in ")
        return {
            "natural text, MB": round(size / 1e6, 1),
            "seconds here": here,
            "seconds there": there,
            "arrays submitted": arrays,
            "token files": len(same[0]),
            "token files equal": same[0] == same[1],
            "generated parts": len(same[2]),
            "generated parts equal": same[2] == same[3],
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kills", "limit", "node", "tasks", "corpus", "local"])
    parser.add_argument("text", nargs="?")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--megabytes", type=int, default=100)
    asked = parser.parse_args()
    if asked.what in ("kills", "limit", "node") and not asked.text:
        parser.error(f"{asked.what}: needs TEXT")
    text = str(Path(asked.text).resolve()) if asked.text else ""
    result = {
        "kills": lambda: kills(text, asked.kills),
        "limit": lambda: limit(text, asked.minutes),
        "node": lambda: node(text),
        "tasks": lambda: tasks(asked.tasks or 2400, "slurm"),
        "local": lambda: tasks(asked.tasks or 1000, "local"),
        "corpus": lambda: corpus(asked.megabytes),
    }[asked.what]()
    print(json.dumps({asked.what: result}, indent=1))
