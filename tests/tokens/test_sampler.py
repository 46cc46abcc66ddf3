"""The sampler: purity, prefixes, pairing, no repetition, refusal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.permutation import Permutation
from synthlaw.tokens.sampler import MixtureSampler, windows_of

MakeSet = Callable[[str, int], TokenDataset]
CONTEXT = 16


@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
def test_a_permutation_visits_every_place_once(size: int, seed: int) -> None:
    order = Permutation(size, seed)
    assert sorted(order(np.arange(size)).tolist()) == list(range(size))


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
