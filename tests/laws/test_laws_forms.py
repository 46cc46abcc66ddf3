"""Forms: values against the written formulas, derivatives against differences, units."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from synthlaw.common.errors import UsageError
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.forms.differences import curvature_by_differences
from synthlaw.laws.forms.power import DATA, JOINT, MODEL, TIED, Form
from synthlaw.laws.forms.ratio_forms import AdditiveForm, Bernstein, candidates, smooth_form
from synthlaw.laws.forms.repetition import RepetitionForm

BASE = (("E", 1.9), ("A", 0.5), ("B", 1.2), ("alpha", 0.35), ("beta", 0.35))
FORMS: list[Form] = [
    DATA,
    MODEL,
    JOINT,
    TIED,
    AdditiveForm("nd"),
    AdditiveForm(""),
    smooth_form("nd", 3, 2, 0.5),
    smooth_form("d", 2, 0, 1.0),
    RepetitionForm(BASE, 1e9),
    form_named("E + a * params**-eta + c * 6**(-eta/2) * tokens**-eta"),
]
UNIT = {"params": 1e9, "tokens": 1e9, "unique_tokens": 1e9}


def some_inputs(count: int = 9) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    tokens = np.exp(generator.uniform(np.log(1e9), np.log(1e11), count))
    return {
        "params": np.exp(generator.uniform(np.log(1e8), np.log(1e10), count)),
        "tokens": tokens,
        "unique_tokens": tokens * generator.uniform(0.05, 1.0, count),
        "ratio": np.concatenate([[0.0, 1.0], generator.uniform(0, 1, count - 2)]),
    }


def some_points(form: Form, count: int = 3) -> np.ndarray:
    generator = np.random.default_rng(2)
    linear = generator.uniform(0.1, 2.0, (count, len(form.linear)))
    low, high = np.maximum(form.bounds[:, 0], 0.1), np.minimum(form.bounds[:, 1], 2.0)
    shape = generator.uniform(low, high, (count, len(form.shape)))
    return np.concatenate([linear, shape], axis=1)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_gradients_and_curvatures_are_exact(form: Form) -> None:
    inputs = some_inputs()
    bound = form.bind({name: inputs[name] for name in form.inputs}, UNIT)
    z = some_points(form)
    predicted, jacobian = bound.evaluate(z)
    K = len(form.linear)
    columns = bound.columns(z[:, K:])
    np.testing.assert_allclose(np.einsum("mk,mki->mi", z[:, :K], columns), predicted, rtol=1e-12)
    for m in range(len(z)):
        for i in range(predicted.shape[1]):
            slope = approx_fprime(z[m], lambda x, i=i: bound.evaluate(x[None])[0][0, i], 1e-7)
            np.testing.assert_allclose(jacobian[m, :, i], slope, rtol=1e-4, atol=1e-5)
    weights = np.random.default_rng(3).standard_normal(predicted.shape)
    np.testing.assert_allclose(
        bound.curvature(z, jacobian, weights),
        curvature_by_differences(bound, z, weights),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_units_change_coefficients_but_not_predictions(form: Form) -> None:
    inputs = {name: values for name, values in some_inputs().items() if name in form.inputs}
    z = some_points(form)
    K = len(form.linear)
    small = {"params": 1e6, "tokens": 2e7, "unique_tokens": 2e7}
    moved = np.concatenate([z[:, :K] * form.scale(z[:, K:], UNIT, small), z[:, K:]], axis=1)
    np.testing.assert_allclose(
        form.bind(inputs, UNIT).evaluate(z)[0], form.bind(inputs, small).evaluate(moved)[0]
    )


def test_joint_law_is_the_written_formula() -> None:
    inputs = some_inputs()
    z = np.array([[1.7, 0.4, 1.1, 0.3, 0.4]])
    loss = 1.7 + 0.4 * (inputs["params"] / 1e9) ** -0.3 + 1.1 * (inputs["tokens"] / 1e9) ** -0.4
    np.testing.assert_allclose(JOINT.bind(inputs, UNIT).evaluate(z)[0][0], loss)


def test_additive_mixture_law_is_the_written_formula() -> None:
    inputs = some_inputs()
    r, z = inputs["ratio"], np.array([[1.5, 0.6, -0.5, 0.7, 0.4]])
    loss = 1.5 + 0.6 / ((1 - r) ** 0.7 + np.exp(-0.5) * r**0.4)
    np.testing.assert_allclose(AdditiveForm("").bind(inputs, {}).evaluate(z)[0][0], loss)


def test_bernstein_polynomials_are_a_partition_of_one() -> None:
    table = Bernstein(3, 0.5)(np.linspace(0, 1, 11))
    assert (table >= 0).all()
    for degree in range(4):
        first = Bernstein.offset(degree)
        np.testing.assert_allclose(table[first : first + degree + 1].sum(axis=0), 1.0)


def test_forms_are_found_again_by_name() -> None:
    for form in [DATA, MODEL, JOINT, TIED, *candidates("nd", 10), *candidates("", 10)]:
        assert form_named(form.name) == form
    with pytest.raises(UsageError, match="expected one of"):
        form_named("quadratic")


@pytest.mark.parametrize(
    "text",
    ["E + ", "tokens**-b", "E + E*tokens**-b", "E + B*__import__('os')", "E + B*tokens.real",
     "E", "E + B*log(tokens, 2)", "2*E", "E - B*tokens**-b", "E + B*[1]"],
)  # fmt: skip
def test_expressions_that_are_no_law_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="form"):
        form_named(text if " " in text else f" {text}")
