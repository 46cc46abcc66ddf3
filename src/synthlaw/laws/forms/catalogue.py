"""Every form by name: those of this folder's modules, found by looking, so a new form is one file.

A module takes part by having one or both of

    FORMS: Sequence[Form]                                   forms with a name of their own
    form_named(name, data, unit) -> Form | None             families, whose names hold their choices

`data` is a law's JSON where a form is read back (for what it keeps beside its name), else None;
`unit` is what an expression counts sizes in. A module need not be of this package: a folder put
on this package's `__path__`, as `pkgutil.extend_path` does, is looked through too.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws import forms
from synthlaw.laws.forms.power import Form

LAWS = {"data": "data", "model": "model", "joint": "joint"}
"""The form that each plain law has unless another is asked for."""


def form_named(name: str, data: Mapping[str, Any] | None = None, *, unit: float = 1e9) -> Form:
    """The form called `name`, or the one that `name` describes as an expression.

    data: a law's JSON, for what a form keeps beside its name. unit: of sizes in an expression.
    Raises UsageError when there is no such form.
    """
    named: dict[str, Form] = {}
    for module in _modules():
        named |= {form.name: form for form in getattr(module, "FORMS", ())}
    if name in named:
        return named[name]
    for module in _modules():
        make = getattr(module, "form_named", None)
        found: Form | None = make(name, data, unit) if make else None
        if found is not None:
            return found
    raise UsageError(
        f"form: found {name!r}; expected one of {', '.join(named)}, the name of a ratio form such "
        "as smooth-e2-s1-plain-nd, or an expression such as 'E + B * tokens**-beta'"
    )


def _modules() -> Iterator[ModuleType]:
    """The modules of forms, in the order of their names; this one is none."""
    for found in pkgutil.iter_modules(forms.__path__):
        if found.name != "catalogue":
            yield importlib.import_module(f"{forms.__name__}.{found.name}")
