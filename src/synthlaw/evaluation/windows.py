"""How a document is cut for a model of limited context: every token is scored exactly once.

    sequence   b t1 t2 t3 t4 t5 t6 t7        window 4, stride 2, with a BOS token b
    window 1   b t1 t2 t3          scores t1 t2 t3 t4
    window 2      t2 t3 t4 t5      scores             t5 t6      (context: at least window - stride)
    window 3         t3 t4 t5 t6   scores                   t7

With stride = window these are the windows of lm-eval's `loglikelihood_rolling`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from synthlaw.common.errors import UsageError


@dataclass(frozen=True)
class Windowing:
    """The protocol of a scoring, recorded beside its results.

    window: positions that the model sees at once. stride: tokens newly scored by every window
    after the first, 1 to `window`; each is predicted from at least window - stride earlier tokens.
    bos: id put before each document, so that its first token is scored too; None scores from the
    second token on.
    """

    window: int
    stride: int
    bos: int | None

    def __post_init__(self) -> None:
        if self.window < 1:
            raise UsageError(f"window: found {self.window}; expected at least 1 position")
        if not 1 <= self.stride <= self.window:
            raise UsageError(
                f"stride: found {self.stride}; expected 1 to the window of {self.window}"
            )


@dataclass(frozen=True)
class Window:
    """Inputs sequence[begin:end] predict sequence[begin + 1:end + 1]; the last `scored` count."""

    document: int
    begin: int
    end: int
    scored: int

    @property
    def length(self) -> int:
        """Positions of the forward pass."""
        return self.end - self.begin


def scorable(length: int, windowing: Windowing) -> int:
    """Tokens of a document of `length` tokens that get a score."""
    return length if windowing.bos is not None else max(0, length - 1)


def windows_of(document: int, length: int, windowing: Windowing) -> Iterator[Window]:
    """The windows of document number `document`, `length` tokens long, without its BOS.

    Positions count in the sequence with BOS, if any. A document with nothing to score has none.
    """
    total = scorable(length, windowing)
    done = 0
    while done < total:
        end = min(done + (windowing.stride if done else windowing.window), total)
        yield Window(document, max(0, end - windowing.window), end, end - done)
        done = end
