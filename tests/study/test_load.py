"""The study file: what is accepted, and that every error names file, line and key."""

from __future__ import annotations

from importlib import resources

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.study.load import parse_study

GOOD = """\
natural: {path: text}
mixtures:
  CC: {natural: 1.0}
ladder:
  sizes: [0.1M]
  budgets: [50k]
training: {context: 128, batch_tokens: 1024}
"""


def complaint(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_study(text, "study.yaml")
    return str(caught.value)


def test_a_short_study_takes_the_papers_defaults() -> None:
    study = parse_study(GOOD, "s")
    sampling = study.generate.sampling
    assert (sampling.temperature, sampling.top_p) == (0.7, 0.95)
    part = study.training
    assert (part.learning_rate, part.warmup, part.min_lr_ratio) == (3e-4, 0.1, 1e-6)
    assert (part.weight_decay, part.clip, part.dtype) == (0.1, 1.0, "bf16")


@pytest.mark.parametrize("name", ["study.yaml", "demo.yaml"])
def test_the_shipped_study_files_are_valid(name: str) -> None:
    text = (resources.files("synthlaw.study") / "templates" / name).read_text(encoding="utf-8")
    study = parse_study(text, name)
    assert len(study.mixtures) >= 5
    assert len(study.ladder.sizes) >= 3
    assert study.baseline_name() == "CC"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("budgets:", "budjets:"), "study.yaml:6: ladder.budjets: unknown key; did you mean"),
        (("ladder:", "lader:"), "study.yaml:4: lader: unknown key; did you mean 'ladder'?"),
        (
            ("{natural: 1.0}", "{natural: 0.7, hq: 0.5}"),
            "mixtures: mixture 'CC': shares add to 1.2",
        ),
        (("{natural: 1.0}", "{natural: 0.5, hqq: 0.5}"), "source 'hqq' does not exist"),
        (
            ("mixtures:", "sources: {hq: {path: x}}\ngenerate: {recipes: [hq]}\nmixtures:"),
            "sources.hq: a recipe has that name",
        ),
        (("[0.1M]", "[0.1X]"), "found '0.1X'; expected one of 0.1M"),
        (("[50k]", "[many]"), "study.yaml:6: ladder.budgets.0: found 'many'; expected a count"),
        (("[50k]", "[500]"), "less than one batch"),
        (("[50k]", "[5000, 5100]"), "expected budgets that differ by a step"),
        (
            ("ladder:", "evaluation: {domains: {natural: {path: x}}}\nladder:"),
            "evaluation.domains.natural: the name is taken",
        ),
        (
            ("ladder:", "generate: {recipes: {natural: {recipe: hq}}}\nladder:"),
            "generate.recipes.natural: the name is taken",
        ),
        (("context: 128", "context: 100"), "not a multiple of context 100"),
        (("{path: text}", "{path: text, embedded: news}"), "exactly one of 'path' and 'embedded'"),
        (("natural: {path: text}\n", ""), "natural: this key is required and is missing"),
    ],
)
def test_mistakes_name_their_place(change: tuple[str, str], said: str) -> None:
    assert said in complaint(GOOD.replace(*change))


def test_a_misspelled_key_is_one_mistake() -> None:
    assert complaint(GOOD.replace("budgets:", "budgetts:")).count("\n") == 0


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD.replace("[0.1M]", "[huge]").replace("[50k]", "[many]")
    assert "ladder.sizes" in complaint(text)
    assert "ladder.budgets" in complaint(text)


@pytest.mark.parametrize("text", ["", "- a list", "just words", "a: [unclosed"])
def test_what_is_no_study_at_all_is_said_so(text: str) -> None:
    assert complaint(text).startswith("study.yaml")
