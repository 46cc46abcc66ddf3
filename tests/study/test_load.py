"""The study file: what is accepted, and that every error names file, line and key."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import PACKAGED_MODEL, Sampling
from synthlaw.study.data.synthetic import engine_of, settings_of
from synthlaw.study.load import parse_study
from synthlaw.study.results.caveats import limits_of
from synthlaw.study.store import Store
from synthlaw.study.workspace import Workspace

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
    part = study.training
    assert (part.learning_rate, part.warmup, part.min_lr_ratio) == (3e-4, 0.1, 1e-6)
    assert (part.weight_decay, part.clip, part.dtype) == (0.1, 1.0, "auto")


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


SERVER = "kind: openai, base_url: http://localhost:1/v1, model: m"


def generating(text: str) -> str:
    return GOOD + f"generate: {{recipes: [hq], {text}}}\n"


def test_the_packaged_model_has_its_own_defaults_and_the_file_wins() -> None:
    packaged = parse_study(generating("max_failed: 0"), "s")
    made, use = packaged.generate, packaged.generate.recipes["hq"]
    assert made.sampling_with() == PACKAGED_MODEL.sampling
    assert (made.source_tokens, made.rules_off(use)) == (500, ("unfinished",))
    assert "frequency penalty of 0.5" in " ".join(limits_of(packaged))

    said = "sampling: {temperature: 0.0, frequency_penalty: 0}, input_tokens: 7"
    made = parse_study(generating(said), "s").generate
    expected = replace(PACKAGED_MODEL.sampling, temperature=0.0, frequency_penalty=0.0)
    assert (made.sampling_with(), made.source_tokens) == (expected, 7)


@pytest.mark.parametrize(
    "engine", [SERVER, "kind: vllm, model: m", "kind: embedded, model: a.gguf"]
)
def test_other_generators_take_the_papers_defaults(engine: str) -> None:
    study = parse_study(generating(f"engine: {{{engine}}}"), "s")
    made = study.generate
    assert (made.sampling_with(), made.source_tokens) == (Sampling(), 2000)
    assert made.rules_off(made.recipes["hq"]) == ()
    assert "sampled at" not in " ".join(limits_of(study))


def test_engine_and_sampling_are_part_of_a_shards_identity(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"

    Tokenizer(models.BPE()).save(str(tokenizer))
    base = f"engine: {{{SERVER}, tokenizer: {tokenizer}"
    digests = set()
    for rest in (
        "}",
        ", fold_system: true}",
        ", api: completions}",
        "}, sampling: {frequency_penalty: 1}",
    ):
        space = Workspace(parse_study(generating(base + rest), "s"), tmp_path, Store(tmp_path))
        digests.add(settings_of(space, "hq").digest(engine_of(space)))
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("kind: vllm", "kind 'vllm' needs 'model'"),
        ("kind: vllm, model: m, base_url: http://a", "'base_url', which only kind 'openai' takes"),
        ("fold_system: true", "'fold_system', which only kinds 'openai' and 'vllm' take"),
    ],
)
def test_an_engine_that_lacks_something_is_said_so(engine: str, said: str) -> None:
    assert said in complaint(generating(f"engine: {{{engine}}}"))
