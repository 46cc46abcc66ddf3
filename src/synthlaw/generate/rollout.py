"""Recipes in Python: an async function of a document and a `generate` callable.

    async def rollout(document, generate):
        facts = await generate({"messages": [{"role": "user", "content": FACTS + document.text}]})
        return await generate({"messages": [{"role": "user", "content": STORY + facts.text}]})

The signature is that of datatrove's `rollout_fn`, so such functions fit. A YAML file names the
function (`python: letters.py:rollout`), its version and its post-filter rules; the digest of the
Python file is part of the recipe, so changed code never mixes with old results.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import Completion

SAMPLING_KEYS = ("temperature", "top_p", "top_k", "repetition_penalty", "frequency_penalty")
"""Payload keys that override the run's sampling for one request; so does `max_tokens`."""


@dataclass(frozen=True)
class RolloutDocument:
    """What the function is given: the document as it may stand in a prompt."""

    id: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One completion, as the function sees it. usage: prompt_tokens and completion_tokens."""

    text: str
    finish_reason: str
    usage: dict[str, int]

    @classmethod
    def of(cls, completion: Completion) -> Answer:
        """A completion in the function's terms."""
        usage = {
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
        }
        return cls(completion.text, completion.finish_reason, usage)


Generate = Callable[[dict[str, Any]], Awaitable[Answer]]
Rollout = Callable[[RolloutDocument, Generate], Awaitable[Any]]


def load_rollout(reference: str) -> Rollout:
    """The function that `file.py:name` names. Runs the file.

    Raises UsageError when there is no such file or async function in it.
    """
    file, _, name = reference.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"python: found {reference!r}; expected file.py:function")
    spec = importlib.util.spec_from_file_location(f"synthlaw_rollout_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"python: {path} cannot be run ({error!r})") from error
    function = getattr(module, name, None)
    if not inspect.iscoroutinefunction(function):
        raise UsageError(f"python: found no async function {name!r} in {path}")
    rollout: Rollout = function
    return rollout


def parse_payload(payload: Any) -> tuple[str, list[tuple[str, str]], str, dict[str, Any]]:
    """System, earlier turns, last user turn, and sampling overrides of a chat payload.

    Raises ValueError for messages that do not end with the user's turn, or unknown keys.
    """
    if isinstance(payload, str):
        payload = {"messages": [{"role": "user", "content": payload}]}
    turns = [(str(turn["role"]), str(turn["content"])) for turn in payload["messages"]]
    known = {"messages", "model", "max_tokens", "seed", *SAMPLING_KEYS}
    unknown = sorted(set(payload) - known)
    if unknown:
        raise ValueError(f"generate: found the keys {unknown}; expected some of {sorted(known)}")
    if not turns or turns[-1][0] != "user":
        raise ValueError("generate: the last message must be the user's")
    system = turns.pop(0)[1] if turns[0][0] == "system" else ""
    if any(role not in ("user", "assistant") for role, _ in turns):
        raise ValueError("generate: expected the roles system (first), user and assistant")
    overrides = {key: payload[key] for key in (*SAMPLING_KEYS, "max_tokens") if key in payload}
    return system, turns[:-1], turns[-1][1], overrides


class RequestNames:
    """A name for each request of one rollout that does not depend on the order of answers.

    Requests are named by what they ask; equal ones are told apart by counting.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def name(self, payload: Any) -> str:
        """The next name for this payload."""
        digest = digest_of(payload)[:12]
        self._seen[digest] += 1
        return f"{digest}.{self._seen[digest]}"


def texts_of(result: Any) -> list[str]:
    """The documents that a function returned: a text, an answer, a mapping with one, or several.

    Raises TypeError for anything else.
    """
    if result is None:
        return []
    if isinstance(result, str):
        return [result]
    if isinstance(result, dict) and isinstance(result.get("text"), str):
        return [result["text"]]
    if isinstance(result, list | tuple):
        return [text for one in result for text in texts_of(one)]
    text = getattr(result, "text", None)
    if isinstance(text, str):
        return [text]
    raise TypeError(f"rollout: returned {type(result).__name__}; expected text")
