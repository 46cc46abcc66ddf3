"""Post-filter: each rule drops what it is for and lets ordinary text pass."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.generate.engines.base import Completion
from synthlaw.generate.filters import RULES, Candidate, first_drop, words_of

GOOD = (
    "The city lies on the river and was founded in the ninth century by traders from the north. "
    "Its harbour made it rich, and by 1400 it had become the largest market of the region. "
    "Today the old town is a museum in which visitors can see how the merchants lived. "
)
TEMPLATE = ("Convert the following text into a list of question and answer pairs without notes: ",)


def candidate(text: str, **changes: object) -> Candidate:
    completion = Completion(
        text,
        str(changes.pop("finish_reason", "stop")),
        100,
        int(str(changes.pop("tokens", max(len(text) // 4, 60)))),
    )
    values: dict[str, object] = {"source": "Rivers and trade.", "template": TEMPLATE}
    return Candidate(completion, **(values | changes))  # type: ignore[arg-type]


def test_ordinary_text_passes_every_rule_that_applies_to_it() -> None:
    rules = [name for name in RULES if name not in ("pairs", "chapters", "table", "solution")]
    assert first_drop(candidate(GOOD, target_tokens=550), rules) is None


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        ("empty", candidate(" \n\t--- ** \x00")),
        ("short", candidate(GOOD, tokens=49)),
        ("long", candidate(GOOD, tokens=1651, target_tokens=550)),
        ("echo", candidate(GOOD + " a list of question and answer pairs without notes: " + GOOD)),
        ("refusal", candidate("I'm sorry, but I can't do that. " + GOOD)),
        ("refusal", candidate("As an AI language model, I have no opinion. " + GOOD)),
        ("loop", candidate("It was the best of times and the worst. " * 4)),
        ("loop", candidate("la la la " * 30)),
        ("loop", candidate("x" * 5000)),
        ("unfinished", candidate(GOOD, finish_reason="length")),
        ("language", candidate("Der Fluss fließt durch die Stadt und das Land. " * 5)),
        ("language", candidate("Город стоит на реке и был основан давно. " * 5)),
        ("language", candidate("城市位于河边,建于九世纪。" * 5)),
        ("pairs", candidate(GOOD)),
        ("pairs", candidate("Question: What lies on the river?\nAnswer:\n")),
        ("pairs", candidate("Answer: Yes.\nQuestion: Why?")),
        ("pairs", candidate("Question: What?\nAnswer:\nQuestion: Why?\nAnswer:\n")),
        ("pairs", candidate("Question:\n1. Answer: Yes.\n2. Answer: No.")),
        ("chapters", candidate("Title: Rivers. Chapter 1: Water.", chapters=10)),
        ("table", candidate("| a | b |\n" + GOOD)),
        ("table", candidate("| a | b |\n|---|---|\n" + GOOD)),
        ("solution", candidate("Problem: how many?\nSolution: count.")),
        ("solution", candidate("Final answer: 3\nSolution: count.")),
    ],
)
def test_a_rule_drops_what_it_is_for(rule: str, bad: Candidate) -> None:
    drop = first_drop(bad, [rule])
    assert drop is not None
    assert drop.rule == rule
    assert drop.detail


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ("short", candidate(GOOD, tokens=50)),
        ("long", candidate(GOOD, tokens=1650, target_tokens=550)),
        ("long", candidate(GOOD, tokens=10**6)),
        ("echo", candidate(TEMPLATE[0] + GOOD, source=TEMPLATE[0])),
        ("refusal", candidate("The letter began: I'm sorry, but no.", source="I'm sorry, but no.")),
        ("refusal", candidate(GOOD * 3 + "I'm sorry, but it is closed, said the guard.")),
        ("loop", candidate("It was the best of times and the worst. " * 3)),
        ("pairs", candidate("Question: What?\nAnswer: The river.")),
        ("pairs", candidate("Question: How many?\nAnswer: 42.\nQuestion: Who?\nAnswer: me")),
        ("pairs", candidate("Question: How many?\nAnswer: 42")),
        ("pairs", candidate("**Question 1:** What?\n\n**Answer:** The river.")),
        ("pairs", candidate("1. Question: What?\n   Answer: The river.")),
        ("chapters", candidate("Chapter 1: A\nChapter Two: B\nchapter 3 - C", chapters=5)),
        ("chapters", candidate(GOOD, chapters=0)),
        ("table", candidate("Facts:\n| a | b |\n| :-- | --- |\n| 1 | 2 |\n" + GOOD)),
        ("solution", candidate("**Problem:** how many?\n\nSolution: count.\nFinal answer: 3")),
        ("solution", candidate("How many?\nSolution: 1 + 2 = 3.\n**Final answer:** 3")),
    ],
)
def test_a_rule_lets_pass_what_is_near_it(rule: str, good: Candidate) -> None:
    assert first_drop(good, [rule]) is None


def test_the_first_rule_in_the_recipes_order_is_named() -> None:
    bad = candidate("", tokens=0, finish_reason="length")
    for order in (["empty", "short"], ["short", "empty"], ["unfinished", "short"]):
        drop = first_drop(bad, order)
        assert drop is not None
        assert drop.rule == order[0]


@given(text=st.text(), source=st.text(), chapters=st.integers(0, 20))
def test_no_text_breaks_a_rule(text: str, source: str, chapters: int) -> None:
    one = candidate(text, source=source, chapters=chapters, target_tokens=10)
    for rule in RULES:
        drop = first_drop(one, [rule])
        assert drop is None or (drop.rule == rule and drop.detail)
    # Of all rules together the first that drops alone is the one that is named.
    alone = [rule for rule in RULES if first_drop(one, [rule])]
    together = first_drop(one, list(RULES))
    assert (together.rule if together else None) == (alone[0] if alone else None)


@given(text=st.text(alphabet=st.sampled_from("aBz09'’_ .-\n\x00é茶"), max_size=60))
def test_words_are_runs_of_letters_and_digits_with_inner_apostrophes(text: str) -> None:
    assert words_of(text) == re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


@given(
    words=st.lists(st.sampled_from("abcd"), min_size=1, max_size=12),
    times=st.integers(1, 6),
    tail=st.lists(st.sampled_from("abcdefgh"), max_size=60),
)
def test_loops_are_the_texts_with_eight_words_in_a_row_four_times(
    words: list[str], times: int, tail: list[str]
) -> None:
    written = words * times + tail
    grams = Counter(tuple(written[at : at + 8]) for at in range(len(written) - 7))
    looping = bool(grams) and max(grams.values()) >= 4
    drop = first_drop(candidate(" ".join(written)), ["loop"])
    assert (drop is not None) == looping


@given(start=st.integers(0, 6), length=st.integers(1, 14), before=st.lists(st.sampled_from("xyz")))
def test_an_echo_of_eight_words_is_found_wherever_it_begins(
    start: int, length: int, before: list[str]
) -> None:
    prompt = words_of(TEMPLATE[0])
    echoed = prompt[start : start + length]
    drop = first_drop(candidate(" ".join([*before, *echoed, "end"])), ["echo"])
    assert (drop is not None) == (len(echoed) >= 8)
