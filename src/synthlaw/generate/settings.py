"""What goes into a generation run and what comes out of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from synthlaw.common.digest import digest_of
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Completion, Engine, RequestFailedError, Sampling
from synthlaw.generate.recipe import Recipe

INPUT_TOKENS = 2000
"""Most tokens of a document that go into a prompt: the paper's "up to 2k" (appendix A.1.2)."""


@dataclass(frozen=True)
class Settings:
    """What, besides the document and the engine, determines the answers.

    seed: of the run; each request derives its own. input_tokens: longest document text in a
    prompt, in the engine's tokens. rollouts: answers per document, each with its own seeds.
    """

    recipe: Recipe
    sampling: Sampling
    seed: int
    input_tokens: int = INPUT_TOKENS
    rollouts: int = 1

    def digest(self, engine: Engine) -> str:
        """Key of all results made with these settings by this engine."""
        return digest_of(
            {
                "recipe": self.recipe.record(),
                "sampling": self.sampling.record(),
                "seed": self.seed,
                "input_tokens": self.input_tokens,
                "rollouts": self.rollouts,
                "engine": engine.identity(),
            }
        )


@dataclass
class Progress:
    """Running counts, handed to `on_progress` after every request."""

    documents: int = 0
    requests: int = 0
    failed: int = 0
    completion_tokens: int = 0
    started: float = field(default_factory=time.monotonic)


@dataclass
class Generated:
    """Everything that came of a list of documents, in their order.

    documents: what to train on. dropped: with `reason` (the rule) and `detail`. failed: with
    `reason`, `request`, `response`. intermediate: outlines and the like that passed.
    """

    documents: list[Document] = field(default_factory=list)
    dropped: list[Document] = field(default_factory=list)
    failed: list[Document] = field(default_factory=list)
    intermediate: list[Document] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, Any]:
        """Documents; drops, failures and ends of answers by reason; tokens of each kind."""
        answered = [*self.documents, *self.dropped, *self.intermediate]
        reasons = Counter(doc.fields.get("finish_reason") for doc in answered)
        del reasons[None]  # of what was never asked
        return {
            "documents": len(self.documents),
            "dropped": dict(Counter(str(doc.fields["reason"]) for doc in self.dropped)),
            "failed": len(self.failed),
            "failed_by_reason": dict(Counter(str(doc.fields["reason"]) for doc in self.failed)),
            "intermediate": len(self.intermediate),
            "finish_reasons": dict(reasons),
            "document_tokens": _total(self.documents, "completion_tokens"),
            "prompt_tokens": _total(answered, "prompt_tokens"),
            "completion_tokens": _total(answered, "completion_tokens"),
        }

    def counts_by_recipe(self) -> dict[str, dict[str, Any]]:
        """`counts` of each recipe's part."""
        parts: dict[str, Generated] = {}
        for place in ("documents", "dropped", "failed", "intermediate"):
            for document in getattr(self, place):
                part = parts.setdefault(str(document.fields["recipe"]), Generated())
                getattr(part, place).append(document)
        return {name: parts[name].counts for name in sorted(parts)}

    def extend(self, other: Generated) -> None:
        """Append another's lists."""
        self.documents.extend(other.documents)
        self.dropped.extend(other.dropped)
        self.failed.extend(other.failed)
        self.intermediate.extend(other.intermediate)


def _total(documents: Iterable[Document], column: str) -> int:
    return sum(int(document.fields.get(column) or 0) for document in documents)


class Journal(Protocol):
    """Where answers are kept as they come, so that none is paid for twice."""

    def find(self, key: str) -> Completion | RequestFailedError | None:
        """What became of the request with this key, None when it was never finished."""
        ...

    def keep(self, key: str, result: Completion | RequestFailedError) -> None:
        """Record what became of a request."""
        ...


class NoJournal:
    """Remembers nothing."""

    def find(self, key: str) -> None:
        """Never known."""
        return

    def keep(self, key: str, result: Completion | RequestFailedError) -> None:
        """Forgotten at once."""


ProgressCallback = Callable[[Progress], None]
