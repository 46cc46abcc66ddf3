"""The precision in which OpenVINO computes and keeps keys and values on this processor.

The cache must have the precision of the computation, or the plugin refuses it: bf16 where the
processor multiplies bf16, f32 everywhere else. Texts of the two differ, so the precision is part
of the engine's identity.

`ONEDNN_MAX_CPU_ISA` means here what it means to torch: held below bf16, the engine takes f32. Only
the precision can be held down. OpenVINO 2026.4 obeys the variable in some of its kernels and not
in others, and with AVX2 on an AVX-512 processor it then fails in the first step; so it never sees
it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.common.onednn import held_below_bf16, unlimited

Precision = Literal["bf16", "f32"]


def choose_precision(asked: Precision | None) -> Precision:
    """What was asked for, or the fastest that the processor and the environment allow.

    Raises UsageError for a precision that OpenVINO does not take on this processor.
    """
    native = precisions()
    if asked is None:
        return "f32" if held_below_bf16() else native[0]
    if asked not in native:
        raise UsageError(
            f"precision: found {asked!r}; OpenVINO takes {' or '.join(native)} on this processor"
        )
    return asked


@cache
def precisions() -> tuple[Precision, ...]:
    """The precisions that OpenVINO takes on this processor, the fastest first.

    Raises MissingExtraError without OpenVINO.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino-genai", "embedded", "the embedded engine") from error
    # Its oneDNN reads the variable at the first question and never again.
    with unlimited():
        found = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bf16", "f32") if "BF16" in found else ("f32",)


def plugin_settings(precision: Precision) -> dict[str, Any]:
    """The plugin's properties for one precision throughout."""
    return {"INFERENCE_PRECISION_HINT": precision, "KV_CACHE_PRECISION": precision}
