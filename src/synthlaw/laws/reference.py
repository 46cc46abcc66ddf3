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
from synthlaw.laws.comparison import consistency
from synthlaw.laws.forms import DATA, JOINT, MODEL
from synthlaw.laws.lawfit import Caution, LawFit

BASELINE = "CC"
"""The natural mixture of the paper, CommonCrawl."""

_DRAWS = 1000


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
            **_common(row),
        )
        for row in tables["mixtures"]
    ]


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


def joint_laws(seed: int = 0) -> list[LawFit]:
    """Joint laws implied by the two tables, if loss is additive in N and D.

    The floor is the mean of the two floors that the tables imply. Replicates vary it by what is
    known of its uncertainty: the published validation errors, and half the tables' disagreement.
    """
    found = []
    for data, model in zip(data_laws(), model_laws(), strict=True):
        meeting = consistency(data, model, tolerance=fit_error())
        floor = 0.5 * (meeting["joint_floor_from_data_law"] + meeting["joint_floor_from_model_law"])
        coefficients = {
            "E": floor,
            "A": model.coefficients["A"],
            "B": data.coefficients["B"],
            "alpha": model.coefficients["alpha"],
            "beta": data.coefficients["beta"],
        }
        error = np.hypot(
            fit_error() * meeting["loss_by_data_law"], 0.5 * abs(meeting["difference"])
        )
        generator = np.random.default_rng(derive_seed(seed, "reference", data.mixture))
        replicates = np.tile(np.array(list(coefficients.values())), (_DRAWS, 1))
        replicates[:, 0] += error * generator.standard_normal(_DRAWS)
        law = LawFit(
            mixture=data.mixture,
            law="joint",
            form=JOINT,
            coefficients=coefficients,
            unit=data.unit,
            points=0,
            objective="published",
            value=0.0,
            ranges={"params": model.ranges["params"], "tokens": data.ranges["tokens"]},
            synthetic_type=data.synthetic_type,
            ratio=data.ratio,
            method="published-errors",
            replicates=replicates,
        )
        if not meeting["consistent"]:
            law.warnings.append(inconsistency(meeting))
        found.append(law)
    return found


def inconsistency(meeting: dict[str, Any]) -> Caution:
    """The warning for a data law and a model law that disagree where they meet."""
    return Caution(
        "inconsistent-laws",
        f"'{meeting['mixture']}': at {meeting['params']:.3g} parameters and "
        f"{meeting['tokens']:.3g} tokens the data law gives {meeting['loss_by_data_law']:.4f} and "
        f"the model law {meeting['loss_by_model_law']:.4f} nats per token: "
        f"{abs(meeting['relative']):.1%} apart",
    )
