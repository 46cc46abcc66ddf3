"""Continuous batching: one thread that admits jobs, steps the pipeline and hands answers over.

    jobs ──► receive ──► waiting ──► admit ──► live ──► step ──► harvest ──► futures

How many rows a step has, and when a job is admitted, decide whether answers depend on neighbours:
see `openvino`.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import Any

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.engines.openvino_job import Job
from synthlaw.generate.engines.openvino_model import (
    STEP_TOKENS,
    OpenVINOModel,
    Sizes,
    is_running,
)

FEWEST_ROWS = 8
"""Sequences in every step, fillers included."""

GATHER_SECONDS = 0.02
"""Quiet after which a step begins with free places. OpenVINO holds the interpreter's lock during a
step, so requests that are being prepared would otherwise trickle in, a few per step."""

_FILLER_TOKENS = 128


def sizes_of(slots: int, cache_tokens: int) -> Sizes:
    """What the pipeline needs for `slots` jobs and their fillers."""
    return Sizes(cache_tokens + FEWEST_ROWS * 2 * _FILLER_TOKENS, slots + 2 * FEWEST_ROWS)


class Batch:
    """Serves jobs in a thread of its own from its making until `finish`.

    written: tokens so far. live: sequences in the batch now. broken: why no job is served any more.
    """

    def __init__(self, model: OpenVINOModel, *, slots: int, cache_tokens: int) -> None:
        """slots: jobs at a time. cache_tokens: room for their prompts and answers together."""
        self._model, self._slots, self._cache_tokens = model, slots, cache_tokens
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiting: deque[Job] = deque()
        self._running: list[tuple[Job, Any]] = []
        self._fillers: list[Any] = []
        self._open = True
        self.written = self.live = 0
        self.broken: SynthlawError | None = None
        self._thread = threading.Thread(target=self._serve, name="embedded engine", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Have a job answered. Raises what broke the batch; from any thread."""
        self._jobs.put(job)
        if self.broken is not None:  # after the put: the thread empties the queue when it breaks
            raise self.broken

    def finish(self) -> None:
        """Take no more jobs; returns when everything before is answered."""
        self._jobs.put(None)
        self._thread.join()

    # What follows runs in the batch's thread.

    def _serve(self) -> None:
        try:
            self._loop()
        except Exception as error:
            # Whatever breaks here must reach those who wait for it, now or later.
            self.broken = SynthlawError(f"the embedded engine failed: {error}")
            self._receive(wait=0.0, most=self._jobs.qsize())
            for job in [*self._waiting, *(job for job, _ in self._running)]:
                job.deliver(self.broken)

    def _loop(self) -> None:
        delivered = 0
        while self._open or self._waiting or self._running:
            if self._open and not self._running and not self._waiting:
                self._receive(wait=None)
                delivered = self._slots
            if self._open:
                # Those who got answers, or have just begun, are about to ask again.
                free = self._slots - len(self._running) - len(self._waiting)
                wait = GATHER_SECONDS if delivered and free > 0 else 0.0
                self._receive(wait=wait, most=max(free, 1))
            self._admit()
            delivered = self._step() if self._running else 0
            if not self._running and not self._waiting:
                self._clear()

    def _receive(self, *, wait: float | None, most: int = 1) -> None:
        """Let up to `most` new jobs wait for a place; notes when the end was announced.

        wait: seconds of quiet after which no more are expected; None waits for one.
        """
        for _ in range(most):
            try:
                job = self._jobs.get(block=wait != 0.0, timeout=wait or None)
            except queue.Empty:
                return
            if job is None:
                self._open = False
                return
            self._waiting.append(job)

    def _admit(self) -> None:
        """Start jobs, in order, while this step and the cache have room for their whole."""
        room = self._cache_tokens - sum(job.cache_tokens for job, _ in self._running)
        step = STEP_TOKENS - len(self._running) - 8 * FEWEST_ROWS
        while self._waiting and len(self._running) < self._slots:
            job = self._waiting[0]
            if job.answer.cancelled():
                self._waiting.popleft()
                continue
            room, step = room - job.cache_tokens, step - len(job.ids)
            if room < 0 or step < 0:
                break
            self._waiting.popleft()
            handle = self._model.start(job.ids, self._model.config(job.sampling, job.seed))
            self._running.append((job, handle))
        self.live = len(self._running)

    def _step(self) -> int:
        """One token for every sequence; how many jobs it finished."""
        self._level()
        self._model.pipeline.step()
        self.written += len(self._running)
        finished = self._harvest()
        self.live = len(self._running)
        return finished

    def _level(self) -> None:
        """Keep the step at FEWEST_ROWS rows with fillers, and no more of them than needed."""
        self._fillers = [handle for handle in self._fillers if is_running(handle)]
        while self._fillers and len(self._running) + len(self._fillers) > FEWEST_ROWS:
            self._fillers.pop(0).cancel()
        while len(self._running) + len(self._fillers) < FEWEST_ROWS:
            self._fillers.append(self._model.filler(_FILLER_TOKENS))

    def _harvest(self) -> int:
        """Hand over what this step finished and forget abandoned requests; how many it finished."""
        finished, running = 0, []
        for job, handle in self._running:
            if job.answer.cancelled():
                handle.cancel()
            elif is_running(handle):
                running.append((job, handle))
            else:
                job.deliver(self._model.completion(job, handle))
                finished += 1
        self._running = running
        return finished

    def _clear(self) -> None:
        """Leave the pipeline empty."""
        for handle in self._fillers:
            handle.cancel()
        self._fillers.clear()
        while self._model.pipeline.has_non_finished_requests():
            self._model.pipeline.step()
