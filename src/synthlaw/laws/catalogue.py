"""The forms by name, so that a law read from JSON finds its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.forms import DATA, JOINT, MODEL, TIED, Form
from synthlaw.laws.ratio_forms import ratio_form_named
from synthlaw.laws.repetition import RepetitionForm

_PLAIN: dict[str, Form] = {form.name: form for form in (DATA, MODEL, JOINT, TIED)}


def form_named(name: str, data: Mapping[str, Any] | None = None) -> Form:
    """The form called `name`; a repetition law also needs its JSON `data`, for its base law.

    Raises UsageError when there is none.
    """
    if name == "repetition" and data is not None:
        return RepetitionForm(tuple(data["base"].items()), float(data["unit"]["tokens"]))
    found = _PLAIN.get(name) or ratio_form_named(name)
    if found is None:
        raise UsageError(
            f"form: found {name!r}; expected one of {', '.join(_PLAIN)} or the name "
            "of a ratio form such as smooth-e2-s1-plain-nd"
        )
    return found
