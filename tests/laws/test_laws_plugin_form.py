"""A law's form is one file: dropped beside the others, it is found, fitted, kept and read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_runs import joint_table

from synthlaw.common.errors import UsageError
from synthlaw.laws import forms
from synthlaw.laws.api import fit_laws
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.lawfit import LawFit

FILE = '''
"""L(N, D) = E + A / N^alpha + B / (1 + D)^beta, as a form of its own."""

from synthlaw.laws.forms.custom import CustomForm

SHIFTED = CustomForm(
    "shifted",
    ("E", "A", "B"),
    (("alpha", 0.01, 2.0), ("beta", 0.01, 2.0)),
    ("params", "tokens"),
    lambda x, s: [1.0 + 0.0 * s["alpha"], x["params"] ** -s["alpha"],
                  (1.0 + x["tokens"]) ** -s["beta"]],
)
FORMS = (SHIFTED,)


def form_named(name, data, unit):
    return SHIFTED if name.startswith("shifted-") else None
'''


def test_a_new_form_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="found 'shifted'"):
        form_named("shifted")
    (tmp_path / "shifted_form.py").write_text(FILE)
    monkeypatch.setattr(forms, "__path__", [*forms.__path__, str(tmp_path)])
    form = form_named("shifted")
    assert form_named("shifted-again") is form
    law = fit_laws(joint_table(), "joint", form=form, bootstrap=20)[0]
    assert law.form.name == "shifted" and law.holdout is None and law.noise < 0.005
    again = LawFit.from_json(law.to_json(replicates=20), "place")
    asked = {"params": 2e9, "tokens": 2e10}
    assert again.predict(**asked)[0] == pytest.approx(law.predict(**asked)[0])


@pytest.mark.parametrize(
    "name",
    ["data", "model", "joint", "tied", "smooth-e2-s1-plain-nd", "additive-d",
     "E + B * tokens**-beta"],
)  # fmt: skip
def test_the_forms_of_the_package_are_found_by_name(name: str) -> None:
    assert form_named(name).name == name
