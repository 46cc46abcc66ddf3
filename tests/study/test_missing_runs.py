"""A study some of whose runs fail for good: what it says, and what it makes of the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox import Sandbox

from synthlaw.common.errors import SynthlawError
from synthlaw.execute.base import Failure
from synthlaw.execute.inline import InlineExecutor
from synthlaw.study.grid import runs_of
from synthlaw.study.load import load_study
from synthlaw.study.pipeline import Outcome, run_study


class Failing(InlineExecutor):
    """Runs whose names are in `broken` fail, as they would on a bad machine."""

    broken: tuple[str, ...] = ()

    def map(self, function: str, payloads: Any, **options: Any) -> Iterator[tuple[int, Any]]:
        listed = list(payloads)
        for number, payload in enumerate(listed):
            if isinstance(payload, dict) and payload.get("name") in self.broken:
                yield number, Failure("worker killed by signal 9")
            else:
                ((_, result),) = super().map(function, [payload], **options)
                yield number, result


@pytest.fixture
def failing(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Failing:
    del sandbox.value["generate"]
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    sandbox.value["ladder"]["sizes"].pop("b")
    sandbox.value["evaluation"]["domains"] = {}
    executor = Failing()
    monkeypatch.setattr("synthlaw.study.pipeline.make_executor", lambda *settings: executor)
    return executor


def names_of(sandbox: Sandbox) -> list[str]:
    return [one.name for one in runs_of(load_study(sandbox.write()), vocab=300)]


def run(sandbox: Sandbox, allow_missing: int = 0) -> Outcome:
    text = sandbox.write().read_text(encoding="utf-8")
    return run_study(text, "study.yaml", sandbox.folder, sandbox.out, allow_missing=allow_missing)


def test_laws_and_page_say_what_is_missing_until_it_is_there(
    sandbox: Sandbox, failing: Failing
) -> None:
    names = names_of(sandbox)
    failing.broken = (names[1],)
    with pytest.raises(SynthlawError, match=r"(?s)1 of 5 runs failed.*--allow-missing 1 to go on"):
        run(sandbox)
    assert not (sandbox.out / "report").exists()

    made = run(sandbox, allow_missing=1)
    assert made.missing == {names[1]: "worker killed by signal 9"}
    assert made.page is not None
    rows = (sandbox.out / "runs.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [name for name in names if name != names[1]]
    said = f"1 run is missing, since it failed ({names[1]}; failures.json says why)"
    assert said in json.loads((sandbox.out / "advice.json").read_text())["limits"][0]
    assert said in made.page.read_text(encoding="utf-8")

    failing.broken = ()
    whole = run(sandbox, allow_missing=1)
    assert whole.missing == {}
    assert whole.page is not None
    assert "missing, since" not in whole.page.read_text(encoding="utf-8")


def test_more_missing_than_allowed_or_all_of_them_is_an_error(
    sandbox: Sandbox, failing: Failing
) -> None:
    names = names_of(sandbox)
    failing.broken = tuple(names)
    with pytest.raises(SynthlawError, match=r"(?s)runs failed; .*these once more:"):
        run(sandbox, allow_missing=9)
    failing.broken = tuple(names[:2])
    with pytest.raises(SynthlawError, match=r"2 of 4 runs failed; the others are done"):
        run(sandbox, allow_missing=1)
