"""What is done, running and left in a study folder, read from outside and without touching it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json
from synthlaw.common.locks import holder_of
from synthlaw.common.numbers import format_seconds
from synthlaw.execute.registry import live_jobs
from synthlaw.generate.run.status import folder_status, is_generation
from synthlaw.study.data.orders import FOLDER
from synthlaw.study.grid import runs_of
from synthlaw.study.load import load_study
from synthlaw.study.run.ladder import FAILURES
from synthlaw.study.store import MARKER
from synthlaw.training.presets import LLAMA3_VOCAB


def study_status(folder: Path) -> dict[str, Any]:
    """The state of a study folder as one JSON document.

    Raises UsageError when `folder` holds no study.
    """
    path = folder / "study.yaml"
    if not path.exists():
        raise UsageError(f"{folder}: holds no study.yaml; expected a folder that `run` has made")
    study = load_study(path)
    runs = runs_of(study, LLAMA3_VOCAB)  # names do not depend on it
    trained, scored = _names(folder, "training"), _names(folder, "evaluation")
    results = _results(folder)
    holder = holder_of(folder)
    diverged = sorted(name for name, status in results.items() if status == "diverged")
    started = {p.name.rpartition("-")[0] for p in folder.glob("work/training/*")}
    left = [run.name for run in runs if run.name not in trained]
    return {
        "study": study.name,
        "running": holder is not None,
        "holder": holder,
        "runs": {
            "planned": len(runs),
            "done": sum(run.name in trained and run.name in scored for run in runs),
            "diverged": diverged,
            "failed": {name: why for name, why in _failures(folder).items() if name in left},
            "interrupted_or_running": sorted(started & set(left)),
            "left": len(left),
        },
        "queue": live_jobs(folder),
        "generated": _generated(folder, study.generate.recipes),
        "artifacts": {s.name: len(_names(folder, s.name)) for s in _stages(folder)},
        "page": str(folder / "report" / "index.html")
        if (folder / "report" / "index.html").exists()
        else None,
    }


def queue_lines(queue: dict[str, Any]) -> list[str]:
    """Jobs that a cluster has, counted by state, with the hosts of those that run."""
    unknown = [f"queue      not known: {queue['unknown']}"] if queue["unknown"] else []
    jobs = [job for job in queue["jobs"] if not job["driver"]]
    if not jobs:
        return unknown
    states = Counter(job["state"].lower() for job in jobs)
    hosts = sorted({job["hosts"] for job in jobs if job["hosts"]})
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    logs = str(Path(jobs[0]["log"]).parent.parent.parent)
    where = f" on {', '.join(hosts)}" if hosts else ""
    return [f"queue      {counted}{where}; logs below {logs}", *unknown]


def _driver(status: dict[str, Any]) -> str:
    """Who drives the study, if anyone does."""
    jobs = status["queue"]["jobs"]
    own = [f"Slurm job {job['job']}, {job['state'].lower()}" for job in jobs if job["driver"]]
    if status["running"]:
        return f"running now, {', '.join([status['holder'], *own])}"
    if own:
        return f"to be driven by {own[0]}"
    return "no driver, but jobs in the queue; run again to wait for them" if jobs else "not running"


def _generated(folder: Path, recipes: Iterable[str]) -> dict[str, Any]:
    """The state of every generated source that was begun, as `generate` has it."""
    places = {name: folder / FOLDER / name for name in recipes}
    return {name: folder_status(place) for name, place in places.items() if is_generation(place)}


def _generated_lines(sources: dict[str, Any]) -> list[str]:
    if not sources:
        return ["generated  nothing yet"]
    return [f"generated  {name}: {_generated_line(state)}" for name, state in sources.items()]


def _generated_line(state: dict[str, Any]) -> str:
    left, workers = state["seconds_left"], len(state["workers"])
    said = [
        f"{state['tokens']:,} of {state['tokens_needed']:,} tokens",
        f"{state['blocks_done']} of {state['blocks']} blocks",
        f"{state['units_done']:,} of {state['units']:,} documents asked about",
    ]
    if state["answers_kept"]:
        said.append(f"{state['answers_kept']:,} answers of unfinished blocks kept")
    if workers:
        said.append(f"{workers} worker{'s' if workers > 1 else ''}")
    if left:
        said.append(f"{format_seconds(left)} left")
    return ", ".join(said)


def _failures(folder: Path) -> dict[str, str]:
    """Runs that failed when they were last tried, and why."""
    path = folder / FAILURES
    found: dict[str, str] = read_json(path) if path.exists() else {}
    return found


def _stages(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "artifacts").glob("*") if path.is_dir())


def _names(folder: Path, stage: str) -> set[str]:
    """Names of the finished artifacts of a stage."""
    markers = (folder / "artifacts" / stage).glob(f"*/{MARKER}")
    return {marker.parent.name.rpartition("-")[0] for marker in markers}


def _results(folder: Path) -> dict[str, str]:
    found = {}
    for path in (folder / "artifacts" / "training").glob("*/result.json"):
        found[path.parent.name.rpartition("-")[0]] = str(read_json(path)["status"])
    return found


def status_lines(status: dict[str, Any]) -> list[str]:
    """The state for people."""
    runs = status["runs"]
    lines = [
        f"study      {status['study']}: {_driver(status)}",
        f"runs       {runs['done']} of {runs['planned']} done, {runs['left']} left"
        + (f", {len(runs['diverged'])} diverged" if runs["diverged"] else "")
        + (f", {len(runs['failed'])} failed" if runs["failed"] else "")
        + (
            f", {len(runs['interrupted_or_running'])} begun"
            if runs["interrupted_or_running"]
            else ""
        ),
        *(f"failed     {name}: {why}" for name, why in runs["failed"].items()),
        *queue_lines(status["queue"]),
        *_generated_lines(status["generated"]),
        f"page       {status['page'] or 'not drawn yet'}",
    ]
    return lines
