"""Windows as lines of JSON, in order: {"window", "source", "text", "input_ids"}."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from synthlaw.tokens.mixture import Mixture

FILES = ("mixture.jsonl",)


class Writer:
    """Lines appended to one file. The text of a window is without its last target."""

    def __init__(self, folder: Path, mixture: Mixture) -> None:
        self._mixture = mixture
        self._file = (folder / FILES[0]).open("w", encoding="utf-8", newline="\n")
        self._windows = 0

    def add(self, sources: np.ndarray, windows: np.ndarray) -> None:
        """Append windows, int64 [n, context + 1]; sources: the number of each one's."""
        texts = self._mixture.texts(windows)
        for source, row, text in zip(sources.tolist(), windows.tolist(), texts, strict=True):
            line = {
                "window": self._windows,
                "source": self._mixture.sources[source],
                "text": text,
                "input_ids": row,
            }
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._windows += 1

    def close(self) -> None:
        """End the file."""
        self._file.close()
