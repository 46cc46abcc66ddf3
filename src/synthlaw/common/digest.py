"""Digests that identify artifacts: SHA-256 of canonical JSON or of a file's bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of `value` as canonical JSON: sorted keys, no spaces, no NaN."""
    return hashlib.sha256(_CANONICAL.encode(value).encode("ascii")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
