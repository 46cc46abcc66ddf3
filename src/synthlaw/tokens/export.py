"""A mixture written out, window by window in training order, for another trainer.

    mixture.bin, mixture.idx, …    the windows in the format asked for (tokens/formats/)
    mixture.json                   counts, shares asked and realised, sources, the order's identity

The n-th sequence is the n-th window that our own trainer would read: ids, order and shares are
equal. A window holds context + 1 ids; its last is only a target. The folder gets its name when it
is whole, and an export of the same mixture that is there already is kept.
"""

from __future__ import annotations

import pkgutil
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.common.progress import meter
from synthlaw.tokens import formats
from synthlaw.tokens.mixture import Mixture

FACTS_FILE = "mixture.json"
EXPORT_VERSION = 1

WINDOW_TOKENS = 1 << 22
"""Ids that are held at once."""


def format_names() -> list[str]:
    """Formats that there are, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(formats.__path__))


def export_mixture(mixture: Mixture, form: str, out: Path) -> dict[str, Any]:
    """Write the mixture to the folder `out` and return what `mixture.json` says of it.

    Raises UsageError for a format that does not exist, when a source is spent before the last
    window, and when `out` holds what is not an export.
    """
    if form not in format_names():
        raise UsageError(f"format: found {form!r}; expected one of {', '.join(format_names())}")
    mixture.sampler.check(mixture.windows)
    facts = _facts(mixture, form)
    if (out / FACTS_FILE).is_file() and read_json(out / FACTS_FILE) == facts:
        return facts
    block = max(1, WINDOW_TOKENS // (mixture.context + 1))
    # A file of Parquet ends with a block: see formats/parquet.
    block = 1 << (block.bit_length() - 1)
    with atomic_folder(out, "mix") as aside:
        writer = _module(form).Writer(aside, mixture)
        with meter("writing the mixture", mixture.windows * mixture.context, "tokens") as bar:
            for first in range(0, mixture.windows, block):
                numbers = np.arange(first, min(first + block, mixture.windows))
                writer.add(mixture.sampler.sources_of(numbers), mixture.sampler.windows(numbers))
                bar.advance(len(numbers) * mixture.context)
        writer.close()
        write_json(aside / FACTS_FILE, facts)
    return facts


def _facts(mixture: Mixture, form: str) -> dict[str, Any]:
    """What `mixture.json` says."""
    sampler, windows = mixture.sampler, mixture.windows
    return {
        "format": form,
        "files": list(_module(form).FILES),
        "windows": windows,
        "context": mixture.context,
        "ids_per_window": mixture.context + 1,
        "tokens": windows * mixture.context,
        "vocab": mixture.vocab,
        "sources": [asdict(use) for use in sampler.use(windows)],
        "identity": digest_of([EXPORT_VERSION, form, sampler.identity(), windows]),
    }


def _module(form: str) -> ModuleType:
    return import_module(f"{formats.__name__}.{form}")
