"""Signs of quality: known texts have known figures."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.wordhash import Hashes, ngrams_of, words_of
from synthlaw.corpus.documents import Document
from synthlaw.generate.quality import (
    describe,
    distinct_share,
    evaluation_overlap,
    faithfulness,
    histogram,
    openings,
    self_overlap,
    source_in_prompt,
)
from synthlaw.generate.recipe import load_recipe

SOURCE = "The mill in Delft ran from 1720 to 1805. Its owner, Anna Visser, sold 3,500 sacks a year."


def test_a_copy_is_faithful_and_an_unrelated_text_is_not() -> None:
    same = faithfulness(SOURCE, SOURCE)
    assert (same.numbers, same.names, same.content_kept, same.content_grounded) == (1, 1, 1, 1)
    other = faithfulness(SOURCE, "Penguins swim fast in cold water.")
    assert (other.numbers, other.names, other.content_kept) == (0, 0, 0)
    assert faithfulness("no figures or capitals here", "anything").numbers is None


def test_shares_count_what_is_kept() -> None:
    half = faithfulness(SOURCE, "In Delft a mill worked from 1720 until 1806.")
    assert half.numbers == pytest.approx(1 / 3)
    assert half.names == pytest.approx(1 / 3)  # of Delft, Anna, Visser


def grams(texts: list[str], n: int) -> list[Hashes]:
    return [ngrams_of(words_of(text).hashes, n) for text in texts]


def test_diversity_of_equal_and_of_different_texts() -> None:
    equal = ["one two three four five six"] * 4
    different = [f"a{n} b{n} c{n} d{n} e{n}" for n in range(4)]
    assert distinct_share(grams(equal, 2)) == pytest.approx(1 / 4)
    assert distinct_share(grams(different, 2)) == 1
    assert self_overlap(grams(equal, 4)) == 1
    assert self_overlap(grams(different, 4)) == 0
    assert self_overlap([]) == self_overlap(grams(["too short"], 4)) == 0
    assert distinct_share([]) == 1
    assert openings(equal + different)[0] == {"words": "one two three four five", "share": 0.5}


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=5))
def test_diversity_is_what_counting_tuples_gives(words: list[list[str]]) -> None:
    texts = [" ".join(of_text) for of_text in words]
    tuples = [list(pairwise(of_text)) for of_text in words]
    total = sum(map(len, tuples))
    distinct = len({gram for of_text in tuples for gram in of_text})
    assert distinct_share(grams(texts, 2)) == (distinct / total if total else 1.0)
    shares = [
        sum(any(gram in other for m, other in enumerate(tuples) if m != n) for gram in set(mine))
        / len(set(mine))
        for n, mine in enumerate(tuples)
        if mine
    ]
    expected = sum(shares) / len(shares) if shares else 0.0
    assert self_overlap(grams(texts, 2)) == pytest.approx(expected)


def test_lengths_fall_into_bins_up_to_the_longest() -> None:
    assert histogram([]) == {}
    assert histogram([0, 49, 50, 99, 250]) == {"0-49": 2, "50-99": 2, "100-199": 0, "200-299": 1}
    assert histogram([10**6])["3000 or more"] == 1


def test_overlap_with_evaluation_sets_says_which_and_whether_the_source_has_it() -> None:
    recipes = {"hq": load_recipe("hq")}
    leaked = " ".join(f"w{n}" for n in range(20))

    def made(name: str, text: str, source: str) -> Document:
        prompt = recipes["hq"].steps[0].fill({"document": source})
        return Document(name, text, {"recipe": "hq", "step": "article", "prompt": prompt})

    documents = [
        made("copied", f"Before {leaked.upper()}, after.", f"The source: {leaked}"),
        made("known by heart", leaked, "another source"),
        made("clean", " ".join(leaked.split()[:12]), leaked),
    ]
    sets = {"news": [("1", f"A text. {leaked}!")], "books": [("2", "nothing of it")]}
    found = evaluation_overlap(recipes, documents, NgramIndex(sets))
    assert found["documents"] == 3
    assert found["overlapping"] == 2
    assert found["by_set"] == {"news": 2}
    assert found["in_source"] == 1
    assert found["ids"] == ["copied", "known by heart"]


def test_the_source_is_found_in_the_recorded_prompt() -> None:
    recipe = load_recipe("hq")
    prompt = recipe.steps[0].fill({"document": SOURCE})
    fields = {"prompt": prompt, "step": "article", "recipe": "hq", "completion_tokens": 20}
    made = Document("a", SOURCE.lower(), fields)
    assert source_in_prompt(recipe, made) == SOURCE
    report = describe({"hq": recipe}, [made])
    assert report["faithfulness"]["content_kept"] == 1
    assert report["tokens"]["p50"] == 20
    chapter = Document("b", "x", fields | {"step": "chapter-1"})
    assert source_in_prompt(load_recipe("textbook"), chapter) is None


def test_nothing_generated_is_described_without_figures() -> None:
    report = describe({"hq": load_recipe("hq")}, [])
    assert report["tokens"] == {}
    assert report["faithfulness"]["numbers"] is None
