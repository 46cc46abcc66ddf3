"""An engine for models without a chat: what was trained on plain text goes on with a plain text.

It is how a model that a study trained writes the text of the next round. Answers are made one at a
time, on one thread in fp32, each with a random stream of its own: so an answer depends on its
request alone, whatever is asked beside it. That suits models of a few million parameters; for
larger ones serve the folder with vLLM.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError
from synthlaw.generate.engines.model_folder import folder_digest

_UNSENT = ("frequency_penalty",)
"""Sampling values that transformers does not know."""


class ContinuingEngine:
    """A causal language model of transformers, from a folder; it loads at first use."""

    def __init__(self, model: str | None) -> None:
        """model: a Hugging Face folder with a tokenizer.json, such as `synthlaw export` writes.

        Raises UsageError when it is not there.
        """
        if model is None or not (Path(model) / "tokenizer.json").is_file():
            raise UsageError(
                f"model: found {model or 'none'}; kind 'transformers' takes a Hugging Face folder "
                "with config.json, tokenizer.json and safetensors"
            )
        self._folder = Path(model)
        self._model: Any = None
        self._tokenizer: Any = None
        self._turn = asyncio.Lock()
        self._asked = self.written = 0

    @property
    def concurrency(self) -> int:
        """One that is answered and one that is ready."""
        return 2

    @property
    def in_flight(self) -> dict[str, int]:
        """One answer at a time."""
        return {"transformers": min(1, self._asked)}

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return max(0, self._asked - 1)

    @property
    def _digest(self) -> str:
        return folder_digest(self._folder)

    @property
    def label(self) -> str:
        """Name of the folder and the head of its digest."""
        return f"transformers:{self._folder.name}@{self._digest[:12]}"

    def identity(self) -> dict[str, Any]:
        """Kind, folder's name, digest of its files, precision."""
        return {
            "kind": "transformers",
            "model": self._folder.name,
            "model_sha256": self._digest,
            "precision": "fp32",
        }

    def plain(self, text: str) -> str:
        """Text as it is: its words are encoded such that none acts as control."""
        return text

    async def __aenter__(self) -> Self:
        if self._model is None:
            await asyncio.to_thread(self._load)
        self._turn = asyncio.Lock()  # of this event loop
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def _load(self) -> None:
        try:
            from transformers import AutoModelForCausalLM
            from transformers.utils import logging
        except ImportError as error:
            raise MissingExtraError("transformers", "rounds", "kind 'transformers'") from error
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = True
        shown: Any = logging
        shown.disable_progress_bar()
        model: Any = AutoModelForCausalLM.from_pretrained(self._folder, local_files_only=True)
        self._model = model.float().eval()

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    async def count_tokens(self, text: str) -> int:
        """Length in the model's tokens."""
        return len(self._encode(text))

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of at most `tokens` tokens, as far as one can be cut."""
        found = self._tokenizer.encode(text, add_special_tokens=False)
        if len(found.ids) <= tokens:
            return text
        kept = text[: found.offsets[tokens - 1][1]]
        while kept and len(self._encode(kept)) > tokens:  # cut inside a character
            kept = kept[:-1]
        return kept

    async def complete(self, request: Request) -> Completion:
        """What the model writes after the prompt; system and earlier turns stand before it."""
        prompt = "\n\n".join(turn["content"] for turn in request.messages())
        bos = self._model.config.bos_token_id
        ids = [*([] if bos is None else [bos]), *self._encode(prompt)]
        room = int(self._model.config.max_position_embeddings) - len(ids)
        if room < 1:
            raise RequestFailedError(
                "prompt-too-long",
                f"{len(ids)} tokens; the model was trained on {room + len(ids)} at a time",
            )
        self._asked += 1
        try:
            async with self._turn:
                found = await asyncio.to_thread(self._continue, ids, request, room)
        finally:
            self._asked -= 1
        end = self._model.config.eos_token_id
        stopped = bool(found) and found[-1] == end
        written = found[:-1] if stopped else found
        self.written += len(written)
        sampling = request.sampling.record()
        return Completion(
            text=self._tokenizer.decode(written, skip_special_tokens=False),
            finish_reason="stop" if stopped else "length",
            prompt_tokens=len(ids),
            completion_tokens=len(written),
            unsent=",".join(name for name in _UNSENT if sampling[name]),
        )

    def _continue(self, ids: list[int], request: Request, room: int) -> list[int]:
        """Ids that follow, the end token included."""
        import torch

        sampling = request.sampling
        drawn = sampling.temperature > 0
        how: dict[str, Any] = {"do_sample": drawn}
        if drawn:
            how |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
            how["top_k"] = sampling.top_k
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]), torch.inference_mode():
                torch.manual_seed(request.seed)
                prompt = torch.tensor([ids])
                out = self._model.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    max_new_tokens=min(sampling.max_tokens, room),
                    repetition_penalty=sampling.repetition_penalty,
                    pad_token_id=self._model.config.eos_token_id,
                    **how,
                )
        finally:
            torch.set_num_threads(threads)
        return [int(one) for one in out[0, len(ids) :]]
