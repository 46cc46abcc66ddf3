"""Jobs by processes of this machine: an executor for `common.parts.map_parts`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from synthlaw.common.errors import SynthlawError
from synthlaw.common.parts import function_named


@dataclass(frozen=True)
class Failure:
    """Why a job failed. exit_status: 2 for a bad input, 1 for anything else."""

    message: str
    exit_status: int = 1


class ProcessPool:
    """`workers` processes, by default one for each core; they start with the first jobs and end
    with `close`. A single job is done in this process."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def map(
        self, function: str, payloads: Sequence[Any]
    ) -> Iterator[tuple[int, dict[str, Any] | Failure]]:
        """See `common.parts.Executor`. Raises SynthlawError when a process dies."""
        if self.workers <= 1 or len(payloads) <= 1:
            for index, payload in enumerate(payloads):
                yield index, _carry_out(function, payload)
            return
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self.workers, context, initializer=_begin, initargs=(os.getpid(),)
            )
        futures = {
            self._pool.submit(_carry_out, function, payload): index
            for index, payload in enumerate(payloads)
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            self._pool = None
            raise SynthlawError(
                "a worker process ended before its work was done, perhaps for want of memory; what "
                "is finished is kept: run the same command again, with fewer workers if need be"
            ) from None
        finally:
            for future in futures:
                future.cancel()


def _carry_out(function: str, payload: Any) -> dict[str, Any] | Failure:
    try:
        return dict(function_named(function)(payload))
    except SynthlawError as error:
        return Failure(str(error), error.exit_status)


def _begin(parent: int) -> None:
    """Prepare a worker: one thread, and an end when Ctrl-C or the parent's end says so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import pyarrow

    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
