"""A joint law from a data law and a model law that share a mixture, if loss is additive.

    L(N, D) = E + A / N^alpha + B / D^beta

The data law, taken at N0 parameters, fixes B and beta and leaves E + A/N0^alpha as its floor; the
model law, taken at D0 tokens, fixes A and alpha and leaves E + B/D0^beta. Each implies a joint
floor; their mean is used, and half their difference is the error of supposing additivity.
"""

from __future__ import annotations

import numpy as np

from synthlaw.common.seeds import derive_seed
from synthlaw.laws.answer.comparison import consistency, decompose, paired
from synthlaw.laws.forms.power import JOINT
from synthlaw.laws.lawfit import Caution, LawFit

NAMES = (*JOINT.linear, *JOINT.shape)

DRAWS = 1000
"""Replicates made when neither law has any."""


def implied_joint(
    data: LawFit, model: LawFit, *, tolerance: float, relative_error: float = 0.0, seed: int = 0
) -> LawFit:
    """The joint law implied by `data` (at one model size) and `model` (at one token budget).

    relative_error: known error of the two laws beyond their replicates, relative to the loss; it
    and half the disagreement of the floors vary the floor of the replicates. A disagreement above
    `tolerance` is a warning. Raises UsageError when either law has no fixed point to meet at.
    """
    meeting = consistency(data, model, tolerance=tolerance)
    of_data, of_model = paired(data, model)
    if len(of_data) == 1:
        of_data, of_model = (np.repeat(v, 1 + DRAWS, axis=0) for v in (of_data, of_model))
    rest_data, scale_data, beta = decompose(data, of_data, "tokens", {})
    rest_model, scale_model, alpha = decompose(model, of_model, "params", {})
    from_data = rest_data - scale_model * model_term(data.at["params"], alpha)
    from_model = rest_model - scale_data * model_term(model.at["tokens"], beta)
    floor = 0.5 * (from_data + from_model)
    error = np.hypot(relative_error * meeting["loss_by_data_law"], 0.5 * meeting["difference"])
    generator = np.random.default_rng(derive_seed(seed, "implied-joint", data.mixture))
    floor[1:] += error * generator.standard_normal(len(floor) - 1)
    vectors = np.stack([np.maximum(floor, 0.0), scale_model, scale_data, alpha, beta], axis=1)
    law = LawFit(
        mixture=data.mixture,
        law="joint",
        form=JOINT,
        coefficients=dict(
            zip(("E", "A", "B", "alpha", "beta"), map(float, vectors[0]), strict=True)
        ),
        unit=dict(data.unit),
        points=0,
        objective=data.objective,
        value=0.0,
        ranges={"params": model.ranges["params"], "tokens": data.ranges["tokens"]},
        synthetic_type=data.synthetic_type,
        ratio=data.ratio,
        method="noise",
        replicates=vectors[1:],
        details={"implied_by": ["data", "model"]},
        drift={
            name: law.drift[name]
            for name, law in (("params", model), ("tokens", data))
            if name in law.drift
        },
    )
    if not meeting["consistent"]:
        law.warnings.append(
            Caution(
                "inconsistent-laws",
                f"'{meeting['mixture']}': at {meeting['params']:.3g} parameters and "
                f"{meeting['tokens']:.3g} tokens the data law gives "
                f"{meeting['loss_by_data_law']:.4f} and the model law "
                f"{meeting['loss_by_model_law']:.4f} nats per token, "
                f"{abs(meeting['relative']):.1%} apart",
            )
        )
    return law


def model_term(size: float, exponent: np.ndarray) -> np.ndarray:
    """size^-exponent for a size in the law's unit."""
    result: np.ndarray = size**-exponent
    return result
