"""Work on many pieces at once: processes that report how far they are and die with their parent."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from synthlaw.common.errors import SynthlawError
from synthlaw.common.progress import Meter

Task = tuple[Callable[..., None], tuple[Any, ...]]
"""A function of a module and its arguments; the function is told `tell` besides, as its last."""

_done: Any = None


def run_tasks(tasks: Sequence[Task], workers: int, bar: Meter) -> None:
    """Do all tasks, at most `workers` at once; `bar` advances by what they tell.

    Raises what a task raised, and SynthlawError when a process died.
    """
    if workers <= 1 or len(tasks) <= 1:
        for function, arguments in tasks:
            function(*arguments, bar.advance)
        return
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    with ProcessPoolExecutor(
        min(workers, len(tasks)), context, initializer=_begin, initargs=(done, os.getpid())
    ) as pool:
        futures = [pool.submit(_do, task) for task in tasks]
        before = bar.done
        try:
            while True:
                finished, left = wait(futures, timeout=0.5, return_when=FIRST_EXCEPTION)
                bar.update(before + done.value)
                for future in finished:
                    future.result()
                if not left:
                    return
        except BrokenProcessPool:
            raise SynthlawError(
                "a worker process died, perhaps for lack of memory; what is finished is kept: run "
                "again to go on, with fewer workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(done: Any, parent: int) -> None:
    """Prepare a worker: one thread, and an end when the parent ends."""
    global _done  # noqa: PLW0603  one counter for each process
    _done = done
    import pyarrow

    pyarrow.set_cpu_count(1)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _do(task: Task) -> None:
    function, arguments = task
    function(*arguments, _tell)


def _tell(amount: int) -> None:
    with _done.get_lock():
        _done.value += amount
