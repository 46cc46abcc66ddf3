"""The generated sources of a study: one machine, any number of workers, the same bytes."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sandbox import Sandbox, article, write_texts

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.parts import Dataset, describe, finish
from synthlaw.corpus.documents import read_dataset, read_documents
from synthlaw.study.data import source_documents
from synthlaw.study.data.generated import help_generate
from synthlaw.study.data.orders import Order, Orders, read_orders
from synthlaw.study.data.recipes import mix_of, target_of
from synthlaw.study.data.source_documents import SourceDocuments
from synthlaw.study.generation_plan import expected_generation
from synthlaw.study.load import parse_study
from synthlaw.study.pipeline import Outcome, run_study
from synthlaw.study.status import status_lines, study_status
from synthlaw.study.store import Store
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer

PATIENCE = 300.0
"""Seconds until a process that does not come is given up: a loaded machine is slow to start it."""

HELPER = """\
import pathlib, sys, time
from synthlaw.study.data.generated import help_generate
root = pathlib.Path(sys.argv[1])
while not (root / "generated" / ".orders.json").exists():
    time.sleep(0.02)
help_generate(root)
"""


def run(sandbox: Sandbox, until: str = "tokens") -> Outcome:
    text = sandbox.write().read_text(encoding="utf-8")
    return run_study(text, "study.yaml", sandbox.folder, sandbox.out, until=until)


@pytest.fixture
def larger(sandbox: Sandbox) -> Sandbox:
    """Some 36 source documents of each of two recipes, in blocks of two."""
    recipes = {"hq": {}, "faq": {"without_filters": ["pairs"]}}
    sandbox.value["generate"] |= {"shard_documents": 2, "recipes": recipes}
    sandbox.value["generate"]["engine"]["concurrency"] = 4
    sandbox.value["mixtures"] = {
        "A": {"natural": 0.5, "hq": 0.5},
        "B": {"natural": 0.5, "faq": 0.5},
    }
    sandbox.value["ladder"] = {
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "budgets": ["20k"],
    }
    sandbox.server.delay = 0.02
    return sandbox


def contents(out: Path) -> dict[str, bytes]:
    """What stands for the generated sources: their parts, manifests, token sets."""
    found: dict[str, bytes] = {}
    for name in ("hq", "faq"):
        dataset = Dataset(out / "generated" / name)
        found[name] = (dataset.folder / "manifest.json").read_bytes()
        found |= {f"{name}/{path.name}": path.read_bytes() for path in dataset.paths}
        for path in out.glob(f"artifacts/tokens/{name}-*/*.bin"):
            found[f"tokens/{name}/{path.name}"] = path.read_bytes()
    return found


def helper(out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", HELPER, str(out)], stderr=subprocess.PIPE)


def test_a_study_by_one_two_and_four_workers_with_kills_has_the_same_bytes(
    larger: Sandbox,
) -> None:
    run(larger)
    alone = contents(larger.out)
    assert len(alone) > 20
    for workers in (2, 4):
        shutil.rmtree(larger.out)
        larger.server.answered.clear()
        gates = Gates(larger)
        helpers = [helper(larger.out) for _ in range(workers - 1)]
        killer = threading.Thread(target=gates.kill, args=(helpers[0],))
        killer.start()
        run(larger)
        killer.join()
        for one in helpers:
            assert one.wait(PATIENCE) == (-signal.SIGKILL if one is helpers[0] else 0), one.stderr
        assert contents(larger.out) == alone, f"{workers} workers"
        # Only what was in flight at the kill may have been asked for twice.
        assert sum(count - 1 for count in larger.server.answered.values()) <= 4


class Gates:
    """Holds the server's answers back until a worker is alive, and again until it is killed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._calls = sandbox, iter(range(10_000))
        self._alive, self._held, self._killed = (threading.Event() for _ in range(3))
        sandbox.server.answer, sandbox.server.gate = self._answer, self._alive

    def _answer(self, asked: dict[str, Any]) -> str:
        if next(self._calls) == 12:
            self._sandbox.server.gate = self._killed
            self._held.set()
        return article(asked)

    def _beats(self) -> Iterator[str]:
        """What workers wrote of themselves; files come and go while they are read."""
        for path in self._sandbox.out.glob("generated/*/runs/*/workers/[!.]*.json"):
            with contextlib.suppress(FileNotFoundError):
                yield path.read_text()

    def kill(self, victim: subprocess.Popen[bytes]) -> None:
        """SIGKILL in the midst of its work."""
        mark, until = f'"pid": {victim.pid}', time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if any(mark in beat for beat in self._beats()):
                break
            time.sleep(0.01)
        self._alive.set()
        assert self._held.wait(PATIENCE)
        victim.kill()
        victim.wait()
        self._killed.set()


