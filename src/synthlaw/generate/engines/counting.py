"""Counting a server's tokens: by its tokenizer file, by asking it, or by an estimate.

A document is cut before it is sent, so the count must come from the model that will read it. The
way of counting is part of the engine's identity: another way cuts elsewhere, so it never shares
results with the first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import RequestFailedError

BYTES_PER_TOKEN = 4
"""Of the estimate: English text in UTF-8 has 4 to 4.5 bytes per token in current tokenizers."""


Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""A question to a server: path and JSON in, JSON out. Raises RequestFailedError."""


class TokenCounter(Protocol):
    """Counts and cuts text in some model's tokens."""

    @property
    def exact(self) -> bool:
        """Whether the model's own tokenizer counts."""
        ...

    def identity(self) -> dict[str, str]:
        """What determines the counts."""
        ...

    async def count(self, text: str) -> int:
        """Tokens in `text`."""
        ...

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of `text` with at most `tokens` tokens."""
        ...


class FileCounter:
    """A Hugging Face `tokenizer.json`."""

    exact = True

    def __init__(self, path: Path) -> None:
        """Raises UsageError when `path` is no such file."""
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
            self._digest = file_digest(path)
        except Exception as error:  # the library raises bare Exception
            raise UsageError(
                f"tokenizer: found {path}; expected a tokenizer.json file ({error})"
            ) from error
        self._tokenizer.no_truncation()
        # The document's control words are plain text here as they are in the prompt.
        self._tokenizer.encode_special_tokens = True

    def identity(self) -> dict[str, str]:
        """The file's digest."""
        return {"by": "file", "sha256": self._digest}

    async def count(self, text: str) -> int:
        """Tokens in `text`, none added."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    async def truncate(self, text: str, tokens: int) -> str:
        """A prefix that ends where token number `tokens` ends."""
        characters = 8 * tokens
        while True:
            head = text[:characters]
            offsets = self._tokenizer.encode(head, add_special_tokens=False).offsets
            if len(offsets) > tokens:
                # Tokens that are parts of one character all have its end.
                kept = [end for _, end in offsets[:tokens]]
                end = kept[-1] if offsets[tokens][0] >= kept[-1] else offsets[tokens][0]
                return text[:end]
            if len(head) == len(text):
                return text
            characters *= 2


class ServerCounter:
    """The `/tokenize` and `/detokenize` of a vLLM or llama.cpp server.

    One wants the text as `prompt`, the other as `content`, and each leaves the other's name alone,
    so both are sent.
    """

    exact = True

    def __init__(self, ask: Ask, model: str) -> None:
        """ask: puts a question to one of the engine's servers and returns the JSON answered."""
        self._ask, self._model = ask, model

    def identity(self) -> dict[str, str]:
        """The server's own tokenizer belongs to its model."""
        return {"by": "server"}

    async def works(self) -> bool:
        """Whether the server answers both calls as expected."""
        try:
            return (await self._text(await self._ids("one two"))).strip() == "one two"
        except RequestFailedError:
            return False

    async def _ids(self, text: str) -> list[int]:
        body = {"model": self._model, "prompt": text, "content": text}
        value = await self._ask("//tokenize", body | {"add_special_tokens": False})
        ids = value.get("tokens") if isinstance(value, dict) else None
        if not isinstance(ids, list) or not {int}.issuperset(map(type, ids)):
            raise RequestFailedError("tokenize", f"no tokens in {str(value)[:200]}")
        return ids

    async def _text(self, ids: list[int]) -> str:
        value = await self._ask("//detokenize", {"model": self._model, "tokens": ids})
        found = (value.get("prompt") or value.get("content")) if isinstance(value, dict) else None
        if not isinstance(found, str):
            raise RequestFailedError("detokenize", f"no text in {str(value)[:200]}")
        return found

    async def count(self, text: str) -> int:
        """Tokens in `text`, none added. Raises RequestFailedError."""
        return len(await self._ids(text))

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix whose tokens the server decodes to a prefix of the text.

        Raises RequestFailedError.
        """
        if len(text.encode()) <= tokens:
            return text
        characters = 8 * tokens
        while True:
            head = text[:characters]
            ids = await self._ids(head)
            if len(ids) > tokens:
                break
            if len(head) == len(text):
                return text
            characters *= 2
        kept = (await self._text(ids[:tokens])).rstrip("\ufffd")
        # Decoders that add or drop a space still tell the length.
        return kept if text.startswith(kept) else text[: len(kept)]


class EstimateCounter:
    """Four bytes are taken for one token; for servers that do not say."""

    exact = False

    def identity(self) -> dict[str, str]:
        """The estimate and its ratio."""
        return {"by": "estimate", "bytes_per_token": str(BYTES_PER_TOKEN)}

    async def count(self, text: str) -> int:
        """Bytes over four, rounded up."""
        return -(-len(text.encode()) // BYTES_PER_TOKEN)

    async def truncate(self, text: str, tokens: int) -> str:
        """The first `4 * tokens` bytes, cut between characters."""
        head = text[: BYTES_PER_TOKEN * tokens].encode()[: BYTES_PER_TOKEN * tokens]
        return head.decode(errors="ignore")
