"""Which instruction sets each library really uses here, by what it says itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache

_TRY = """
import torch
print("torch:", torch.backends.cpu.get_cpu_capability(), flush=True)
one = torch.randn(64, 64)
one @ one
image, kernel = torch.randn(16, 32, 32, 32), torch.randn(32, 32, 3, 3)
torch.nn.functional.conv2d(image, kernel)
try:
    import openvino
    print("openvino:", *openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
except ImportError:
    print("openvino: not installed")
"""

_SAID = {
    "torch": r"^torch: (.+)$",
    "oneDNN": r"info,cpu,isa:(.+)$",
    "MKL": r"^MKL_VERBOSE .*?architecture (.+?)(?: enabled processors|, Lnx|, Win).*$",
    "OpenVINO": r"^openvino: (.+)$",
}


@cache
def instruction_sets() -> dict[str, str]:
    """What each library says of itself after a piece of work, in this process's environment."""
    environment = {**os.environ, "ONEDNN_VERBOSE": "1", "MKL_VERBOSE": "1"}
    command = [sys.executable, "-c", _TRY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = {}
    for library, pattern in _SAID.items():
        match = re.search(pattern, done.stdout, re.MULTILINE)
        found[library] = match[1].strip() if match else "says nothing"
    return found
