"""Jobs in this process, one after the other: for few or small ones, which no worker would speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from synthlaw.common.errors import InterruptedWorkError
from synthlaw.execute.base import ClosingExecutor, Failure, Json, Report, do_job


class InlineExecutor(ClosingExecutor):
    """Carries out every job where it is asked for."""

    def map(
        self,
        function: str,
        payloads: Iterable[Json],
        *,
        on_progress: Report | None = None,
        seconds: Callable[[Json], float] | None = None,
        kind: Callable[[Json], str] | None = None,
        ordered: bool = False,
    ) -> Iterator[tuple[int, Json | Failure]]:
        """See `Executor.map`; jobs are done in the order of their payloads."""
        for number, payload in enumerate(payloads):
            outcome = do_job(function, payload, on_progress or _ignore)
            if outcome["event"] == "interrupted":
                raise InterruptedWorkError(outcome["message"], outcome["status"])
            if outcome["event"] == "failed":
                yield number, Failure(outcome["message"], outcome["status"])
            else:
                yield number, outcome["result"]


def _ignore(amount: float) -> None:
    """Nobody listens."""
