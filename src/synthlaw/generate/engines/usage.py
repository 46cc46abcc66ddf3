"""How many tokens an answer has: what the server reports, checked against the text.

Servers report nothing, zeros, other names, or the model's reasoning together with its answer; some
count the token that ends the answer (vLLM) and some do not. A report that cannot be of this text is
left aside, and the text is counted instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from synthlaw.generate.engines.answers import Answer

COMPARED = 5
"""Answers that are counted here too, to learn whether the server counts the end token."""

_LONGEST_TOKEN = 24
"""Bytes per token of a text, at most: far above any language's mean, runs of blanks included."""

_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")
_DETAILS = ("completion_tokens_details", "output_tokens_details")


@dataclass
class UsageReader:
    """Token counts of answers. count: of a text; exact: whether it counts by the model's tokenizer.

    The end token is taken off where the first answers show that the server counts it.
    """

    count: Callable[[str], Awaitable[int]]
    exact: bool
    _more: list[int] = field(default_factory=list)

    async def completion_tokens(self, answer: Answer) -> int:
        """Tokens of the text alone: no reasoning, no end token."""
        told = reported_completion(answer)
        if told is None:
            return await self.count(answer.text) if answer.text else 0
        if not self.exact or answer.finish_reason != "stop":
            return told
        if len(self._more) < COMPARED:
            self._more.append(told - await self.count(answer.text))
            return told - (self._more[-1] == 1)
        return max(told - self._end_tokens(), 1)

    async def prompt_tokens(self, answer: Answer, prompt: str) -> int:
        """Tokens of the prompt, as reported or counted."""
        told = _number(answer.usage, _PROMPT)
        return told if told else await self.count(prompt)

    def _end_tokens(self) -> int:
        """1 where most of the first answers were reported with one token more than counted."""
        return int(sorted(self._more)[len(self._more) // 2] == 1)


def reported_completion(answer: Answer) -> int | None:
    """The server's count of the text's tokens; None where it says none that can be true."""
    told = _number(answer.usage, _COMPLETION)
    if told is None or not answer.text:
        return None
    reasoning = None
    for name in _DETAILS:
        details = answer.usage.get(name)
        if isinstance(details, dict):
            reasoning = _number(details, ("reasoning_tokens",))
    if reasoning is None:
        reasoning = _number(answer.usage, ("reasoning_tokens",))
    if answer.reasoned and not reasoning:
        return None  # reported in one sum
    told -= reasoning or 0
    size = len(answer.text.encode())
    return told if size / _LONGEST_TOKEN <= told <= size + 2 and told > 0 else None


def _number(values: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """The first whole number, 0 or more, under one of the names."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 12:
            value = int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e12:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None
