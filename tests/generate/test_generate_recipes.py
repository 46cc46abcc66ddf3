"""Recipes: the paper's templates byte for byte, filling, and the errors a recipe's author meets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.generate.recipe import Recipe, load_recipe, recipe_names

SYSTEM = "Provide direct and detailed response to the instructions without adding additional notes."
# Appendix B.1 of arXiv:2510.01631 with <DOC> for the document, joined here from short lines.
PAPER = {
    ("hq", "article"): (
        "For the following document, regardless of its original content or formatting, write a "
        "full article of the same content in high quality English language as in texts on "
        "Wikipedia: <DOC>. Provide the rephrased article without any additional notes. Long "
        "article with full length and complete details. Rephrased article:"
    ),
    ("qa", "pairs"): (
        "For the following document, regardless of its original content or formatting, convert it "
        "into a comprehensive list of question-answer pairs with multiple tags of “Question:” "
        "followed by “Answer:”, where questions and answers cover complete information of the "
        "original document. Document: <DOC>. Provide the converted question-answer pairs without "
        "any additional notes. Question-answer pairs with corresponding tags (“Question:”, "
        "“Answer:”):"
    ),
    ("textbook", "outline"): (
        "Imagine you are a prolific author tasked with writing a textbook. You are working on "
        "writing a textbook involving the knowledge and information of the following text. Text: "
        "<DOC>\n Your task is to write an outline for the textbook. Your target audiences are "
        "college students. The textbook has 10 chapters in total plus title, introduction, and "
        "appendices. Textbook outline:"
    ),
    ("textbook", "chapter"): (
        "Imagine you are a prolific author tasked with writing a textbook. You are working on "
        "writing a textbook with the following outline.\n Outline: <DOC> \n Your task is to write "
        "Chapter 7 of the textbook. Your target audiences are college students. Include exercises "
        "at the end of the chapter to test the reader’s knowledge of the chapter and then provide "
        "reference answers to each question."
    ),
}


@pytest.mark.parametrize(("name", "step"), list(PAPER))
@given(document=st.text())
def test_filled_prompts_are_the_papers_around_any_document(
    name: str, step: str, document: str
) -> None:
    recipe = load_recipe(name)
    found = next(s for s in recipe.steps if s.name == step)
    values = {
        "document": document,
        "outline": document,
        "audience": "college students",
        "chapters": recipe.chapters,
        "chapter": 7,
    }
    assert found.fill(values) == document.join(PAPER[name, step].split("<DOC>"))


def test_system_prompts_are_the_papers() -> None:
    chapter = "Provide a direct and detailed response to the instructions without adding "
    for name in ("hq", "qa", "textbook"):
        for step in load_recipe(name).steps:
            expected = chapter + "additional notes." if step.name == "chapter" else SYSTEM
            assert step.system == expected


def test_a_document_that_looks_like_a_slot_is_text() -> None:
    step = load_recipe("textbook").steps[0]
    hostile = "[xxxx] {audience} {0} 10 chapters <grade school students/college students"
    filled = step.fill({"document": hostile, "audience": "field experts", "chapters": 3})
    assert hostile in filled
    assert "has 3 chapters in total" in filled


def test_every_audience_is_drawn_about_equally_and_depends_on_the_document_and_seed() -> None:
    recipe = load_recipe("textbook")
    drawn = [recipe.audience_of(f"doc-{n}", 3) for n in range(400)]
    assert drawn == [recipe.audience_of(f"doc-{n}", 3) for n in range(400)]
    assert drawn != [recipe.audience_of(f"doc-{n}", 4) for n in range(400)]
    assert set(drawn) == set(recipe.audiences)
    assert all(60 < drawn.count(audience) < 140 for audience in recipe.audiences)


def test_a_changed_word_is_another_recipe() -> None:
    recipe = load_recipe("hq")
    step = recipe.steps[0].model_copy(update={"system": recipe.steps[0].system + " "})
    assert recipe.model_copy(update={"steps": (step,)}).digest != recipe.digest
    assert load_recipe("textbook").with_chapters(3).digest != load_recipe("textbook").digest


def test_recipes_of_the_paper_are_known_by_name() -> None:
    assert {"hq", "qa", "textbook"} <= set(recipe_names())


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


MINE = """
name: mine
version: "2"
steps:
  - name: list
    keep: aside
    prompt: "Words of: [xxxx]"
  - name: poem
    prompt: "A poem with @words about @text"
    slots: {"@words": "{list}", "@text": "{document}"}
    rules: [empty, short]
"""


def test_a_recipe_of_ones_own_is_a_file(tmp_path: Path) -> None:
    recipe = load_recipe(_write(tmp_path, MINE))
    values = {"document": "D", "list": "L"}
    assert [step.fill(values) for step in recipe.steps] == ["Words of: D", "A poem with L about D"]


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ("[xxxx]", "it", "found 0 times"),
        ("[empty, short]", "[shrt]", "shrt"),
        ("{list}", "{lists}", "lists"),
        ("keep: aside", "keep: maybe", "keep"),
        ("version:", "vers:", "vers"),
        ("name: poem", "name: list", "used twice"),
        ("steps:", "steps: [", "YAML"),
        ("@words about", "@words @words about", "found 2 times"),
    ],
)
def test_a_wrong_file_is_refused_naming_the_place(
    tmp_path: Path, change: str, to: str, message: str
) -> None:
    path = _write(tmp_path, MINE.replace(change, to, 1))
    with pytest.raises(UsageError, match=r"mine\.yaml") as caught:
        load_recipe(path)
    assert message in str(caught.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"hq, .*qa, .*textbook"):
        load_recipe("hqq")


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="no chapters"):
        load_recipe("hq").with_chapters(3)
    with pytest.raises(UsageError, match="unfinnished"):
        load_recipe("hq").without_rules(("unfinnished",))
    recipe: Recipe = load_recipe("hq").without_rules(("unfinished",))
    assert "unfinished" not in recipe.steps[0].rules
