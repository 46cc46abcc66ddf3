"""The names and values by which a server takes sampling, learned from its refusals.

Every value is sent, also those that are "off": a server fills what is missing from the model's own
`generation_config.json` (vLLM) or from its own defaults (llama.cpp: top-k 40), and the recorded
sampling would be false. Strict servers refuse what they do not know. Then:

- `max_tokens` becomes `max_completion_tokens`;
- top-k "off" is 0, then -1 (SGLang), then left out;
- another value that is off is left out: a server that does not know it cannot apply it;
- a seed is left out and that is said, since the same request then gets another answer each time;
- a value that was asked for is never left out: the refusal stands, in the server's words.
"""

from __future__ import annotations

import re
from typing import Any

from synthlaw.common.progress import say
from synthlaw.generate.engines.base import Request, Sampling

_REFUSALS = frozenset({"http-400", "http-422", "http-501", "error-answer"})
_BEYOND_THE_PROTOCOL = ("top_k", "min_p", "repetition_penalty", "repeat_penalty")
_OFF = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "repeat_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
}
_RECORDED = frozenset({"seed", *Sampling().record()})
_UNKNOWN_FIELD = re.compile(
    r"extra (?:fields?|inputs?)|additional propert|unknown|unrecognized|unexpected|unsupported|"
    r"not (?:supported|permitted|allowed)",
    re.IGNORECASE,
)


class Dialect:
    """What is sent to the servers of one engine; `version` grows with each thing learned."""

    def __init__(self) -> None:
        self.version = 0
        self._length, self._top_k_off = "max_tokens", 0
        self._left_out: set[str] = set()

    @property
    def unsent(self) -> str:
        """Names of recorded values that are left out, in order, with spaces between."""
        return " ".join(sorted(self._left_out & _RECORDED))

    def fields(self, request: Request) -> dict[str, Any]:
        """Sampling and seed of a request as the server takes them."""
        sampling = request.sampling
        values: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or self._top_k_off,
            "min_p": 0.0,
            "repetition_penalty": sampling.repetition_penalty,
            "repeat_penalty": sampling.repetition_penalty,  # llama.cpp's name
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": 0.0,
            self._length: sampling.max_tokens,
            "seed": request.seed,
        }
        return {name: value for name, value in values.items() if name not in self._left_out}

    def learn(self, reason: str, said: str, request: Request, version: int) -> bool:
        """Whether a refusal is one of the dialect, so that the request should be sent again.

        version: of the dialect that was refused.
        """
        if reason not in _REFUSALS:
            return False
        if version != self.version:
            return True  # another request met it first
        named = [name for name in self.fields(request) if re.search(rf"\b{name}\b", said)]
        learned = self._learn(named, said, request)
        self.version += learned
        return learned

    def _learn(self, named: list[str], said: str, request: Request) -> bool:
        sent = self.fields(request)
        if "max_tokens" in named and "max_completion_tokens" in said:
            self._length = "max_completion_tokens"
            say("  the server takes max_completion_tokens for max_tokens")
            return True
        if "top_k" in named and sent["top_k"] == 0 and not _UNKNOWN_FIELD.search(said):
            self._top_k_off = -1
            return True
        unknown = [name for name in named if self._is_off(name, sent[name])]
        if unknown:
            if set(unknown) & set(_BEYOND_THE_PROTOCOL):
                # Who refuses one of these refuses all: one refused request instead of four.
                unknown += [
                    name
                    for name in _BEYOND_THE_PROTOCOL
                    if name in sent and self._is_off(name, sent[name])
                ]
            self._left_out |= set(unknown)
            return True
        if "seed" in named and _UNKNOWN_FIELD.search(said):
            self._left_out.add("seed")
            say("  the server takes no seed: the same request gets another answer each time")
            return True
        return False

    @staticmethod
    def _is_off(name: str, value: Any) -> bool:
        if name == "top_k":
            return value in (0, -1)
        # One value under two names is off in both or in none.
        return name in _OFF and value == _OFF[name]
