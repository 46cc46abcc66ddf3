"""Start a run's processes on this machine, as `torchrun --standalone` does, and end with them.

torchrun itself always leaves with status 1. Here the error that a process met comes back as it
was, and a run that SIGTERM stopped leaves with 143, so that a scheduler can tell it from a
failure. Every process started by torch's elastic agent, ours or torchrun's, dies with it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.locks import exclusive
from synthlaw.common.machine import die_with
from synthlaw.training.interrupt import InterruptedRunError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

SAVE_SECONDS = 600
"""After SIGTERM: time to finish a step and save. A scheduler's own patience is usually shorter."""

MEET_SECONDS = 300
"""What machines that a scheduler started together wait for each other."""

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

LAUNCHED = "SYNTHLAW_LAUNCHED"
"""Set for the processes of `run_processes`, which tells their errors, so that they need not."""


class LostProcessError(SynthlawError):
    """Another process of the run went away; its own error says why."""


@dataclass(frozen=True)
class Place:
    """This machine among those that train a run together. rank: its number. endpoint: HOST:PORT of
    the first, where all meet."""

    nodes: int
    rank: int
    endpoint: str


def run_processes(count: int, command: Sequence[str], place: Place | None = None) -> None:
    """Run `command` as `count` processes on this machine and wait for them.

    They are a world of their own, or part of one over several machines at `place`. Their standard
    streams are ours. Raises what the process that failed first raised (its kind by exit status, its
    text as recorded), or InterruptedRunError after SIGTERM.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does
    handlers = {number: signal.getsignal(number) for number in _HANDLED}
    with tempfile.TemporaryDirectory(prefix="synthlaw-") as logs:
        config = LaunchConfig(
            min_nodes=place.nodes if place else 1,
            max_nodes=place.nodes if place else 1,
            nproc_per_node=count,
            run_id=place.endpoint if place else str(uuid.uuid4()),
            rdzv_backend="static" if place else "c10d",
            rdzv_endpoint=place.endpoint if place else "localhost:0",
            rdzv_configs={"rank": place.rank, "timeout": MEET_SECONDS} if place else {},
            local_addr=None if place else "localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
            shutdown_timeout=SAVE_SECONDS,
        )
        try:
            os.environ[LAUNCHED] = "1"
            elastic_launch(config, command[0])(*command[1:])
        except ChildFailedError as error:
            raise _first_cause(error) from None
        except SignalException as error:
            if error.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise InterruptedRunError(
                f"stopped by {error.sigval.name}; run again to resume from the last checkpoint"
            ) from None
        finally:
            del os.environ[LAUNCHED]
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _first_cause(error: ChildFailedError) -> SynthlawError:
    """The failure that others followed from: they lost a process, or were ended by the agent."""
    ordered = sorted(
        error.failures.items(), key=lambda item: (_follows(item[1]), item[1].timestamp, item[0])
    )
    rank, failure = ordered[0]
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        hint = " (out of memory is the usual reason)" if name == "SIGKILL" else ""
        return SynthlawError(f"process {rank} was killed by {name}{hint}; run again to resume")
    text = _recorded(failure) or f"process {rank} ended with status {failure.exitcode}"
    if _lost(failure):
        return LostProcessError(text)
    kinds: dict[int, Callable[[str], SynthlawError]] = {
        UsageError.exit_status: UsageError,
        128 + signal.SIGTERM: InterruptedRunError,
    }
    return kinds.get(failure.exitcode, SynthlawError)(text)


def _follows(failure: ProcessFailure) -> bool:
    return failure.exitcode == -signal.SIGTERM or _lost(failure)


def _lost(failure: ProcessFailure) -> bool:
    return str(failure.message).startswith(LostProcessError.__name__)


def _recorded(failure: ProcessFailure) -> str | None:
    """The error's text as `record_error` left it, without the name of its class."""
    data = failure.error_file_data.get("message")
    if not isinstance(data, dict):
        return None
    kind, _, text = str(data["message"]).partition(": ")
    known = kind in {"SynthlawError", "UsageError", "InterruptedRunError", "LostProcessError"}
    return text if known else f"{kind}: {text}"


def record_error(error: Exception) -> None:
    """Leave the error where the elastic agent that started this process looks for it."""
    if "TORCHELASTIC_ERROR_FILE" in os.environ:
        from torch.distributed.elastic.multiprocessing.errors import get_error_handler

        get_error_handler().record_exception(error)


def is_launched() -> bool:
    """Whether an elastic agent, ours or torchrun's, started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Around all that a launched process does: it ends here, its exit status kept.

    Seen once among some hundred runs of tests: a process that had done its work was aborted while
    the interpreter unwound ("terminate called without an active exception", a thread of the
    library's that was still there), and a finished run was told as a failed one.
    """
    status = 0
    try:
        yield
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    with suppress(OSError):  # whoever read them may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def alone_in(out: Path) -> AbstractContextManager[None]:
    """Hold the run's folder `out`, once for all of its processes: by who starts them, else by the
    first. Raises UsageError that names the process which trains there.
    """
    if LAUNCHED in os.environ or (is_launched() and os.environ.get("RANK") != "0"):
        return nullcontext()
    return exclusive(out)


def die_with_parent() -> None:
    """End this process when the agent that started it is gone.

    The agent gives its processes sessions of their own, so whoever kills the agent with -9 would
    leave them training in a folder that the next attempt opens too.
    """
    if is_launched():
        die_with(os.getppid())
