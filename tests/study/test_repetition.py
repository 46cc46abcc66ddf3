"""Repetition in the ladder and in the run that is asked about: told apart, or made alike."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from sandbox import Sandbox

from synthlaw.cli.main import cli
from synthlaw.common.errors import UsageError
from synthlaw.study.grid import runs_of, tokens_needed
from synthlaw.study.load import load_study
from synthlaw.study.pipeline import run_study
from synthlaw.study.repetition import unique_tokens


@pytest.fixture
def short(sandbox: Sandbox) -> Sandbox:
    """A target that reads natural text four times: 4B of it for 16B tokens."""
    sandbox.value["question"] = {"params": "1B", "tokens": "16B", "supply": {"natural": "4B"}}
    sandbox.value["ladder"] |= {
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "budgets": [1024, 2048],
    }
    return sandbox


def test_a_plan_tells_of_repetition_that_the_ladder_lacks(short: Sandbox) -> None:
    told = CliRunner().invoke(cli, ["plan", str(short.write()), "--json"])
    assert told.exit_code == 0, told.output
    (said,) = json.loads(told.stdout)["warnings"]
    assert "CC reads natural 4 times (4B at hand)" in said
    assert "read it once" in said and "unique_tokens: matched" in said
    assert "2606.07597" in CliRunner().invoke(cli, ["plan", str(short.write())]).output


def test_matched_runs_repeat_at_every_budget_as_the_target_does(short: Sandbox) -> None:
    short.value["ladder"] |= {"unique_tokens": "matched", "max_epochs": 4}
    short.value["generate"] = {}
    short.value["mixtures"] = {"CC": {"natural": 1.0}}
    study = load_study(short.write())
    assert unique_tokens(study, "CC", 64) == {"natural": 512.0}
    assert tokens_needed(study, runs_of(study, 300))["natural"] == 513
    run_study(short.write().read_text(), "study.yaml", short.folder, short.out, until="training")
    mixtures = json.loads((short.out / "mixtures.json").read_text())
    epochs = {m["tokens"]: s["epochs"] for m in mixtures for s in m["sources"]}
    assert epochs == {1024: 4.0, 2048: 4.0}
    told = CliRunner().invoke(cli, ["plan", str(short.write()), "--json"])
    assert json.loads(told.stdout)["warnings"] == []


def test_a_source_that_suffices_is_read_whole(short: Sandbox) -> None:
    short.value["ladder"] |= {"unique_tokens": "matched", "max_epochs": 4}
    study = load_study(short.write())
    # A third of the target's tokens is 5.4B of synthetic text, of which nothing is said.
    assert set(unique_tokens(study, "33HQ", 64)) == {"natural"}
    short.value["question"]["supply"] = {"natural": "20B", "hq": "2.64B"}
    study = load_study(short.write())
    (hq,) = unique_tokens(study, "33HQ", 64).items()
    assert hq == ("hq", 320.0)  # 21 of 64 windows, read twice


def test_more_repetition_in_the_ladder_is_told_too(short: Sandbox) -> None:
    short.value["question"]["supply"] = {"natural": "100B"}
    short.value["ladder"] |= {"unique_tokens": {"natural": 640}, "max_epochs": 4}
    told = CliRunner().invoke(cli, ["plan", str(short.write()), "--json"])
    (said,) = json.loads(told.stdout)["warnings"]
    assert "reads natural once" in said and "read it 3.2 times" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ladder": {"unique_tokens": "matched"}}, r"ladder\.max_epochs: found 1; expected 4"),
        ({"ladder": {"unique_tokens": "same"}}, "matched"),
        (
            {"ladder": {"unique_tokens": "matched", "max_epochs": 4}, "question": {}},
            "without question.supply",
        ),
        (
            {
                "ladder": {"unique_tokens": "matched", "max_epochs": 4},
                "training": {"context": 32, "batch_tokens": 128, "schedule": "wsd"},
            },
            "use 'cosine'",
        ),
        (
            {"question": {"supply": {"naturl": 5}}},
            "question.supply: source 'naturl' does not exist",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(
    short: Sandbox, change: dict[str, dict[str, object]], said: str
) -> None:
    for key, value in change.items():
        short.value[key] = {**short.value[key], **value} if key == "ladder" else value
    with pytest.raises(UsageError, match=said) as caught:
        load_study(short.write())
    assert "study.yaml" in str(caught.value)
