"""The sampler: purity, prefixes, pairing, no repetition, refusal."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.common.permutation import Permutation
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.sampler import MixtureSampler, windows_of
from synthlaw.tokens.shares import Phase

MakeSet = Callable[[str, int], TokenDataset]
CONTEXT = 16


@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
def test_a_permutation_visits_every_place_once(size: int, seed: int) -> None:
    order = Permutation(size, seed)
    assert sorted(order(np.arange(size)).tolist()) == list(range(size))


def one_by_one(order: Permutation, place: int) -> int:
    """The permutation at one place in Python's own integers: the rule, written again."""
    half, mask, full = int(order._half), int(order._mask), (1 << 64) - 1

    def mix(value: int) -> int:
        value = (value + 0x9E3779B97F4A7C15) & full
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & full
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & full
        return value ^ (value >> 31)

    while True:
        left, right = place >> half, place & mask
        for key in order._keys:
            left, right = right, left ^ (mix(right ^ int(key)) & mask)
        place = (left << half) | right
        if place < order.size:
            return place


@given(st.integers(1, 10**13), st.integers(0, 2**63 - 1), st.data())
def test_many_places_at_once_are_the_places_one_by_one(
    size: int, seed: int, data: st.DataObject
) -> None:
    order = Permutation(size, seed)
    places = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20))
    assert order(np.array(places)).tolist() == [one_by_one(order, place) for place in places]


def test_permutations_of_different_seeds_differ_and_are_not_the_identity() -> None:
    first, second = Permutation(1000, 1), Permutation(1000, 2)
    a, b = first(np.arange(1000)), second(np.arange(1000))
    assert not np.array_equal(a, b)
    assert (a == np.arange(1000)).sum() < 20


def test_a_permutation_of_a_trillion_windows_needs_no_table() -> None:
    order = Permutation(10**12, 5)
    places = set(order(np.arange(200)).tolist())
    assert len(places) == 200
    assert max(places) > 10**11


@pytest.fixture
def sets(make_set: MakeSet) -> dict[str, TokenDataset]:
    return {"natural": make_set("natural", 40), "hq": make_set("hq", 20)}


def sampler(sets: dict[str, TokenDataset], natural: float = 0.67) -> MixtureSampler:
    shares = {"natural": natural, "hq": round(1 - natural, 2)}
    return MixtureSampler(sets, shares, context=CONTEXT, seed=3)


def test_batches_are_the_same_whatever_the_world_size(sets: dict[str, TokenDataset]) -> None:
    for rows in (24, 25):
        whole = sampler(sets).batch(2, rows)
        assert np.array_equal(whole, [sampler(sets).window(2 * rows + i) for i in range(rows)])
        for world in (1, 2, 3, 8):
            parts = [sampler(sets).batch(2, rows, rank=r, world=world) for r in range(world)]
            assert np.array_equal(np.concatenate(parts), whole)


