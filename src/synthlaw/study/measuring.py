"""Measure this machine for a plan: each size's training, each generator's pace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.machine import processor_name
from synthlaw.common.progress import say
from synthlaw.study.forecast import measure_speeds, measured_rates
from synthlaw.study.load import read_study_file
from synthlaw.study.measured import note_speeds
from synthlaw.study.spec import Study

STUDY_FILE = "study.yaml"


def measure_here(file: Path, study: Study, folder: Path | None = None) -> dict[str, Any]:
    """Speeds of the study in `file` on this machine, as `plan_study` takes them.

    folder: a study folder that keeps them for later plans. Raises UsageError where there is none,
    and SynthlawError when a generator does not answer.
    """
    if folder is not None and not (folder / STUDY_FILE).exists():
        raise UsageError(
            f"--out: {folder} holds no {STUDY_FILE}; expected a folder that `run` has made, which "
            "keeps the speeds"
        )
    say(
        f"measuring {processor_name()}: a few steps of each size, a few answers of each generator; "
        "about a minute ..."
    )
    speeds = measure_speeds(read_study_file(file), file.resolve().parent)
    left = [size for size in study.sizes if size not in speeds.step]
    if left:
        say(
            f"  not measured: {', '.join(left)}, of which a window alone takes this machine minutes"
        )
    silent = [name for name, one in study.generate.used_generators.items() if one.run is not None]
    if silent:
        say(f"  not measured: {', '.join(silent)}, models that the study has yet to train")
    rates = measured_rates(study, speeds)
    if folder is not None:
        note_speeds(folder, **rates)
    return rates
