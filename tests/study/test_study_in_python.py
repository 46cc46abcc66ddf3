"""`synthlaw.Study`: a study from its file and from code, as the command line runs it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from sandbox import Sandbox

import synthlaw as sl
from synthlaw.cli.study import plan as plan_command
from synthlaw.cli.study import status as status_command


def test_a_study_in_code_is_the_same_study(sandbox: Sandbox) -> None:
    path = sandbox.write()
    loaded = sl.Study.load(path)
    assert loaded.folder == sandbox.folder / "study"
    written = sl.Study(**sandbox.value, base=sandbox.folder, out=sandbox.out)
    assert written.spec == loaded.spec
    printed = json.loads(CliRunner().invoke(plan_command, [str(path), "--json"]).stdout)
    planned = json.loads(json.dumps(written.plan()))
    # What is measured now differs from one call to the next.
    for found in (printed, planned):
        del found["memory"], found["precision"]
    assert planned == printed
    assert str(written.plan()).startswith("runs          16")


def test_mistakes_name_their_key(sandbox: Sandbox) -> None:
    with pytest.raises(sl.UsageError, match="did you mean 'mixtures'"):
        sl.Study(**{**sandbox.value, "mixture": {}})
    with pytest.raises(sl.UsageError, match="no file can hold"):
        sl.Study(**{**sandbox.value, "natural": object()})
    with pytest.raises(
        sl.UsageError, match=r"found no laws\.json; expected a study run to its laws"
    ):
        sl.Study(**sandbox.value, out=sandbox.out).laws()


@pytest.mark.slow
def test_a_study_runs_and_is_read(sandbox: Sandbox) -> None:
    study = sl.Study(**sandbox.value, base=sandbox.folder, out=sandbox.out).run()
    assert study.page.is_file()
    assert len(study.runs()) == 16
    assert set(study.laws().mixtures) == {"CC", "33HQ"}
    assert study.answer().options
    assert "16 of 16 done" in str(study.status())
    printed = CliRunner().invoke(status_command, [str(sandbox.out), "--json"]).stdout
    assert json.loads(printed) == json.loads(json.dumps(study.status()))
