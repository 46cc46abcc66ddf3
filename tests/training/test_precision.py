"""In which precision to multiply: the rule, the record that is kept, and held-down processors."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.training import device, precision
from synthlaw.training.precision import (
    NO_SLOWER,
    PrecisionRecord,
    PrecisionRequest,
    awaited_precision,
    kept_precision,
    settle_here,
    settle_precision,
)
from synthlaw.training.presets import ModelShape

SHAPE = ModelShape(dim=32, layers=2, heads=2, vocab=300)
X86 = platform.machine() in ("x86_64", "AMD64")


def request(asked: str = "auto") -> PrecisionRequest:
    return PrecisionRequest.model_validate(
        {"asked": asked, "shape": SHAPE, "context": 16, "rows": 2, "device": "cpu", "threads": 1}
    )


def record(dtype: str, asked: str = "auto") -> PrecisionRecord:
    values = {"asked": asked, "dtype": dtype, "machine": "m", "native": "", "processor": "p"}
    return PrecisionRecord.model_validate(values)


@pytest.mark.parametrize(
    ("asked", "native", "ratio", "dtype", "measured"),
    [
        ("fp32", "AMX", 0.1, "fp32", False),
        ("fp32", "", 0.1, "fp32", False),
        ("bf16", "AMX", 9.0, "bf16", False),
        ("bf16", "", 60.0, "bf16", True),
        ("auto", "", 0.1, "fp32", False),
        ("auto", "AMX", 0.5, "bf16", True),
        ("auto", "AMX", NO_SLOWER, "bf16", True),
        ("auto", "AMX", NO_SLOWER + 0.01, "fp32", True),
    ],
)
def test_the_rule(
    asked: str,
    native: str,
    ratio: float,
    dtype: str,
    measured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_of = []

    def measure(*arguments: object) -> float:
        asked_of.append(arguments)
        return ratio

    monkeypatch.setattr(device, "bf16_instructions", lambda where: native)
    monkeypatch.setattr(precision, "measured_ratio", measure)
    found = settle_precision(request(asked))
    assert (found.dtype, found.native, bool(asked_of)) == (dtype, native, measured)
    assert found.ratio == (pytest.approx(ratio, rel=1e-2) if measured else None)
    warned = asked == "bf16" and not native
    assert (found.warning() is not None) == warned
    if warned:
        assert "60 times" in str(found.warning())


def test_a_real_measurement_is_positive_and_leaves_the_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "MEASURE_SECONDS", 0.0)
    before = torch.get_num_threads()
    ratio = precision.measured_ratio(request(), torch.device("cpu"), True)
    assert 0 < ratio < 1e4
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("width", [32, 4096])
def test_large_models_are_measured_by_a_part(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured head is bounded, and one layer stands for all."""
    made = []
    shape = ModelShape(dim=width, layers=200, heads=2, vocab=10**6, hidden=64)
    asked = request().model_copy(update={"shape": shape, "context": 4})
    monkeypatch.setattr(
        precision._Step, "seconds", lambda self, dtype: made.append(self.shape) or 1.0
    )
    assert precision.measured_ratio(asked, torch.device("cpu"), True) == 1.0
    assert made[0].layers == 1
    assert made[0].vocab * width <= precision.HEAD_WEIGHTS


HELD = {
    "ONEDNN_MAX_CPU_ISA": ["AVX2", "avx2", "AVX512_CORE", "AVX512_CORE_VNNI", "SSE41"],
    "DNNL_MAX_CPU_ISA": ["AVX2"],
    "ATEN_CPU_CAPABILITY": ["avx2", "default"],
}


@pytest.mark.skipif(not X86, reason="holds down x86 processors")
@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in HELD.items() for v in vs])
def test_a_processor_that_is_held_down_has_no_bf16(name: str, value: str) -> None:
    code = (
        "import torch; from synthlaw.training.device import bf16_instructions, instruction_sets; "
        "print([bf16_instructions(torch.device('cpu')), instruction_sets()['limits']])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("['',"), done.stdout
    if name != "DNNL_MAX_CPU_ISA":
        assert f"{name}={value}" in done.stdout


@pytest.mark.parametrize(
    ("has", "name"),
    [
        ({"architecture": "aarch64", "neon": True, "bf16": True}, "NEON"),
        ({"architecture": "aarch64", "neon": True, "bf16": True, "sve_bf16": True}, "SVE"),
        ({"architecture": "aarch64", "neon": True, "bf16": False}, ""),
        ({"architecture": "x86_64", "avx512_f": True, "amx_bf16": True}, "AMX"),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True}, "AVX512_BF16"),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": True}, "AMX"),
        ({"architecture": "x86_64", "avx512_f": True, "amx_tile": True}, ""),
        ({"architecture": "x86_64", "avx2": True}, ""),
        ({}, ""),
    ],
)
def test_which_instructions_count(
    has: dict[str, object], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in HELD:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert device.bf16_instructions(torch.device("cpu")) == name


def test_a_folder_keeps_what_it_began_with(tmp_path: Path) -> None:
    def never() -> PrecisionRecord:
        raise AssertionError("settled again")

    first = kept_precision(tmp_path / "new", "auto", lambda: record("fp32"))
    assert first.dtype == "fp32"
    assert kept_precision(tmp_path / "new", "auto", never) == first
    assert kept_precision(tmp_path / "new", "fp32", never) == first
    # A precision asked by name is obeyed, and then kept in its turn.
    other = kept_precision(tmp_path / "new", "bf16", lambda: record("bf16", "bf16"))
    assert other.dtype == "bf16"
    assert kept_precision(tmp_path / "new", "auto", never) == other


def test_other_processes_wait_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert awaited_precision(tmp_path, "bf16") == "bf16"

    def first() -> None:
        time.sleep(0.2)
        record("bf16").write(tmp_path)

    thread = threading.Thread(target=first)
    thread.start()
    assert awaited_precision(tmp_path, "auto") == "bf16"
    thread.join()
    monkeypatch.setattr(precision, "AWAIT_SECONDS", 0.1)
    with pytest.raises(SynthlawError, match="folder that all processes share"):
        awaited_precision(tmp_path / "elsewhere", "auto")


def test_a_process_of_its_own_settles_the_same() -> None:
    assert settle_here(request("fp32")) == settle_precision(request("fp32"))
    wrong = request("auto").model_copy(update={"device": "abacus"})
    with pytest.raises(UsageError, match="abacus"):
        settle_here(wrong)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    for text in ("{", json.dumps({"dtype": "fp8"}), "[]"):
        (tmp_path / "precision.json").write_text(text)
        with pytest.raises(UsageError, match=r"precision\.json"):
            PrecisionRecord.read(tmp_path)
