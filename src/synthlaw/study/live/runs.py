"""What a running study has come to, read from its folder without touching it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthlaw.common.files import read_json
from synthlaw.report.artifacts import Run as Row
from synthlaw.report.artifacts import Study as Shown
from synthlaw.report.reading import read_study
from synthlaw.study.grid import runs_of, synthetic_part
from synthlaw.study.load import load_study
from synthlaw.study.mixing import mean_shares
from synthlaw.study.run.execute import SUMMARY
from synthlaw.study.spec import Study
from synthlaw.study.store import MARKER
from synthlaw.training.metrics import METRICS_FILE, read_metrics
from synthlaw.training.presets import LLAMA3_VOCAB

POINTS = 60
"""Places of a curve of training loss that is sent to the page."""

MOST_CURVES = 12
"""Runs whose curves are shown at once."""


def live_study(folder: Path) -> Shown:
    """The study's files, with the runs that are finished so far where there is no runs.csv yet.

    Raises UsageError when `folder` holds no study.
    """
    shown = read_study(folder)
    if "runs.csv" not in shown.missing:
        return shown
    return replace(shown, runs=finished_runs(folder), missing=shown.missing - {"runs.csv"})


def finished_runs(folder: Path) -> list[Row]:
    """The rows that runs.csv will hold of the runs that are trained and scored by now."""
    study = load_study(folder / "study.yaml")
    trained, scored = (_artifacts(folder, stage) for stage in ("training", "evaluation"))
    rows = []
    for run in runs_of(study, LLAMA3_VOCAB):  # sizes without embeddings do not depend on it
        if run.name not in trained:
            continue
        result = read_json(trained[run.name] / "result.json")
        diverged = result["status"] == "diverged"
        if not (diverged or run.name in scored):
            continue
        losses = {} if diverged else _losses(scored[run.name])
        kind, ratio = _made_of(study, run.mixture)
        rows.append(
            Row(
                run=run.name,
                mixture=run.mixture,
                params=float(run.config.shape.params),
                tokens=float(result["tokens"]),
                loss=math.fsum(losses.values()) / len(losses) if losses else None,
                status="diverged" if diverged else "done",
                seed=str(run.seed),
                synthetic_type=kind,
                synthetic_ratio=ratio,
                domains=losses,
            )
        )
    return rows


def _made_of(study: Study, mixture: str) -> tuple[str, float]:
    kind, ratio = synthetic_part(mean_shares(study, mixture))
    return kind, round(ratio, 12)


def _artifacts(folder: Path, stage: str) -> dict[str, Path]:
    """The newest finished artifact of each run."""
    found = sorted(
        (folder / "artifacts" / stage).glob(f"*/{MARKER}"), key=lambda path: path.stat().st_mtime
    )
    return {marker.parent.name.rpartition("-")[0]: marker.parent for marker in found}


def _losses(evaluation: Path) -> dict[str, float]:
    scores: Mapping[str, Any] = read_json(evaluation / SUMMARY)
    return {name: float(score["loss"]) for name, score in scores.items()}


def curves_now(folder: Path) -> list[dict[str, Any]]:
    """Training losses of the runs that are being trained: name, tokens, loss, speed."""
    found = []
    logs = (folder / "work" / "training").glob(f"*/{METRICS_FILE}")
    newest = sorted(logs, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[:MOST_CURVES]:
        try:
            # Another trainer's log may hold what JSON does not.
            rows = [row for row in read_metrics(path) if math.isfinite(row["loss"])]
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
        ):  # being moved or written this very moment
            continue
        if not rows:
            continue
        step = max(len(rows) // POINTS, 1)
        kept = [*rows[::step], rows[-1]]
        found.append(
            {
                "run": path.parent.name.rpartition("-")[0],
                "tokens": [row["tokens"] for row in kept],
                "loss": [row["loss"] for row in kept],
                "tokens_per_second": rows[-1].get("tokens_per_second"),
            }
        )
    return sorted(found, key=lambda curve: str(curve["run"]))
