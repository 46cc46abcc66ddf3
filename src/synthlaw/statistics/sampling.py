"""Equal amounts of running text from sets of different size.

A training run reads windows of text spread over the whole set, so that is what a sample is here:
windows of `WINDOW` tokens at even distances, in the set's order. The same set and number give the
same sample.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.tokens.dataset import TokenDataset

WINDOW = 512
ROWS = 4096
"""Windows handed over at once: 2M tokens."""


def sample_windows(
    data: TokenDataset, tokens: int | None = None, *, window: int = WINDOW
) -> Iterator[np.ndarray]:
    """Windows of the set as int64 [rows, window]; `tokens` of text in all (rounded down to whole
    windows), or all that there is.

    BOS and EOS stand in them where documents begin and end. Raises UsageError when the set holds
    fewer tokens than are asked for, or not one window.
    """
    there = data.manifest.tokens // window
    wanted = there if tokens is None else tokens // window
    if not 1 <= wanted <= there:
        raise UsageError(
            f"{data.folder}: found {data.manifest.tokens:,} tokens, {there:,} windows of {window}; "
            f"{wanted:,} windows were asked for"
        )
    places = np.arange(wanted, dtype=np.int64) * there // wanted
    for start in range(0, wanted, ROWS):
        yield data.windows(places[start : start + ROWS] * window, window)