@given(st.permutations(range(60)), st.sampled_from([0.67, 0.5, 0.1]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_window_is_a_pure_function_of_its_number(
    sets: dict[str, TokenDataset], numbers: list[int], natural: float
) -> None:
    in_order = sampler(sets, natural).windows(np.arange(60))
    shuffled = sampler(sets, natural)
    assert np.array_equal(shuffled.windows(np.array(numbers)), in_order[numbers])
    assert np.array_equal(shuffled.window(numbers[0]), in_order[numbers[0]])


@given(st.integers(1, 60), st.integers(1, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_smaller_budget_is_a_prefix_of_a_larger_one(
    sets: dict[str, TokenDataset], rows: int, windows: int
) -> None:
    whole = sampler(sets).windows(np.arange(60))
    steps = windows // rows
    for step in range(min(steps, 60 // rows)):
        assert np.array_equal(sampler(sets).batch(step, rows), whole[step * rows :][:rows])


PROGRAM = """
import sys
from pathlib import Path
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.sampler import MixtureSampler
folder, first = Path(sys.argv[1]), int(sys.argv[2])
sets = {name: TokenDataset(folder / name) for name in ("natural", "hq")}
sampler = MixtureSampler(sets, {"natural": 0.67, "hq": 0.33}, context=16, seed=3)
for step in range(first, 12):
    print(step, sampler.batch(step, 5).tobytes().hex(), flush=True)
    if step == 7 and first == 0:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_batch_after_a_kill_and_a_resume_has_the_same_bytes(
    sets: dict[str, TokenDataset], tmp_path: Path
) -> None:
    def steps(first: int) -> dict[str, str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(first)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == (-signal.SIGKILL if first == 0 else 0), done.stderr
        return dict(line.split() for line in done.stdout.splitlines())

    killed, resumed = steps(0), steps(6)
    assert set(killed) & set(resumed) == {"6", "7"}
    whole = {str(step): sampler(sets).batch(step, 5).tobytes().hex() for step in range(12)}
    assert killed | resumed == whole
    assert all(killed[step] == resumed[step] for step in ("6", "7"))


def test_windows_are_slices_of_the_source_and_never_repeat(sets: dict[str, TokenDataset]) -> None:
    tokens = sets["natural"].read(0, sets["natural"].manifest.tokens)
    total = windows_of(len(tokens), CONTEXT)
    alone = MixtureSampler(sets, {"natural": 1.0}, context=CONTEXT, seed=3)
    windows = [tokens[i * CONTEXT : i * CONTEXT + CONTEXT + 1].tolist() for i in range(total)]
    assert sorted(alone.window(n).tolist() for n in range(total)) == sorted(windows)


def test_mixtures_read_a_shared_source_in_the_same_order(sets: dict[str, TokenDataset]) -> None:
    alone = MixtureSampler(sets, {"natural": 1.0}, context=CONTEXT, seed=3)
    mixed = sampler(sets)
    sources, _ = mixed.schedule.locate(np.arange(60))
    natural = np.flatnonzero(sources == mixed.schedule.sources.index("natural")).tolist()
    for rank, number in enumerate(natural):
        assert np.array_equal(mixed.window(number), alone.window(rank))


def test_a_spent_source_is_refused_with_the_numbers_that_help(
    sets: dict[str, TokenDataset],
) -> None:
    total = windows_of(sets["hq"].manifest.tokens, CONTEXT)
    only = MixtureSampler(sets, {"hq": 1.0}, context=CONTEXT, seed=3)
    only.check(total)
    with pytest.raises(UsageError, match="max_epochs: 2"):
        only.check(total + 1)
    with pytest.raises(UsageError, match="source 'hq' holds"):
        only.window(total)


def test_repetition_that_is_allowed_is_counted_and_reshuffled(
    sets: dict[str, TokenDataset],
) -> None:
    total = windows_of(sets["hq"].manifest.tokens, CONTEXT)
    twice = MixtureSampler(sets, {"hq": 1.0}, context=CONTEXT, seed=3, max_epochs=2)
    first = [twice.window(n).tobytes() for n in range(total)]
    second = [twice.window(total + n).tobytes() for n in range(total)]
    assert sorted(first) == sorted(second)
    assert first != second
    (use,) = twice.use(2 * total)
    assert use.epochs == 2


@given(st.integers(1, 40), st.integers(1, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_unique_tokens_are_the_first_that_the_whole_would_read(
    sets: dict[str, TokenDataset], unique: int, epochs: int
) -> None:
    whole = MixtureSampler(sets, {"hq": 1.0}, context=CONTEXT, seed=3)
    part = MixtureSampler(
        sets,
        {"hq": 1.0},
        context=CONTEXT,
        seed=3,
        max_epochs=epochs,
        unique={"hq": unique * CONTEXT},
    )
    first = whole.windows(np.arange(unique)).tolist()
    for epoch in range(epochs):
        again = part.windows(np.arange(unique) + epoch * unique).tolist()
        assert sorted(again) == sorted(first)
        assert epoch or again == first
    (use,) = part.use(epochs * unique)
    assert use.epochs == epochs
    part.check(epochs * unique)
    with pytest.raises(UsageError, match=f"{unique:,} windows of {CONTEXT}, of "):
        part.check(epochs * unique + 1)


def test_more_unique_tokens_than_there_are_is_refused(sets: dict[str, TokenDataset]) -> None:
    with pytest.raises(UsageError, match="unique tokens of 'hq'"):
        MixtureSampler(sets, {"hq": 1.0}, context=CONTEXT, seed=3, unique={"hq": 1e9})


def test_a_mixture_in_phases_reads_on_where_the_phase_before_stopped(
    sets: dict[str, TokenDataset],
) -> None:
    phases = [
        Phase(0, {"natural": 0.9, "hq": 0.1}),
        Phase(31, {"natural": 0.5, "hq": 0.5}),
    ]
    mixed = MixtureSampler(sets, phases, context=CONTEXT, seed=3)
    sources, _ = mixed.schedule.locate(np.arange(90))
    for number, name in enumerate(mixed.schedule.sources):
        alone = MixtureSampler(sets, {name: 1.0}, context=CONTEXT, seed=3)
        rows = np.flatnonzero(sources == number)
        assert np.array_equal(mixed.windows(rows), alone.windows(np.arange(len(rows))))
    uses = {use.source: use for use in mixed.use(90)}
    assert uses["hq"].share_asked == pytest.approx((31 * 0.1 + 59 * 0.5) / 90)
    assert abs(uses["hq"].tokens / CONTEXT - (31 * 0.1 + 59 * 0.5)) < 1


def test_use_states_the_realised_share(sets: dict[str, TokenDataset]) -> None:
    uses = {use.source: use for use in sampler(sets).use(100)}
    assert uses["hq"].share_realised == pytest.approx(0.33)
    assert uses["natural"].tokens == 67 * CONTEXT


def test_identity_changes_with_what_determines_the_windows(sets: dict[str, TokenDataset]) -> None:
    base = sampler(sets).identity()
    assert sampler(sets).identity() == base
    assert sampler(sets, natural=0.5).identity() != base
    other = MixtureSampler(sets, {"natural": 0.67, "hq": 0.33}, context=CONTEXT, seed=4)
    assert other.identity() != base
