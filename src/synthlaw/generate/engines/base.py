"""What an engine is: a language model that answers requests and owns the tokenizer that counts.

Engines: `embedded` (on this CPU, in process), `openai` (any server that speaks that protocol),
`vllm` (such a server, started by us), `transformers` (a plain model that continues a text).
A new one implements `Engine` and is made by a module of `kinds/`; see registry.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import Field

from synthlaw.common.errors import SynthlawError
from synthlaw.common.settings import Settings, validated


class SamplingSettings(Settings):
    """How the next token is drawn, as users say it; what is None is the engine's default."""

    temperature: float | None = Field(
        None, ge=0, le=10, description="0 is greedy; default: 0.7 (packaged model 0.4)"
    )
    top_p: float | None = Field(None, gt=0, le=1, description="default: 0.95")
    top_k: int | None = Field(None, ge=0, description="0 is off, the default")
    repetition_penalty: float | None = Field(None, gt=0, le=10, description="1 is off, the default")
    max_tokens: int | None = Field(
        None, ge=1, description="longest answer; default: 2048 (packaged model 300)"
    )
    frequency_penalty: float | None = Field(
        None, ge=-2, le=2, description="0 is off; default: 0 (packaged model 0.5)"
    )

    def over(self, defaults: Sampling, **more: float | int | None) -> Sampling:
        """The sampling with `defaults` where nothing is said; more: what goes before all."""
        said = self.model_dump(exclude_none=True)
        said |= {name: value for name, value in more.items() if value is not None}
        return replace(defaults, **said)


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. The defaults are the paper's (appendix B.3 and A.1.2).

    temperature: 0 is greedy. top_k: 0 is off. repetition_penalty: 1 is off; divides the logits of
    every token seen in the prompt or the answer, so it also keeps the model from using the words
    of the document and tags that the prompt asks for. frequency_penalty: 0 is off; taken from a
    token's logit for each time it is in the answer. max_tokens: longest completion, in the
    engine's tokens.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 2048
    frequency_penalty: float = 0.0

    def __post_init__(self) -> None:
        """Raises UsageError naming the value that is out of range."""
        validated(SamplingSettings, vars(self))

    def record(self) -> dict[str, float | int]:
        """Every setting by name, for provenance and digests."""
        return dict(vars(self))

    def as_json(self) -> str:
        """The settings as one line of JSON with sorted keys."""
        return json.dumps(self.record(), sort_keys=True)


@dataclass(frozen=True)
class EngineDefaults:
    """What a command takes where its user says nothing.

    rules_off: post-filter rules that are not applied.
    """

    sampling: Sampling = Sampling()
    input_tokens: int = 2000
    rules_off: tuple[str, ...] = ()


PACKAGED_MODEL = EngineDefaults(Sampling(0.4, 0.95, 0, 1.0, 300, 0.5), 500, ("unfinished",))
"""Of the model that ships with the embedded engine, chosen on 24 web pages: see docs/generate.md.
With the paper's sampling, all of 16 articles and lists by it were loops or cut off."""


PLAIN_MODEL = EngineDefaults(Sampling(1.0, 1.0, max_tokens=256), 32)
"""Of a model that continues a text: its own distribution, from a document's first tokens on."""


def defaults_of(kind: str, model: str | None) -> EngineDefaults:
    """The paper's defaults, except for plain models and the packaged one of 135M parameters."""
    if kind == "transformers":
        return PLAIN_MODEL
    packaged = kind == "embedded" and model is None
    return PACKAGED_MODEL if packaged else EngineDefaults()


Message = dict[str, str]
"""One turn: `role` (system, user, assistant) and `content`."""


@dataclass(frozen=True)
class Request:
    """One completion to make: the last user turn, what stands before it, sampling and seed.

    earlier: (role, content) of turns between the system turn and the last user turn.
    """

    prompt: str
    system: str
    sampling: Sampling
    seed: int
    earlier: tuple[tuple[str, str], ...] = ()

    def messages(self) -> list[Message]:
        """All turns in order; no system turn when `system` is empty."""
        turns = [("system", self.system)] if self.system else []
        turns += [*self.earlier, ("user", self.prompt)]
        return [{"role": role, "content": content} for role, content in turns]

    def record(self) -> dict[str, Any]:
        """What was asked, for keys and a failure's report."""
        return {
            "messages": self.messages(),
            "sampling": self.sampling.record(),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Completion:
    """What the model wrote. Token counts are the engine's own; the end token is not counted.

    finish_reason: `stop` (the model ended) or `length` (max_tokens reached), or the server's word.
    aside: what was cut off the text, or came instead of one. doubt: why the answer cannot be told
    from reasoning around it. unsent: names of sampling values that the server does not take.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    aside: str = ""
    doubt: str = ""
    unsent: str = ""


class RequestFailedError(SynthlawError):
    """The engine would not answer one request; the others are unaffected.

    reason: a short name that can be counted (`http-400`, `bad-answer`, `prompt-too-long`).
    response: what the engine said, cut to a readable length.
    """

    def __init__(self, reason: str, response: str = "") -> None:
        super().__init__(f"{reason}: {response[:300]}" if response else reason)
        self.reason = reason
        self.response = response[:4000]


class Engine(Protocol):
    """A language model. Used within `async with`; one event loop at a time.

    `concurrency` is how many requests keep it busy: more are queued, fewer leave it idle.
    `written` counts the tokens written so far, those of unfinished answers included where the
    engine can see them: it is for showing progress. So are `in_flight`, requests being answered by
    server, and `waiting`, those that the engine holds back.
    """

    @property
    def written(self) -> int:
        """Tokens written so far, for showing progress."""
        ...

    @property
    def concurrency(self) -> int:
        """Requests in flight that saturate the engine."""
        ...

    @property
    def in_flight(self) -> dict[str, int]:
        """Requests being answered, by server or kind of engine."""
        ...

    @property
    def waiting(self) -> int:
        """Requests that wait for a place or for another try."""
        ...

    def identity(self) -> dict[str, Any]:
        """What determines the answers besides the request: kind, model, its digest, tokenizer."""
        ...

    @property
    def label(self) -> str:
        """The generator's name for the provenance column."""
        ...

    def plain(self, text: str) -> str:
        """`text` such that no part of it acts as a control word of the model's chat template."""
        ...

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of `text` of at most `tokens` of the engine's tokens."""
        ...

    async def count_tokens(self, text: str) -> int:
        """Length of `text` in the engine's tokens."""
        ...

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Raises RequestFailedError when this request cannot be answered."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
