"""Rounds: text that a study's own models write, read by the models of the next round."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock
from sandbox import Sandbox

from synthlaw.cli.main import cli
from synthlaw.common.errors import UsageError
from synthlaw.common.parts import Dataset
from synthlaw.corpus.documents import read_dataset
from synthlaw.generate.engines.base import Completion, Request, Sampling
from synthlaw.generate.engines.registry import engine_by
from synthlaw.study.grid import runs_of
from synthlaw.study.load import parse_study
from synthlaw.study.paper import EXTENSIONS
from synthlaw.study.pipeline import run_study
from synthlaw.study.rounds import rounds_of


@pytest.fixture
def chained(sandbox: Sandbox) -> Sandbox:
    """Two rounds, replaced and accumulated, two seeds."""
    value = sandbox.value
    del value["generate"]
    value["mixtures"] = {"CC": {"natural": 1.0}}
    value["ladder"] = {"sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}}}
    value["rounds"] = {
        **{"count": 2, "size": "a", "budget": 1024, "seeds": [0, 1], "rollouts": 4},
        **{"input_tokens": 8, "sampling": {"max_tokens": 16}},
    }
    return sandbox


@pytest.fixture
def whole(chained: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, finished; made once by whichever worker is first, each test has a copy."""
    base = tmp_path_factory.getbasetemp()  # of the session, or of one of its workers
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rounds"
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            run(chained, shared / "out")
            (shared / "done").touch()
    shutil.copytree(shared / "out", chained.out, symlinks=True)
    return shared / "out"


def run(sandbox: Sandbox, out: Path, **options: Any) -> None:
    run_study(sandbox.write().read_text(), "study.yaml", sandbox.folder, out, **options)


def texts(out: Path, source: str) -> list[tuple[str, str]]:
    found = read_dataset(Dataset(out / "generated" / source))
    return [(document.id, document.text) for document in found]


def test_the_short_form_stands_for_generators_mixtures_and_a_grid(chained: Sandbox) -> None:
    chained.value["rounds"]["count"] = 3
    study = parse_study(chained.write().read_text(), "study.yaml")
    for shares in study.mixtures.values():
        assert sum(Fraction(str(share)) for share in shares.values()) == 1
    assert study.mixtures["replace-3"] == {"replace-3": 1.0}
    parts = study.mixtures["accumulate-3"]
    assert list(parts) == ["natural", "round-1", "accumulate-2", "accumulate-3"]
    assert set(parts.values()) == {0.25}
    found = rounds_of(study, runs_of(study, 300))
    assert [len(one.runs) for one in found] == [2, 4, 4, 4]
    assert [one.recipes for one in found] == [
        (),
        ("round-1",),
        ("replace-2", "accumulate-2"),
        ("replace-3", "accumulate-3"),
    ]
    writers = {name: run.name for one in found for name, run in one.writers.items()}
    assert writers["round-1"] == "CC-a-1.02k-s0"
    assert writers["accumulate-3"] == "accumulate-2-a-1.02k-s0"


def test_other_grids_stay_beside_the_rounds(chained: Sandbox) -> None:
    chained.value["ladder"]["budgets"] = [512, 1024]
    study = parse_study(chained.write().read_text(), "study.yaml")
    assert [(grid.name, list(grid.mixtures)) for grid in study.all_grids()] == [
        ("ladder", ["CC"]),
        ("rounds", ["CC", "replace-1", "replace-2", "accumulate-1", "accumulate-2"]),
    ]


def test_models_write_the_text_that_the_next_ones_read(chained: Sandbox, whole: Path) -> None:
    with (chained.out / "runs.csv").open() as stream:
        rows = {row["run"]: row for row in csv.DictReader(stream)}
    assert len(rows) == 10 and {row["status"] for row in rows.values()} == {"done"}
    writer = rows["replace-2-a-1.02k-s1"]["generator"]
    assert writer.startswith("transformers:replace-1-a-1.02k-s0@")
    both = rows["accumulate-2-a-1.02k-s0"]
    assert both["generator"].split("+")[0].startswith("transformers:CC-a-1.02k-s0@")
    assert both["synthetic_type"] == "accumulate-2+round-1"
    rounds = {
        m["mixture"]: m["round"] for m in json.loads((chained.out / "mixtures.json").read_text())
    }
    assert rounds == {
        "CC": 0, "replace-1": 1, "accumulate-1": 1, "replace-2": 2, "accumulate-2": 2
    }  # fmt: skip
    for source in ("round-1", "replace-2", "accumulate-2"):
        document = next(iter(read_dataset(Dataset(chained.out / "generated" / source))))
        assert document.fields["recipe"] == "continue" and document.fields["source_id"]
    page = (chained.out / "report" / "index.html").read_text()
    assert 'id="rounds"' in page and "plot-rounds" in page
    with (chained.out / "report" / "tables" / "rounds.csv").open() as stream:
        points = list(csv.DictReader(stream))
    assert [(p["chain"], p["round"], p["runs"]) for p in points] == [
        (chain, str(number), "2") for chain in ("replace", "accumulate") for number in range(3)
    ]
    assert all(0 < float(point["distinct_3"]) <= 1 for point in points)
    assert float(points[0]["low"]) < float(points[0]["loss"]) < float(points[0]["high"])


