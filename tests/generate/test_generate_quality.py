"""Signs of quality: known texts have known figures."""

from __future__ import annotations

import pytest

from synthlaw.corpus.documents import Document
from synthlaw.generate.quality import (
    describe,
    distinct_share,
    evaluation_overlap,
    faithfulness,
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


def test_diversity_of_equal_and_of_different_texts() -> None:
    equal = ["one two three four five six"] * 4
    different = [f"a{n} b{n} c{n} d{n} e{n}" for n in range(4)]
    assert distinct_share(equal, 2) == pytest.approx(1 / 4)
    assert distinct_share(different, 2) == 1
    assert self_overlap(equal) == 1
    assert self_overlap(different) == 0
    assert self_overlap([]) == 0
    assert distinct_share([], 1) == 1
    assert openings(equal + different)[0] == {"words": "one two three four five", "share": 0.5}


def test_overlap_with_an_evaluation_text_needs_thirteen_words_in_a_row() -> None:
    text = " ".join(f"w{n}" for n in range(20))
    assert evaluation_overlap([text, "other words"], [f"before {text} after"]) == 0.5
    twelve = " ".join(f"w{n}" for n in range(12))
    assert evaluation_overlap([text], [twelve]) == 0


def test_the_source_is_found_in_the_recorded_prompt() -> None:
    recipe = load_recipe("hq")
    prompt = recipe.steps[0].fill({"document": SOURCE})
    fields = {"prompt": prompt, "step": "article", "finish_reason": "stop", "completion_tokens": 20}
    made = Document("a", SOURCE.lower(), fields)
    assert source_in_prompt(recipe, made) == SOURCE
    report = describe(recipe, [made])
    assert report["faithfulness"]["content_kept"] == 1
    assert report["tokens"]["p50"] == 20
    chapter = Document("b", "x", fields | {"step": "chapter-1"})
    assert source_in_prompt(load_recipe("textbook"), chapter) is None


def test_nothing_generated_is_described_without_figures() -> None:
    report = describe(load_recipe("hq"), [])
    assert report["tokens"] == {}
    assert report["faithfulness"]["numbers"] is None