def test_workers_go_on_without_the_study_and_it_takes_what_they_made(larger: Sandbox) -> None:
    larger.server.status = 400
    with pytest.raises(SynthlawError, match="refuses every request"):
        run(larger)
    larger.server.status = 200
    done = help_generate(larger.out)
    assert done["requests"] == sum(larger.server.answered.values()) > 50
    assert sum(done["blocks"].values()) > 25
    asked = len(larger.server.received)
    run(larger)
    assert len(larger.server.received) == asked
    assert help_generate(larger.out)["requests"] == 0


def test_a_worker_without_a_study_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no generated text is asked for"):
        read_orders(tmp_path)


def test_orders_are_read_as_they_were_written_without_passwords(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    code = "async def rollout(document, generate):\n    return 'text'\n"
    (sandbox.folder / "mine.py").write_text(code)
    (sandbox.folder / "mine.yaml").write_text("name: mine\nversion: '1'\npython: mine.py:rollout\n")
    url = "http://10.0.0.1:8000/v1?token=secret"
    sandbox.value["generate"]["engine"]["base_url"] = [url, "http://[::1]:9/v1"]
    sandbox.value["generate"]["recipes"] = {
        "hq": {"max_tokens": 77},
        "books": {"recipe": "textbook", "chapters": 2, "seeds": "keywords", "documents": 5},
        "own": {"recipe": "mine.yaml"},
    }
    study = parse_study(sandbox.write().read_text(), "s")
    space = Workspace(study, sandbox.folder, Store(sandbox.out))
    wanted = {
        name: Order(mix_of(space, name), target_of(space, name, 900, "digest"), "engine")
        for name in study.generate.recipes
    }
    engine, documents = study.generate.used_generators, sandbox.out / "artifacts" / "corpus"
    orders = Orders(sandbox.out, engine, documents, 7, 64, "llama3", wanted)
    orders.write()
    text = (sandbox.out / "generated" / ".orders.json").read_text()
    assert "secret" not in text
    moved = tmp_path / "mounted-elsewhere"
    sandbox.out.rename(moved)
    read = read_orders(moved)
    assert read.runs == wanted
    assert read.generators["engine"].base_url == ("http://10.0.0.1:8000/v1", "http://[::1]:9/v1")
    assert (read.seed, read.block_size, read.tokenizer) == (7, 64, "llama3")
    assert read.documents == moved / "artifacts" / "corpus"
    (sandbox.folder / "mine.py").write_text(code + "\n# changed\n")
    with pytest.raises(UsageError, match=r"generate\.recipes\.own: .*mine\.py is not there or not"):
        read_orders(moved)


def test_a_source_is_the_shortest_prefix_and_its_tokens_are_counted_once(
    larger: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(larger)
    tokenizer = Tokenizer(next(larger.out.glob("artifacts/tokens/tokenizer-*/tokenizer.json")))
    for name in ("hq", "faq"):
        dataset = Dataset(larger.out / "generated" / name)
        need = json.loads((dataset.folder / "runs").glob("*/target.json").__next__().read_text())
        counts = []
        for part in dataset.parts:
            texts = [one.text for one in read_documents(dataset.folder / part.name)]
            counts.append(sum(len(ids) + 2 for ids in tokenizer.encode(texts)))
            assert (part.documents, part.tokens) == (len(texts), counts[-1])
            assert part.text_bytes == sum(len(text.encode()) for text in texts)
        assert sum(counts) >= need["tokens"] > sum(counts[:-1])
        assert not dataset.problems(verify=True)

    def counted(*_: object) -> None:
        raise AssertionError("tokens were counted again")

    monkeypatch.setattr("synthlaw.study.data.orders.StudyTokens.count", counted)
    assert run(larger).made == []


def test_another_tokenizer_counts_what_is_there_and_asks_for_no_more_than_it_needs(
    larger: Sandbox,
) -> None:
    run(larger)
    asked = len(larger.server.received)
    larger.value["tokenizer"] = {"vocab": 280}  # more tokens a text: less text is needed
    run(larger)
    assert len(larger.server.received) == asked
    tokens = Dataset(larger.out / "generated" / "hq").tokens
    assert tokens is not None and tokens >= 10_000


def test_a_changed_number_of_documents_asks_only_for_those_that_are_new(sandbox: Sandbox) -> None:
    sandbox.value["generate"] |= {"shard_documents": 4, "recipes": {"hq": {"documents": 10}}}
    run(sandbox)
    asked = len(sandbox.server.received)
    assert asked == 10
    sandbox.value["generate"]["recipes"]["hq"]["documents"] = 8
    run(sandbox)
    assert len(sandbox.server.received) == asked
    assert len(list(read_dataset(Dataset(sandbox.out / "generated" / "hq")))) == 8
    sandbox.value["generate"]["recipes"]["hq"]["documents"] = 20
    run(sandbox)
    # The third block had two documents and is made again with four.
    assert len(sandbox.server.received) == asked + 12
    assert len(list(read_dataset(Dataset(sandbox.out / "generated" / "hq")))) == 20


def test_status_and_plan_count_whole_blocks_and_what_is_kept(larger: Sandbox) -> None:
    larger.value["generate"]["shard_documents"] = 30
    refused, whole = iter(range(10_000)), larger.server.answer

    def failing(asked: dict[str, object]) -> str:
        if next(refused) == 45:
            larger.server.status = 401  # the key is withdrawn: the run stops
        return whole(asked)

    larger.server.answer = failing
    with pytest.raises(SynthlawError, match="401"):
        run(larger)
    state = study_status(larger.out)["generated"]
    answered = len(larger.server.answered)
    done = sum(one["units_done"] for one in state.values())
    failed = sum(one["failed"] for one in state.values())
    # Of what was in flight some answers never came.
    assert answered - 8 <= done - failed <= answered, state
    assert sum(one["answers_kept"] for one in state.values()) > 0
    for one in state.values():
        assert one["units"] in (30, 54)  # whole blocks of 54 documents
        assert one["units"] * 340 > one["tokens_needed"]
    assert "answers of unfinished blocks kept" in " ".join(status_lines(study_status(larger.out)))
    larger.server.status, larger.server.answer = 200, whole
    run(larger)
    study = parse_study(larger.write().read_text(), "s")
    need = {"hq": 10_000}
    guessed = expected_generation(study, need, None)["hq"]
    # 200 tokens a document
    assert guessed["source_documents"] == guessed["blocks"] * 30 == 60
    measured = expected_generation(study, need, larger.out)["hq"]
    report = json.loads((larger.out / "generation.json").read_text())["recipes"][0]
    assert report["failed"] == 0  # what was refused with the key was asked again
    assert measured["measured"] and not guessed["measured"]
    assert measured["kept_tokens"] >= 10_000 > measured["kept_tokens"] * 0.5
    each = report["completion_tokens"] / report["source_documents"]
    assert measured["completion_tokens"] == pytest.approx(measured["source_documents"] * each, 0.01)


def test_source_documents_are_in_one_order_however_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(tmp_path / "a.jsonl", 50, seed=3)
    size = (tmp_path / "a.jsonl").stat().st_size
    dataset = finish(tmp_path, [describe(tmp_path / "a.jsonl", 50, size)])
    ids = [document.id for document in read_documents(tmp_path / "a.jsonl")]
    orders = []
    for ranked in (1 << 20, 0):
        monkeypatch.setattr(source_documents, "RANKED_DOCUMENTS", ranked)
        inputs = SourceDocuments(dataset, 5, 8)
        whole = [document.id for document in inputs.range(0, 50)]
        assert sorted(whole) == sorted(ids)
        assert whole != ids
        borders = [0, *np.random.default_rng(1).choice(50, 6, replace=False), 50]
        pieces = [
            document.id
            for start, stop in zip(sorted(borders), sorted(borders)[1:], strict=False)
            for document in inputs.range(int(start), int(stop))
        ]
        assert pieces == whole
        assert [one.id for one in SourceDocuments(dataset, 6, 8).range(0, 50)] != whole
        orders.append(whole)
    assert orders[0] != orders[1]
