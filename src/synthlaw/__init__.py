"""Measure, before you pay for it, what synthetic data will do to your pre-training run.

    import synthlaw as sl

    runs = sl.read_runs("runs.csv", params="N", tokens="D")
    laws = sl.fit(runs, "joint", by="mixture", holdout="tokens>100e9")
    laws["33HQ"].predict("7B", "2T")
    sl.recommend(laws, params="7B", tokens="2T")

    study = sl.Study.load("study.yaml")
    study.plan(), study.run(), study.answer()

Each name is loaded when it is used: none of these but `Study.run` loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthlaw.common.errors import SynthlawError, UsageError
    from synthlaw.interface import engines
    from synthlaw.interface.advice import Advice, recommend
    from synthlaw.interface.design import design
    from synthlaw.interface.generation import Generated, generate
    from synthlaw.interface.laws import Law, Laws, Prediction, fit, read_laws, reference_laws
    from synthlaw.interface.runs import read_runs
    from synthlaw.interface.sources import fit_sources
    from synthlaw.interface.study import Study

__version__ = "0.1.0"

_HOMES = {
    "Advice": "interface.advice",
    "Generated": "interface.generation",
    "Law": "interface.laws",
    "Laws": "interface.laws",
    "Prediction": "interface.laws",
    "Study": "interface.study",
    "SynthlawError": "common.errors",
    "UsageError": "common.errors",
    "design": "interface.design",
    "fit": "interface.laws",
    "fit_sources": "interface.sources",
    "read_laws": "interface.laws",
    "read_runs": "interface.runs",
    "recommend": "interface.advice",
    "reference_laws": "interface.laws",
}

_MODULES = {"engines": "interface.engines", "generate": "generate"}
"""`generate` is a room that can be called."""

__all__ = [
    "Advice",
    "Generated",
    "Law",
    "Laws",
    "Prediction",
    "Study",
    "SynthlawError",
    "UsageError",
    "__version__",
    "design",
    "engines",
    "fit",
    "fit_sources",
    "generate",
    "read_laws",
    "read_runs",
    "recommend",
    "reference_laws",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"synthlaw.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'synthlaw' has no attribute {name!r}")
    found = getattr(import_module(f"synthlaw.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
