"""A model in a folder of this machine: known by its files, not by where it lies."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from synthlaw.common.digest import digest_of, file_digest

_FILES = ("config.json", "generation_config.json", "tokenizer*.json", "*.safetensors", "*.bin")
"""What its answers depend on."""


def is_folder(model: str | None) -> bool:
    """Whether a model's name is a folder here rather than a name elsewhere."""
    return model is not None and Path(model).is_dir()


@cache
def folder_digest(folder: Path) -> str:
    """SHA-256 of the model's files by their names, worked out once per process."""
    files = sorted({path for name in _FILES for path in folder.glob(name)})
    return digest_of({path.name: file_digest(path) for path in files})
