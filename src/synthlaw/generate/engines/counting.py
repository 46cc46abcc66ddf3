"""Counting a server's tokens: by its tokenizer file, by asking it, or by an estimate.

A document is cut before it is sent, so the count must come from the model that will read it. The
way of counting is part of the engine's identity: another way cuts elsewhere, so it never shares
results with the first.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

import httpx
from tokenizers import Tokenizer

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import SynthlawError, UsageError

BYTES_PER_TOKEN = 4
"""Of the estimate: English text in UTF-8 has 4 to 4.5 bytes per token in current tokenizers."""


class TokenCounter(Protocol):
    """Counts and cuts text in some model's tokens."""

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
    """The `/tokenize` and `/detokenize` of a vLLM server."""

    def __init__(self, root: str, model: str, headers: dict[str, str]) -> None:
        """root: the server's URL without its version path."""
        self._root, self._model, self._headers = root, model, headers

    def identity(self) -> dict[str, str]:
        """The server's own tokenizer belongs to its model."""
        return {"by": "server"}

    def works(self, client: httpx.Client) -> bool:
        """Whether the server answers both calls as expected."""
        try:
            body = {"model": self._model, "prompt": "one two", "add_special_tokens": False}
            ids = client.post(f"{self._root}/tokenize", json=body).raise_for_status()
            back = {"model": self._model, "tokens": ids.json()["tokens"]}
            text = client.post(f"{self._root}/detokenize", json=back).raise_for_status()
            return str(text.json()["prompt"]).strip() == "one two"
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False

    async def _ask(self, path: str, body: dict[str, Any]) -> Any:
        """One answer, with a few tries: a document must not fail for one dropped connection."""
        async with httpx.AsyncClient(headers=self._headers) as client:
            for tries in range(5):
                try:
                    answer = await client.post(f"{self._root}/{path}", json=body, timeout=60)
                    return answer.raise_for_status().json()
                except (httpx.HTTPError, ValueError) as error:
                    if tries == 4:
                        raise SynthlawError(
                            f"{self._root}/{path}: no answer in 5 tries ({error!r})"
                        ) from error
                    await asyncio.sleep(2.0**tries)

    async def _ids(self, text: str) -> list[int]:
        body = {"model": self._model, "prompt": text, "add_special_tokens": False}
        ids: list[int] = (await self._ask("tokenize", body))["tokens"]
        return ids

    async def count(self, text: str) -> int:
        """Tokens in `text`, none added."""
        return len(await self._ids(text))

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix whose tokens the server decodes to a prefix of the text."""
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
        body = {"model": self._model, "tokens": ids[:tokens]}
        kept = str((await self._ask("detokenize", body))["prompt"]).rstrip("\ufffd")
        # Decoders that add or drop a space still tell the length.
        return kept if text.startswith(kept) else text[: len(kept)]


class EstimateCounter:
    """Four bytes are taken for one token; for servers that do not say."""

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
