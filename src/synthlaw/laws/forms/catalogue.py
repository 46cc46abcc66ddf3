"""The forms by name, so that a law read from JSON finds its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.forms.custom import form_from_expression
from synthlaw.laws.forms.power import DATA, JOINT, MODEL, TIED, Form
from synthlaw.laws.forms.ratio_forms import ratio_form_named
from synthlaw.laws.forms.repetition import RepetitionForm

_PLAIN: dict[str, Form] = {form.name: form for form in (DATA, MODEL, JOINT, TIED)}


def form_named(name: str, data: Mapping[str, Any] | None = None, *, unit: float = 1e9) -> Form:
    """The form called `name`, or the one that `name` describes as an expression.

    data: a law's JSON, for what a form keeps beside its name. unit: of sizes in an expression.
    Raises UsageError when there is no such form.
    """
    if name == "repetition" and data is not None:
        return RepetitionForm(tuple(data["base"].items()), float(data["unit"]["tokens"]))
    if any(sign in name for sign in "*+ "):
        measured = unit if data is None else float(data["unit"]["tokens"])
        bounds = {k: (v[0], v[1]) for k, v in (data or {}).get("shape_bounds", {}).items()}
        return form_from_expression(name, measured, bounds)
    found = _PLAIN.get(name) or ratio_form_named(name)
    if found is None:
        raise UsageError(
            f"form: found {name!r}; expected one of {', '.join(_PLAIN)} or the name "
            "of a ratio form such as smooth-e2-s1-plain-nd"
        )
    return found
