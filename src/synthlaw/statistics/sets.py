"""The sets that are compared, their mixtures, and the equal sizes at which they are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.statistics.unigrams import Unigrams, check_same_tokenizer, mixed, thinned

Role = Literal["training", "mixture", "test"]

ROOM = 0.9
"""Part of the smallest set that is the common size: the rest is room, so that a block of documents
can be left out of that set as well."""


@dataclass(frozen=True)
class Compared:
    """Counts by name. equal: each training set and mixture thinned to the same number of tokens.

    baseline: the training set that others are compared with, the natural text.
    """

    training: Mapping[str, Unigrams]
    tests: Mapping[str, Unigrams]
    equal: Mapping[str, Unigrams]
    equal_tests: Mapping[str, Unigrams]
    baseline: str

    def role(self, name: str) -> Role:
        """What a name of `equal` is."""
        return "training" if name in self.training else "mixture"

    @property
    def training_tokens(self) -> int:
        """The common size of training sets and mixtures."""
        return next(iter(self.equal.values())).tokens

    @property
    def vocab(self) -> int:
        """Entries of the vocabulary."""
        return next(iter(self.training.values())).vocab


def compare(
    training: Mapping[str, Unigrams],
    tests: Mapping[str, Unigrams],
    *,
    mixtures: Mapping[str, Mapping[str, float]] | None = None,
    baseline: str | None = None,
    tokens: int | None = None,
    seed: int = 0,
) -> Compared:
    """Bring sets to equal sizes.

    mixtures: token shares of training sets, by name. baseline: default the first training set.
    tokens: the common size of training sets; default 90% of the smallest.
    A test set may have a training set's name, a mixture may not. Raises UsageError for sets of
    different tokenizers, an empty set, a mixture of unknown sets, or a size that a set lacks.
    """
    for name in mixtures or {}:
        if name in training:
            raise UsageError(f"mixture {name!r}: the name is that of a training set")
    if not training:
        raise UsageError("sets: found no training set; expected at least one")
    every = [*training.items(), *tests.items()]
    check_same_tokenizer(every)
    for name, one in every:
        if one.tokens == 0:
            raise UsageError(
                f"set {name!r}: found no token of text in {one.documents:,} documents; "
                "expected at least one"
            )
    baseline = baseline or next(iter(training))
    if baseline not in training:
        raise UsageError(
            f"baseline: there is no training set {baseline!r}; there are {', '.join(training)}"
        )
    size = _common_size(training, tokens)
    equal = {n: thinned(u, size, derive_seed(seed, "thin", n)) for n, u in training.items()}
    for name, shares in (mixtures or {}).items():
        equal[name] = mixed(name, training, shares, size, derive_seed(seed, "mix", name))
    test_size = _common_size(tests, None) if tests else 0
    equal_tests = {n: thinned(u, test_size, derive_seed(seed, "thin", n)) for n, u in tests.items()}
    return Compared(training, tests, equal, equal_tests, baseline)


def _common_size(sets: Mapping[str, Unigrams], tokens: int | None) -> int:
    smallest = min(sets, key=lambda name: sets[name].tokens)
    there = sets[smallest].tokens
    if tokens is None:
        return max(1, int(ROOM * there))
    if tokens > there:
        raise UsageError(
            f"tokens: found {tokens:,}; the smallest set, {smallest!r}, holds {there:,}"
        )
    return tokens
