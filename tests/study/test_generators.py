"""Several generators in one study, and several versions of a document."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from fault_server import FaultServer, fault_server
from sandbox import Sandbox, article

from synthlaw.cli.study import plan, run
from synthlaw.cli.work import work
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.parts import Dataset
from synthlaw.corpus.documents import Document, read_dataset, read_documents
from synthlaw.study.load import parse_study
from synthlaw.study.pipeline import run_study


@pytest.fixture
def other() -> Iterator[FaultServer]:
    """A second server."""
    with fault_server(answer=article) as server:
        yield server


@pytest.fixture
def compared(sandbox: Sandbox, other: FaultServer) -> Sandbox:
    """One recipe by two generators, and another by the first."""
    generate = sandbox.value["generate"]
    generate["sampling"] = {"temperature": 0.5, "max_tokens": 200}
    generate["generators"] = {
        "large": {
            "kind": "openai",
            "base_url": other.url,
            "model": "large-model",
            "sampling": {"temperature": 0.9},
        }
    }
    generate["recipes"] = {
        "hq": {"documents": 20},
        "hq-large": {"recipe": "hq", "generator": "large", "documents": 20},
    }
    sandbox.value["mixtures"] = {
        "A": {"natural": 0.5, "hq": 0.5},
        "B": {"natural": 0.5, "hq-large": 0.5},
        "both": {"natural": 0.4, "hq": 0.3, "hq-large": 0.3},
    }
    sandbox.value["ladder"] = {
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "budgets": ["5k"],
    }
    return sandbox


def texts(sandbox: Sandbox, name: str) -> list[Document]:
    return list(read_dataset(Dataset(sandbox.out / "generated" / name)))


def until_tokens(sandbox: Sandbox) -> None:
    run_study(
        sandbox.write().read_text(), "study.yaml", sandbox.folder, sandbox.out, until="tokens"
    )


def test_each_recipe_is_asked_of_its_generator_and_every_table_tells_them_apart(
    compared: Sandbox, other: FaultServer
) -> None:
    done = CliRunner().invoke(
        run, [str(compared.write()), "--out", str(compared.out)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    for server, model, temperature in (
        (compared.server, compared.value["generate"]["engine"]["model"], 0.5),
        (other, "large-model", 0.9),
    ):
        asked = [json.loads(one) for one in server.answered]
        assert len(asked) == 20
        assert {(one["model"], one["temperature"], one["max_tokens"]) for one in asked} == {
            (model, temperature, 200)
        }
    for name in ("hq", "hq-large"):
        assert {d.fields["recipe"] for d in texts(compared, name)} == {"hq"}
    small = {str(d.fields["generator"]) for d in texts(compared, "hq")}
    large = {str(d.fields["generator"]) for d in texts(compared, "hq-large")}
    assert len(small) == len(large) == 1 and small != large
    with (compared.out / "runs.csv").open() as stream:
        rows = {row["mixture"]: row for row in csv.DictReader(stream)}
    assert rows["A"]["generator"] == small.pop() and rows["B"]["generator"] == large.pop()
    assert rows["both"]["generator"] == f"{rows['A']['generator']}+{rows['B']['generator']}"
    assert [rows[name]["synthetic_type"] for name in "AB"] == ["hq", "hq-large"]
    report = json.loads((compared.out / "generation.json").read_text())
    assert [g["generator"] for g in report["generators"]] == ["engine", "large"]
    assert all(g["tokens_per_second"] > 0 for g in report["generators"])
    assert [(r["of"], r["generator"]) for r in report["recipes"]] == [
        ("hq", "engine"),
        ("hq", "large"),
    ]
    page = (compared.out / "report" / "index.html").read_text()
    assert "Engine of <bdi>large</bdi>" in page


def test_a_worker_serves_one_generator_by_its_own_server(
    compared: Sandbox, other: FaultServer, tmp_path: Path
) -> None:
    until_tokens(compared)
    whole = [document.text for document in texts(compared, "hq-large")]
    for path in (compared.out / "generated" / "hq-large" / "runs").glob("*/done/*.json"):
        path.unlink()
    before = len(compared.server.answered)
    with fault_server(answer=article) as third:
        asked = [str(compared.out), "--base-url", third.url]
        refused = CliRunner().invoke(work, asked)
        assert isinstance(refused.exception, UsageError)
        assert "--generator" in str(refused.exception)
        done = CliRunner().invoke(work, [*asked, "--generator", "large"], catch_exceptions=False)
        assert done.exit_code == 0 and len(third.answered) == 20
    assert len(compared.server.answered) == before and len(other.answered) == 20
    assert [document.text for document in texts(compared, "hq-large")] == whole
    unknown = CliRunner().invoke(work, [str(compared.out), "--generator", "huge"])
    assert "expected one of engine, large" in str(unknown.exception)


def test_a_plan_reckons_every_generator_at_its_own_speed_and_price(compared: Sandbox) -> None:
    compared.value["plan"] = {
        "gpu": "h100",
        "price": 2,
        "generator": {"tokens_per_second": 1000},
        "generators": {"large": {"tokens_per_second": 100, "price": 3}},
    }
    done = CliRunner().invoke(plan, [str(compared.write()), "--json"], catch_exceptions=False)
    made = json.loads(done.stdout)
    small, large = (made["generation"][n]["completion_tokens"] for n in ("hq", "hq-large"))
    hours = made["hardware"]["hours"]["generation"]
    assert hours == pytest.approx((small / 1000 + large / 100) / 3600)
    money = made["hardware"]["money"]["generation"]
    assert money == pytest.approx(2 * small / 1000 / 3600 + 3 * large / 1e6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"recipes": {"hq": {"generator": "lrge"}}},
            r"generate: recipes\.hq\.generator: 'lrge' does not exist; expected one of large",
        ),
        ({"generators": {"engine": {}}, "recipes": {"hq": {}}}, "taken by generate.engine"),
        ({"generators": {"large": {"temperature": 1}}}, r"generators\.large\.temperature"),
        ({"generators": {"large": {"kind": "openai"}}}, "needs 'base_url' and 'model'"),
        ({"recipes": {"hq": {"rollouts": 0}}}, r"recipes\.hq\.rollouts: found 0"),
        ({"recipes": {"x": {"recipe": {"hq": 0}}}}, "expected recipes with weights above 0"),
    ],
)
def test_mistakes_are_told_in_one_line(
    compared: Sandbox, change: dict[str, object], said: str
) -> None:
    compared.value["generate"] |= change
    with pytest.raises(UsageError, match=said) as caught:
        parse_study(compared.write().read_text(), "study.yaml")
    assert "\n" not in str(caught.value)


def test_a_spent_corpus_is_read_again_with_other_seeds_if_the_study_allows_it(
    sandbox: Sandbox,
) -> None:
    sandbox.value["generate"] |= {"shard_documents": 8, "recipes": {"hq": {}}}
    sandbox.value["mixtures"] = {"A": {"hq": 1.0}}
    sandbox.value["ladder"] = {
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "budgets": ["30k"],
    }
    with pytest.raises(UsageError, match="more versions of a document with 'rollouts'"):
        until_tokens(sandbox)
    parts = (sandbox.out / "generated" / "hq" / "documents").glob("*.jsonl")
    once = {str(d.fields["source_id"]): d.text for path in parts for d in read_documents(path)}
    asked = len(sandbox.server.received)
    sandbox.value["generate"]["recipes"]["hq"] = {"rollouts": 4}
    until_tokens(sandbox)
    made = texts(sandbox, "hq")
    first = {str(d.fields["source_id"]): d for d in made if d.fields["rollout"] == 0}
    # What was there before is the first pass and was not asked again; all came before any twice.
    assert all(first[name].text == text for name, text in once.items())
    rollouts = [int(d.fields["rollout"]) for d in made]
    assert rollouts == sorted(rollouts)
    versions = Counter(str(d.fields["source_id"]) for d in made)
    assert len(versions) == 54 and set(versions.values()) <= {1, 2, 3, 4}
    assert 1 < max(versions.values()) < 4 or min(versions.values()) > 1
    assert len({(d.fields["source_id"], d.fields["seed"]) for d in made}) == len(made)
    # Blocks begun before the last one was known to be enough are at most a few.
    assert 0 <= len(sandbox.server.received) - asked - (len(made) - len(once)) <= 16
    (report,) = json.loads((sandbox.out / "generation.json").read_text())["recipes"]
    assert report["versions"] == max(versions.values())
    assert (report["source_documents"], report["rollouts"]) == (54, len(made))


def test_so_many_versions_of_so_many_documents(sandbox: Sandbox) -> None:
    sandbox.value["generate"] |= {"shard_documents": 4}
    sandbox.value["generate"]["recipes"] = {"hq": {"documents": 6, "rollouts": 3}}
    sandbox.value["mixtures"] = {"A": {"natural": 0.5, "hq": 0.5}}
    sandbox.value["ladder"]["budgets"] = ["3k"]
    until_tokens(sandbox)
    versions = Counter(str(d.fields["source_id"]) for d in texts(sandbox, "hq"))
    assert list(versions.values()) == [3] * 6
    before = {(d.fields["source_id"], d.fields["rollout"]): d.text for d in texts(sandbox, "hq")}
    # Fewer documents: the second pass begins earlier, and what was written is not asked for again.
    asked = len(sandbox.server.received)
    sandbox.value["generate"]["recipes"]["hq"] = {"documents": 5, "rollouts": 3}
    until_tokens(sandbox)
    made = texts(sandbox, "hq")
    assert list(Counter(str(d.fields["source_id"]) for d in made).values()) == [3] * 5
    for document in made:
        assert before[document.fields["source_id"], document.fields["rollout"]] == document.text
    assert len(sandbox.server.received) - asked <= 15


def test_a_study_that_has_its_text_asks_no_server_again(sandbox: Sandbox) -> None:
    sandbox.value["generate"]["recipes"] = {"hq": {"documents": 12}}
    sandbox.value["ladder"] = {
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "budgets": [512],
    }
    until_tokens(sandbox)
    label = json.loads((sandbox.out / "generation.json").read_text())["generators"][0]["label"]
    sandbox.value["generate"]["engine"]["base_url"] = "http://127.0.0.1:9/v1"
    run_study(sandbox.write().read_text(), "study.yaml", sandbox.folder, sandbox.out)
    (one,) = json.loads((sandbox.out / "generation.json").read_text())["generators"]
    assert one["label"] == label
    # What is not there cannot be told without a server.
    sandbox.value["generate"]["recipes"] = {"hq": {"documents": 13}}
    with pytest.raises(SynthlawError, match="no server could be reached"):
        until_tokens(sandbox)


def test_a_source_of_several_recipes_by_weight(sandbox: Sandbox) -> None:
    sandbox.value["generate"]["recipes"] = {
        "mixed": {"recipe": {"hq": 3, "tutorial": 1}, "documents": 40}
    }
    sandbox.value["mixtures"] = {"A": {"natural": 0.5, "mixed": 0.5}}
    sandbox.value["ladder"] = {
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "budgets": [512],
    }
    until_tokens(sandbox)
    made = texts(sandbox, "mixed")
    by_recipe = Counter(str(document.fields["recipe"]) for document in made)
    assert set(by_recipe) == {"hq", "tutorial"} and sum(by_recipe.values()) == 40
    assert 20 < by_recipe["hq"] < 38
    (told,) = json.loads((sandbox.out / "generation.json").read_text())["recipes"]
    assert told["of"] == "hq+tutorial"
    # Another worker reads the same orders; other weights are another run.
    asked = len(sandbox.server.received)
    done = CliRunner().invoke(work, [str(sandbox.out)], catch_exceptions=False)
    assert done.exit_code == 0 and len(sandbox.server.received) == asked
    sandbox.value["generate"]["recipes"]["mixed"]["recipe"] = {"hq": 1, "tutorial": 1}
    until_tokens(sandbox)
    assert Counter(str(d.fields["recipe"]) for d in texts(sandbox, "mixed"))["hq"] < by_recipe["hq"]
