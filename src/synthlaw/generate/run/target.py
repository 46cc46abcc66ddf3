"""When a run has enough text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.generated import Counts


class TokenCounter(Protocol):
    """Counts tokens as whoever asks for a number of them counts. digest: of what counts."""

    @property
    def digest(self) -> str: ...

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of all texts together."""
        ...


@dataclass(frozen=True)
class Target:
    """What is wanted of a run.

    tokens: kept tokens that are needed; None asks for no number. tokenizer: digest of what counts
    them; '' for the generator's own count. documents: source documents that
    may be asked about; None for all of the input. passes: times that each of them may be asked
    about, with seeds of its own each time: all once before any twice. whole: ask all of that, even
    when less gives the tokens. guess: kept tokens expected of a source document before one block is
    finished. max_failed: share of a block's rollouts that may fail for good; None for any.
    """

    tokens: int | None = None
    tokenizer: str = ""
    documents: int | None = None
    passes: int = 1
    whole: bool = True
    guess: float = 200.0
    max_failed: float | None = None

    def within(self, documents: int) -> int:
        """Source documents that may be asked about, of `documents` in the input."""
        return documents if self.documents is None else min(documents, self.documents)


class NotEnoughError(SynthlawError):
    """The source documents do not give the tokens that are needed.

    asked: source documents whose text was counted, of `documents` that may be asked about. have,
    need: tokens. counts: of what came of them.
    """

    def __init__(
        self, name: str, asked: int, documents: int, have: int, need: int, counts: Counts
    ) -> None:
        super().__init__(
            f"{name}: {asked:,} of {documents:,} documents gave {have:,} tokens of {need:,} needed"
        )
        self.name, self.asked, self.documents = name, asked, documents
        self.have, self.need, self.counts = have, need, counts
