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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.generate.engines.answers import clean
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError
from synthlaw.generate.filing import Filing
from synthlaw.generate.filters import Candidate
from synthlaw.generate.generated import Generated
from synthlaw.generate.requests import NOTHING_ASKED, Requests, Rollout

SAMPLING_KEYS = ("temperature", "top_p", "top_k", "repetition_penalty", "frequency_penalty")
"""Payload keys that override the run's sampling for one request; so does `max_tokens`."""


@dataclass(frozen=True)
class RolloutDocument:
    """What the function is given: the document as it may stand in a prompt."""

    id: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatCompletion:
    """One completion, as the function sees it. usage: prompt_tokens and completion_tokens."""

    text: str
    finish_reason: str
    usage: dict[str, int]

    @classmethod
    def of(cls, completion: Completion) -> ChatCompletion:
        """A completion in the function's terms."""
        usage = {
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
        }
        return cls(completion.text, completion.finish_reason, usage)


Generate = Callable[[dict[str, Any]], Awaitable[ChatCompletion]]
RolloutFunction = Callable[[RolloutDocument, Generate], Awaitable[Any]]


def load_function(reference: str) -> RolloutFunction:
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
    rollout: RolloutFunction = function
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
    """A name for each request of one rollout that does not depend on which is completed first.

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
    """The texts that a function returned: a text, a completion, a mapping with one, or several.

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


class FunctionRecipe:
    """A Python recipe at work: its function on one document after another."""

    def __init__(self, function: RolloutFunction, requests: Requests, filing: Filing) -> None:
        self._function, self._requests, self._filing = function, requests, filing
        self._engine, self._settings = requests.engine, requests.settings

    async def make(self, rollout: Rollout, whole: Generated) -> None:
        """One rollout; files its texts, or why there are none, in `whole`."""
        asked = _Asked()
        document, recipe = rollout.document, self._settings.recipe
        digest = digest_of([self._requests.digest, document.id, rollout.number])
        identity = f"{recipe.name}-{digest[:24]}"
        given = RolloutDocument(document.id, rollout.text, dict(document.fields))
        try:
            returned = await self._function(given, self._generate(rollout, asked))
            texts = [clean(text) for text in texts_of(returned)]
        except Exception as error:
            # Somebody else's code: whatever it raises concerns this document alone, except what
            # the engine itself raises to stop the run.
            if isinstance(error, SynthlawError) and not isinstance(error, RequestFailedError):
                raise
            request, reason = asked.failed[-1] if asked.failed else (None, None)
            shown = reason or RequestFailedError("rollout-error", repr(error))
            fields = self._filing.provenance(rollout, "rollout", request or NOTHING_ASKED)
            self._filing.fail(identity, fields, document, request, shown, whole)
            return
        for number, text in enumerate(texts, start=1):
            origin, completion = await self._origin(text, asked)
            name = "rollout" if len(texts) == 1 else f"rollout-{number}"
            fields = self._filing.provenance(rollout, name, origin)
            candidate = Candidate(completion, rollout.text, (), recipe.target_tokens)
            kept, dropped = whole.documents, whole.dropped
            place = f"{identity}-{number}"
            self._filing.file(place, fields, candidate, recipe.rules, kept, dropped)

    def _generate(self, rollout: Rollout, asked: _Asked) -> Generate:
        """What the function is given to ask with."""
        names, plain = RequestNames(), self._engine.plain

        async def generate(payload: dict[str, Any]) -> ChatCompletion:
            system, earlier, prompt, overrides = parse_payload(payload)
            name = names.name(payload)
            sampling = replace(self._settings.sampling, **overrides)
            before = tuple((role, plain(content)) for role, content in earlier)
            seed = self._requests.seed(rollout, name)
            request = Request(plain(prompt), plain(system), sampling, seed, before)
            key = self._requests.key(rollout, name, request)
            result = await self._requests.ask(rollout, key, request)
            if isinstance(result, RequestFailedError):
                asked.failed.append((request, result))
                raise result
            asked.completed[name] = (request, result)
            return ChatCompletion.of(result)

        return generate

    async def _origin(self, text: str, asked: _Asked) -> tuple[Request, Completion]:
        """The request whose completion `text` is; for a text put together, the last by name."""
        completed = asked.completed
        for _, (request, completion) in sorted(completed.items()):
            if completion.text == text:
                return request, completion
        tokens = await self._engine.count_tokens(text)
        if not completed:
            return NOTHING_ASKED, Completion(text, "stop", 0, tokens)
        request, completion = completed[max(completed)]
        return request, replace(completion, text=text, completion_tokens=tokens)


@dataclass
class _Asked:
    """What a function has asked so far, by the names of its requests."""

    completed: dict[str, tuple[Request, Completion]] = field(default_factory=dict)
    failed: list[tuple[Request, RequestFailedError]] = field(default_factory=list)