def test_a_study_cut_off_in_a_round_ends_with_the_same_bytes(chained: Sandbox, whole: Path) -> None:
    # As a kill leaves it: some blocks of the second round unfinished, nothing trained on them.
    for path in sorted((chained.out / "generated" / "replace-2" / "runs").glob("*/done/*.json"))[
        1:
    ]:
        path.unlink()
    for folder in (chained.out / "artifacts" / "training").glob("replace-2-*"):
        shutil.rmtree(folder)
    run(chained, chained.out)
    for source in ("round-1", "replace-2", "accumulate-2"):
        assert texts(chained.out, source) == texts(whole, source)
    assert (chained.out / "runs.csv").read_bytes() == (whole / "runs.csv").read_bytes()
    again = run_study(chained.write().read_text(), "study.yaml", chained.folder, chained.out)
    assert not [name for name in again.made if not name.startswith("report")]


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        ({"run": "CC-a-2k-s0"}, "found 'CC-a-2k-s0'; expected a run such as CC-a-1.02k-s0"),
        ({"run": {"mixture": "CC", "size": "b", "budget": 1024}}, "found CC at b and 1.02k tokens"),
        ({"run": "own-a-1.02k-s0"}, "written by a model which reads it"),
        ({"run": "CC-a-1.02k-s0", "kind": "openai"}, "found kind 'openai' with 'run'"),
        ({"run": "CC-a-1.02k-s0", "model": "x"}, "found 'model' beside 'run'"),
    ],
)
def test_a_mistake_in_who_writes_is_one_line(
    chained: Sandbox, generator: dict[str, Any], said: str
) -> None:
    del chained.value["rounds"]
    chained.value["ladder"]["budgets"] = [1024]
    chained.value["mixtures"]["own"] = {"own": 1.0}
    chained.value["generate"] = {
        "generators": {"self": generator},
        "recipes": {"own": {"recipe": "continue", "generator": "self"}},
    }
    for command in ("plan", "run"):
        asked = [command, str(chained.write())]
        asked += ["--out", str(chained.out)] if command == "run" else []
        refused = CliRunner().invoke(cli, asked)
        assert isinstance(refused.exception, UsageError), refused.output
        assert (
            "study.yaml" in str(refused.exception) and "generators.self" in str(refused.exception)
        ) or "recipes.own" in str(refused.exception)


def test_who_could_not_write_is_told_before_anything_is_trained(
    chained: Sandbox, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "synthlaw.generate.engines.kinds.transformers.find_spec"
    monkeypatch.setattr(kind, lambda name: None)
    run(chained, chained.out)  # finished text needs no engine
    place = r"study\.yaml: generate\.generators\.[\w-]+: kind 'transformers' needs the package"
    with pytest.raises(UsageError, match=place):
        run(chained, chained.folder / "new")
    assert not (chained.folder / "new" / "artifacts").exists()


def test_a_plain_model_s_answer_depends_on_its_request_alone(whole: Path) -> None:
    (folder,) = (whole / "artifacts" / "export").glob("CC-*/CC-*")
    engine = engine_by(kind="transformers", model=str(folder))
    requests = [
        Request("the river and the stone", "", Sampling(1.0, 1.0, max_tokens=12), seed)
        for seed in range(4)
    ]

    async def ask(some: list[Request]) -> list[Completion]:
        async with engine:
            return list(await asyncio.gather(*(engine.complete(one) for one in some)))

    together = asyncio.run(ask(requests))
    alone = [asyncio.run(ask([one]))[0] for one in reversed(requests)][::-1]
    assert together == alone
    assert len({one.text for one in together}) > 1
    assert all(one.completion_tokens <= 12 for one in together)
    long = Request("the " * 200, "", Sampling(max_tokens=4), 0)
    with pytest.raises(Exception, match="prompt-too-long"):
        asyncio.run(ask([long]))


@pytest.mark.parametrize("name", EXTENSIONS)
def test_a_study_beyond_the_paper_is_written_and_planned(name: str, tmp_path: Path) -> None:
    file = str(tmp_path / "study.yaml")
    written = CliRunner().invoke(cli, ["init", "--extension", name, file])
    assert written.exit_code == 0, written.output
    planned = CliRunner().invoke(cli, ["plan", file, "--json"])
    assert planned.exit_code == 0, planned.output
    rounds = json.loads(planned.stdout)["rounds"]
    assert len(rounds) == (4 if name == "rounds" else 1)
