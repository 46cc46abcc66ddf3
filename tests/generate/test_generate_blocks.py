"""Blocks, the stop rule, journals and part files: what must not depend on who is done first."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import SynthlawError
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError, Sampling
from synthlaw.generate.generated import Generated, no_counts
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.recipe import load_recipe
from synthlaw.generate.run import blocks as blocks_module
from synthlaw.generate.run.blocks import LARGEST, SHARE, Blocks
from synthlaw.generate.run.folder import Marker, RunFolder
from synthlaw.generate.run.inputs import InputFiles, survey
from synthlaw.generate.run.journal import BlockJournal, held_by
from synthlaw.generate.run.standing import Standing
from synthlaw.generate.run.status import folder_status
from synthlaw.generate.run.target import NotEnoughError, Target
from synthlaw.generate.run.work import RunWork
from synthlaw.generate.run.workers import serve
from synthlaw.generate.run.writing import BlockWriter
from synthlaw.generate.settings import Settings


@given(st.integers(0, 200_000), st.integers(1, 3_000))
def test_blocks_cover_all_documents_once_and_grow_with_what_precedes_them(
    documents: int, size: int
) -> None:
    blocks = Blocks(documents, size)
    bounds = [blocks.bounds(number) for number in range(len(blocks))]
    assert [start for start, _ in bounds] == [0, *(stop for _, stop in bounds)][: len(bounds)]
    assert (bounds[-1][1] if bounds else 0) == documents
    for number, (start, _) in enumerate(bounds[:-1]):
        assert blocks.length(number) == max(size, min(LARGEST, start // SHARE))
    for documents_wanted in (0, min(1, documents), documents // 2, documents):
        count = blocks.covering(documents_wanted)
        assert (bounds[count - 1][1] if count else 0) >= documents_wanted
        assert count == 0 or bounds[count - 1][0] < documents_wanted


def test_a_longer_input_has_the_same_first_blocks_and_few_of_them() -> None:
    short, long = Blocks(10_000, 64), Blocks(400_000_000, 64)
    first = [short.bounds(number) for number in range(len(short) - 1)]
    assert [long.bounds(number) for number in range(len(first))] == first
    # 200B tokens at 500 kept tokens a document; a block has at most four files.
    assert 4 * len(long) < 30_000


def marker(blocks: Blocks, block: int, tokens: int) -> Marker:
    start, stop = blocks.bounds(block)
    return Marker(start, stop, {}, no_counts(), {}, {"t": tokens})


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 400), st.randoms())
def test_the_result_is_the_shortest_prefix_whatever_is_done_first(
    tokens: list[int], need: int, draw: random.Random
) -> None:
    blocks = Blocks(len(tokens), 1)
    target = Target(tokens=need, tokenizer="t", whole=False, guess=10)
    standing = Standing("s", blocks, target)
    expected: list[int] = []
    for block, count in enumerate(tokens):
        if sum(tokens[number] for number in expected) < need:
            expected.append(block)
        assert count >= 0
    begun: set[int] = set()
    while not standing.complete:
        wanted = [block for _, block in standing.wanted()]
        # Blocks are begun in order, finished in any, those of a dead worker last.
        assert wanted == sorted(wanted)
        assert wanted, "not complete, and nothing is wanted"
        assert set(wanted).isdisjoint(standing.done)
        block = draw.choice(wanted)
        begun.add(block)
        standing.add(block, marker(blocks, block, tokens[block]))
    assert standing.prefix() == expected
    assert set(expected) <= begun
    assert standing.have == sum(tokens[number] for number in expected)
    if standing.have < need:
        with pytest.raises(NotEnoughError) as caught:
            standing.check_enough()
        assert (caught.value.have, caught.value.need) == (standing.have, need)
    else:
        standing.check_enough()


def test_a_fixed_number_of_documents_is_asked_about_whatever_they_give() -> None:
    blocks = Blocks(6, 2)
    standing = Standing("s", blocks, Target(tokens=5, tokenizer="t", documents=6))
    standing.add(0, marker(blocks, 0, 100))
    assert not standing.complete
    assert [block for _, block in standing.wanted()] == [1, 2]
    other = Blocks(5, 2)
    standing.add(2, marker(other, 2, 100))  # of an earlier, smaller number of documents
    assert 2 not in standing.done


def test_hopeless_recipes_are_given_up_on_what_was_counted() -> None:
    blocks = Blocks(1000, 50)
    target = Target(tokens=10_000, tokenizer="t", whole=False)
    poor, good = Standing("s", blocks, target), Standing("s", blocks, target)
    for block in range(2):
        poor.check_hope()
        poor.add(block, marker(blocks, block, 200))  # 4,000 in all
        good.add(block, marker(blocks, block, 300))  # 6,000 in all: more than half
    good.check_hope()
    with pytest.raises(NotEnoughError):
        poor.check_hope()


COMPLETION = st.builds(
    Completion, st.text(), st.sampled_from(["stop", "length"]), *[st.just(3)] * 2
)


@settings(max_examples=40, deadline=None)
@given(st.lists(COMPLETION, max_size=8), st.integers(0, 400), st.integers(1, 3))
def test_journals_hold_whole_lines_wherever_they_are_torn(
    tmp_path_factory: pytest.TempPathFactory, made: list[Completion], torn: int, workers: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    paths = [folder / f"{worker}.jsonl" for worker in range(workers)]
    for number, completion in enumerate(made):
        journal = BlockJournal(paths[number % workers], [])
        journal.keep(f"{number:064d}", completion)
        journal.keep(f"{number + 1000:064d}", RequestFailedError("http-500", "busy"))
        journal.finish(number)
        journal.close()
    there = [path for path in paths if path.exists()]
    whole = BlockJournal(folder / "own.jsonl", there)
    assert [whole.find(f"{n:064d}") for n in range(len(made))] == made
    assert whole.find(f"{1000:064d}") is None  # failures are asked for again
    whole.close()
    assert held_by(there) == (len(made), len(made))
    for path in there:
        path.write_bytes(path.read_bytes()[:-torn] if torn else path.read_bytes())
    left = BlockJournal(folder / "own.jsonl", there)
    for number, completion in enumerate(made):
        assert left.find(f"{number:064d}") in (None, completion)
    left.keep("f" * 64, Completion("after", "stop", 1, 1))
    left.close()
    again = BlockJournal(folder / "own.jsonl", [folder / "own.jsonl"])
    assert again.find("f" * 64) == Completion("after", "stop", 1, 1)
    again.close()


def result(number: int) -> Generated:
    kinds = [Document(f"{number}-{n}", "text \u2028 " * n, {"reason": "short"}) for n in range(3)]
    made = Generated([*kinds[: number % 3]], kinds[2:] if number % 2 else [])
    if number % 5 == 0:
        made.aside = [Document(f"{number}-o", "outline", {})]
    return made


@given(st.permutations(range(9)))
def test_part_files_do_not_depend_on_which_rollout_ends_first(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    files = []
    for name, numbers in (("a", range(9)), ("b", order)):
        writer = BlockWriter(folder, name)
        for number in numbers:
            writer.add(number, "hq" if number % 2 else "qa", result(number))
        parts = writer.finish("part")
        texts = {kind: writer.parts[kind].path.read_bytes() for kind in parts}
        files.append((parts, texts, sorted(writer.by_recipe.items())))
        kept = list(read_documents(writer.parts["documents"].path))
        assert parts["documents"].documents == len(kept)
        assert len(kept) == sum(counts["documents"] for counts in writer.by_recipe.values())
        assert parts["documents"].text_bytes == sum(len(d.text.encode()) for d in kept)
        assert parts["documents"].bytes == len(texts["documents"])
    assert files[0] == files[1]


def test_input_files_are_read_by_ranges_forward_and_back(tmp_path: Path) -> None:
    for name, numbers in (("a", range(5)), ("b", range(5, 12))):
        lines = (json.dumps({"id": str(n), "text": f"t{n}"}) for n in numbers)
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    inputs = survey([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert inputs.documents == 12
    for start, stop in ((0, 3), (3, 4), (6, 9), (9, 12), (1, 6), (0, 12), (11, 12), (4, 4)):
        read = [int(document.id) for document in inputs.range(start, stop)]
        assert read == list(range(start, stop)), (start, stop)


def test_blocks_are_bounded_however_long_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "LARGEST", 40)
    blocks = Blocks(20_000, 4)
    lengths = [blocks.length(number) for number in range(len(blocks))]
    assert max(lengths) == 40
    assert all(before <= after for before, after in pairwise(lengths[:-1]))


class Stub:
    """An engine that fails on some documents, by a word of theirs."""

    written, concurrency, waiting, label = 0, 3, 0, "stub"
    in_flight: dict[str, int] = {}  # noqa: RUF012

    def __init__(self, bad: str = "") -> None:
        self.bad, self.asked = bad, 0

    def identity(self) -> dict[str, Any]:
        return {"kind": "stub"}

    def plain(self, text: str) -> str:
        return text

    async def truncate(self, text: str, tokens: int) -> str:
        return text

    async def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def complete(self, request: Request) -> Completion:
        self.asked += 1
        if self.bad and self.bad in request.prompt:
            raise RequestFailedError("http-400", "no")
        return Completion(f"On {request.seed}.", "stop", 9, 60)

    async def __aenter__(self) -> Stub:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


def serve_one(out: Path, engine: Stub, target: Target, rollouts: int = 1) -> RunWork:
    """Twelve documents in blocks of five, through a recipe without rules."""
    lines = (json.dumps({"id": str(n), "text": f"text word{n}."}) for n in range(12))
    (out.parent / "in.jsonl").write_text("\n".join(lines))
    recipe = load_recipe("hq")
    recipe = recipe.without_rules(tuple(recipe.all_rules))
    mix = RecipeMix.of([Settings(recipe, Sampling(), 1, rollouts=rollouts)])
    inputs = survey([out.parent / "in.jsonl"])
    folder = RunFolder(out, mix, engine, inputs, 5, target)
    run = RunWork("hq", folder, engine)
    asyncio.run(serve([run], engine, lambda runs: None))
    return run


def test_a_block_with_too_many_failures_is_not_kept_and_its_answers_are(tmp_path: Path) -> None:
    engine = Stub(bad="word7.")
    with pytest.raises(SynthlawError, match=r"hq: 1 requests failed for block 1 of 5 .*http-400"):
        serve_one(tmp_path / "out", engine, Target(max_failed=0.1))
    asked = engine.asked
    healed = Stub()
    run = serve_one(tmp_path / "out", healed, Target(max_failed=0.1))
    assert run.standing.complete
    assert healed.asked + asked - 1 == 12
    texts = [document.fields["source_id"] for document in run.folder.documents()]
    assert texts == [str(number) for number in range(12)]
    allowed = serve_one(tmp_path / "other", Stub(bad="word7."), Target(max_failed=0.2))
    assert allowed.folder.counts()["failed"] == 1


@pytest.mark.parametrize("rollouts", [1, 3])
def test_another_worker_finishes_what_one_has_left(tmp_path: Path, rollouts: int) -> None:
    class Stopping(Stub):
        async def complete(self, request: Request) -> Completion:
            if self.asked >= 8:
                raise SynthlawError("stopped")
            return await super().complete(request)

    first = Stopping()
    with pytest.raises(SynthlawError, match="stopped"):
        serve_one(tmp_path / "out", first, Target(), rollouts)
    state = folder_status(tmp_path / "out")
    assert state["units"] == 12 * rollouts
    assert 0 < state["units_done"] <= 8
    assert state["answers_kept"] + state["blocks_done"] * 5 * rollouts >= state["units_done"]
    second = Stub()
    run = serve_one(tmp_path / "out", second, Target(), rollouts)
    assert first.asked + second.asked == 12 * rollouts
    calm = serve_one(tmp_path / "calm", Stub(), Target(), rollouts)
    assert list(run.folder.documents()) == list(calm.folder.documents())
    assert folder_status(tmp_path / "out")["answers_kept"] == 0


def test_an_input_that_shrinks_while_it_is_read_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shorter(inputs: InputFiles) -> Iterator[Document]:
        return (document for path in inputs.paths for document in islice(read_documents(path), 7))

    monkeypatch.setattr(InputFiles, "scan", shorter)
    with pytest.raises(SynthlawError, match="ends at document 7 and had 12; it was changed"):
        serve_one(tmp_path / "out", Stub(), Target())
