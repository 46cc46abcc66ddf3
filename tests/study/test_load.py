"""The study file: what is accepted, and that every error names file, line and key."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import PACKAGED_MODEL, Sampling
from synthlaw.study.data.orders import Orders
from synthlaw.study.data.recipes import mix_of
from synthlaw.study.grid import runs_of
from synthlaw.study.load import parse_study
from synthlaw.study.plan import plan_study
from synthlaw.study.results.caveats import limits_of
from synthlaw.study.store import Store
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import train_bpe
from synthlaw.training.settings import TrainingSettings

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
    assert len(study.mixtures) >= 3
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
        (("[50k]", "50k"), "ladder.budgets: found '50k'; expected a list, such as [50k]"),
        (("[50k]", "[50k, 1e30]"), "ladder.budgets.1: found 1e+30; expected at most 1e+18"),
        (("[50k]", "[5000, 5100]"), "expected budgets that differ by a step"),
        # 2.5 and 3 batches: both three steps, by the one rounding that there is.
        (("[50k]", "[2560, 3072]"), "2560, 3072 tokens are 3, 3 steps"),
        (("[50k]", "[50k]\nladder: 3"), "the key 'ladder' is given twice"),
        (("context: 128", "context: 128, learning_rate: .inf"), "learning_rate"),
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
    made, use = packaged.generate.generator_of("hq"), packaged.generate.recipes["hq"]
    assert made.sampling_with() == PACKAGED_MODEL.sampling
    assert (made.source_tokens, made.rules_off(use)) == (500, ("unfinished",))
    assert "frequency penalty of 0.5" in " ".join(limits_of(packaged))

    said = "sampling: {temperature: 0.0, frequency_penalty: 0}, input_tokens: 7"
    made = parse_study(generating(said), "s").generate.generator_of("hq")
    expected = replace(PACKAGED_MODEL.sampling, temperature=0.0, frequency_penalty=0.0)
    assert (made.sampling_with(), made.source_tokens) == (expected, 7)


@pytest.mark.parametrize(
    "engine", [SERVER, "kind: vllm, model: m", "kind: embedded, model: a.gguf"]
)
def test_other_generators_take_the_papers_defaults(engine: str) -> None:
    study = parse_study(generating(f"engine: {{{engine}}}"), "s")
    made = study.generate.generator_of("hq")
    assert (made.sampling_with(), made.source_tokens) == (Sampling(), 2000)
    assert made.rules_off(study.generate.recipes["hq"]) == ()
    assert "sampled at" not in " ".join(limits_of(study))


def test_engine_and_sampling_are_part_of_a_runs_identity(tmp_path: Path) -> None:
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
        orders = Orders(tmp_path, space.study.generate.used_generators, tmp_path, 0, 1, "")
        engine = orders.make_generators()["engine"].engine
        digests.add(mix_of(space, "hq").digest(engine))
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


def test_budgets_that_differ_by_a_step_are_taken() -> None:
    study = parse_study(GOOD.replace("[50k]", "[2048, 2560]"), "s")
    runs = runs_of(study, 4096)
    assert [run.config.steps for run in runs] == [2, 3]


@given(
    st.lists(st.integers(1024, 200_000), min_size=2, max_size=4, unique=True),
    st.sampled_from([128, 1024, 4096]),
)
@example([199_500, 199_616], 128)  # alike in three digits: the runs' names say more of them
def test_a_study_counts_steps_as_its_runs_do(budgets: list[int], batch: int) -> None:
    text = GOOD.replace("[50k]", str(budgets)).replace("1024", str(batch))
    try:
        study = parse_study(text, "s")
    except UsageError:
        assume(False)
    runs = runs_of(study, 4096)
    assert len({run.config.steps for run in runs}) == len(runs)
    for run in runs:
        assert run.config.steps == study.steps(run.config.budget)
    assert len({run.name for run in runs}) == len(runs)


@pytest.mark.parametrize("word", ["off", "report", "remove"])
def test_words_that_yaml_1_1_takes_for_booleans_are_words(word: str) -> None:
    study = parse_study(GOOD + f"corpus: {{decontaminate: {word}}}\n", "s")
    assert study.corpus.decontaminate == word


def test_names_may_be_numbers() -> None:
    study = parse_study(GOOD.replace("CC:", "33:") + "name: 2026\nbaseline: 33\n", "s")
    assert (study.name, study.baseline_name()) == ("2026", "33")


def test_a_share_that_comes_to_no_window_is_told() -> None:
    text = GOOD.replace("{natural: 1.0}", "{natural: 0.999, hq: 0.001}")
    study = parse_study(text + "generate: {recipes: [hq]}\n", "s")
    (said,) = plan_study(study, Path())["warnings"]
    assert "mixtures.CC: a share of 0.001 of hq is less than one window" in said
    assert "budgets of 128k tokens or more" in said
    enough = parse_study(text.replace("[50k]", "[200k]") + "generate: {recipes: [hq]}\n", "s")
    assert plan_study(enough, Path())["warnings"] == []


def test_the_plan_counts_the_entries_of_the_tokenizer_that_is_there(tmp_path: Path) -> None:
    train_bpe(["the river runs past the town"] * 9, 300, tmp_path / "own.json")

    def planned(tokenizer: str) -> dict[str, object]:
        study = parse_study(GOOD + f"tokenizer: {{{tokenizer}}}\n", "s")
        return plan_study(study, tmp_path)["tokenizer"]

    own = Tokenizer.from_file(str(tmp_path / "own.json")).get_vocab_size()
    assert planned("path: own.json") == {"vocab": own, "known": True}
    assert planned("path: absent.json") == {"vocab": 128256, "known": False}
    assert planned("name: llama3") == {"vocab": 128256, "known": True}
    assert planned("name: 'tiktoken:cl100k_base'") == {"vocab": 100277, "known": True}
    assert planned("vocab: 700") == {"vocab": 700, "known": True}


def test_every_setting_that_the_plan_advises_can_be_set() -> None:
    study = parse_study(GOOD.replace("1024}", "1024, recompute: true, micro_batch: 2}"), "s")
    (run,) = runs_of(study, 4096)
    assert run.config.recompute and run.config.micro_batch == 2


def test_a_study_sets_everything_that_the_trainer_takes() -> None:
    """Each setting of training, changed in a study file, reaches the configuration of its runs."""
    changed = {
        "learning_rate": 0.5,
        "rate_width": 7,
        "warmup": 0.3,
        "min_lr_ratio": 0.25,
        "beta1": 0.8,
        "beta2": 0.7,
        "epsilon": 1e-3,
        "weight_decay": 0.5,
        "decay_on": "matrices",
        "clip": 3.0,
        "document_masking": True,
        "dtype": "bf16",
        "micro_batch": 4,
        "compile": True,
        "recompute": True,
        "shard_group": 2,
        "device": "cpu",
        "peak_flops": 1e12,
        "track": ["tensorboard"],
        "checkpoint_every_steps": 5,
        "checkpoint_every_seconds": 7.0,
        "keep_last": 3,
        "keep_optimizer": True,
    }
    named = {"context", "batch_tokens", "schedule", "cooldown"}
    assert named | set(changed) == set(TrainingSettings.model_fields)
    value = yaml.safe_load(GOOD)
    value["training"] |= changed
    config = runs_of(parse_study(yaml.safe_dump(value), "s"), 300, bos=3)[0].config
    found = config.model_dump(mode="json", include=set(changed))
    assert found == changed
    assert config.document_start == 3
