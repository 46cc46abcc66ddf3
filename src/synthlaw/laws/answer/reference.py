"""The laws that the paper published, as laws of this package.

arXiv 2510.01631, Table 4 (data laws of 1B-parameter models) and Table 5 (model laws at 50B tokens)
for ten mixtures. The paper gives no intervals; its validation errors and the disagreement between
its two tables are what is known about their uncertainty.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from synthlaw.common.seeds import derive_seed
from synthlaw.laws.answer.combination import DRAWS, implied_joint
from synthlaw.laws.answer.summary import TAKEN_AT
from synthlaw.laws.forms.power import DATA, MODEL
from synthlaw.laws.lawfit import LawFit

BASELINE = "CC"
"""The natural mixture of the paper, CommonCrawl."""


@cache
def _tables() -> dict[str, Any]:
    text = files("synthlaw.laws").joinpath("data/paper_tables.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)
    return tables


def citation() -> str:
    """Where the reference laws come from."""
    return str(_tables()["citation"])


def data_laws() -> list[LawFit]:
    """Table 4: L(D) = B / D^beta + E at 1B parameters, D in billions of tokens."""
    tables = _tables()
    about = tables["data_law"]
    return [
        LawFit(
            law="data",
            form=DATA,
            coefficients={name: row["data_law"][name] for name in ("E", "B", "beta")},
            at={"params": about["params"] / tables["unit"]["params"]},
            ranges={"tokens": tuple(about["tokens_range"]), "params": (about["params"],) * 2},
            drift={"tokens": _drift(about, "tokens_range")},
            **_common(row),
        )
        for row in tables["mixtures"]
    ]


def model_laws() -> list[LawFit]:
    """Table 5: L(N) = A / N^alpha + E at 50B tokens, N in billions of parameters."""
    tables = _tables()
    about = tables["model_law"]
    return [
        LawFit(
            law="model",
            form=MODEL,
            coefficients={name: row["model_law"][name] for name in ("E", "A", "alpha")},
            at={"tokens": about["tokens"] / tables["unit"]["tokens"]},
            ranges={"params": tuple(about["params_range"]), "tokens": (about["tokens"],) * 2},
            drift={"params": _drift(about, "params_range")},
            **_common(row),
        )
        for row in tables["mixtures"]
    ]


def _drift(about: dict[str, Any], ends: str) -> float:
    """The validation error over the distance, ln(factor), at which the paper took it."""
    return float(about["rmabe"] / np.log(about["validated_at"] / about[ends][1]))


def _common(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "mixture": row["mixture"],
        "unit": dict(_tables()["unit"]),
        "points": 0,
        "objective": "published",
        "value": 0.0,
        "synthetic_type": row["synthetic_type"],
        "ratio": row["synthetic_ratio"],
    }


def fit_error() -> float:
    """The paper's validation errors (RMABE) of both tables, added in squares."""
    tables = _tables()
    return float(np.hypot(tables["data_law"]["rmabe"], tables["model_law"]["rmabe"]))


def laws_at(params: float, seed: int = 0) -> list[LawFit]:
    """The laws that answer for a model of `params`: Table 4 itself where it was taken, at 1B
    parameters (within 5%), else the joint laws."""
    joint = joint_laws(seed)
    at = _tables()["data_law"]["params"]
    if abs(params / at - 1) > TAKEN_AT:
        return joint
    found = data_laws()
    for law, combined in zip(found, joint, strict=True):
        tokens = _tables()["model_law"]["tokens"]
        error = _tables()["data_law"]["rmabe"] * float(law.predict(tokens=tokens)[0])
        generator = np.random.default_rng(derive_seed(seed, "reference", law.mixture))
        law.replicates = np.tile(law.vector, (DRAWS, 1))
        law.replicates[:, 0] += error * generator.standard_normal(DRAWS)
        law.method = "noise"
        law.warnings = combined.warnings
    return found


def table_reach() -> tuple[float, float]:
    """The model sizes for which `laws_at` answers by Table 4 itself."""
    at = _tables()["data_law"]["params"]
    return at * (1 - TAKEN_AT), at * (1 + TAKEN_AT)


def joint_laws(seed: int = 0) -> list[LawFit]:
    """Joint laws implied by the two tables; see `combination.implied_joint`.

    Replicates vary only the floor, by the published validation errors and half the tables'
    disagreement: the paper says nothing of the other coefficients' uncertainty.
    """
    return [
        implied_joint(data, model, tolerance=fit_error(), relative_error=fit_error(), seed=seed)
        for data, model in zip(data_laws(), model_laws(), strict=True)
    ]
