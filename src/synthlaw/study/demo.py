"""The demo: its study file, whole or quick, and what it will take on this machine."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

from synthlaw.common.errors import SynthlawError
from synthlaw.common.numbers import format_count, format_seconds
from synthlaw.common.progress import say
from synthlaw.study.forecast import Forecast, Speeds, forecast, measure_speeds
from synthlaw.study.load import parse_study

TEMPLATES = resources.files("synthlaw.study") / "templates"

MINUTES = 10
"""What the demo takes at most on two quiet cores of a laptop."""


def demo_text(quick: bool = False) -> str:
    """The study file as text; the quick one is the demo with some of its keys replaced."""
    text = (TEMPLATES / "demo.yaml").read_text(encoding="utf-8")
    if not quick:
        return text
    value: dict[str, Any] = yaml.safe_load(text)
    changes = yaml.safe_load((TEMPLATES / "demo-quick.yaml").read_text(encoding="utf-8"))
    value["mixtures"] = changes.pop("mixtures")
    used = {source for shares in value["mixtures"].values() for source in shares}
    recipes = value["generate"]["recipes"]
    value["generate"]["recipes"] = {name: recipes[name] for name in recipes if name in used}
    for part, keys in changes.items():
        value[part] |= keys
    return yaml.safe_dump(value, sort_keys=False)


def time_lines(quick: bool = False) -> list[str]:
    """What the demo will take, from speeds measured now; less is offered where it is long."""
    say("measuring this machine: a second each of generation, training and scoring …")
    text = demo_text(quick)
    try:
        speeds = measure_speeds(text)
    except SynthlawError as error:
        # Whatever is wrong will be told where the work itself meets it.
        return [f"{error}; how long this will take is not known"]
    whole = forecast(parse_study(text, "the demo"), speeds)
    lines = [_line(whole, speeds)]
    if quick or whole.total <= MINUTES * 60:
        return lines
    less = forecast(parse_study(demo_text(True), "the quick demo"), speeds).total
    return [
        *lines,
        f"That is more than the {MINUTES} minutes it is made for: this machine is slow or busy. "
        f"`synthlaw demo --quick`, with fewer runs and less text, would take about "
        f"{format_seconds(less)}; Ctrl-C stops this one.",
    ]


def _line(found: Forecast, speeds: Speeds) -> str:
    size = next(reversed(speeds.step))
    pace = next(iter(speeds.generators.values()))
    return (
        f"this will take about {format_seconds(found.total)} here: generation "
        f"{format_seconds(found.generation)} ({1 / pace.written:.0f} tokens/s), training "
        f"{format_seconds(found.training)} ({speeds.step[size] * 1e3:.0f} ms a step of {size}), "
        f"scoring {format_seconds(found.scoring)} "
        f"({format_count(1 / speeds.scored[size])} tokens/s of {size}), the rest about "
        f"{format_seconds(found.other)}"
    )
