"""Export to Hugging Face and back: transformers is the reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer

from synthlaw.common.errors import UsageError
from synthlaw.training.export import export_model, import_model
from synthlaw.training.model import Llama, initialise
from synthlaw.training.presets import ModelShape


@pytest.fixture
def model() -> Llama:
    made = Llama(ModelShape(dim=48, layers=2, heads=3, vocab=300, rope_theta=12345.0))
    initialise(made, 3)
    return made


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(["to be or not to be, that is the question " * 9], trainer)
    path = tmp_path / "source.json"
    made.save(str(path))
    return path


def test_transformers_gives_equal_logits(model: Llama, tokenizer: Path, tmp_path: Path) -> None:
    out = export_model(
        model,
        tmp_path / "hf",
        context=64,
        tokenizer=tokenizer.read_text(),
        bos=0,
        eos=1,
        provenance={"mixture": {"CC": 0.67, "HQ": 0.33}, "note": "a|b"},
    )
    theirs = AutoModelForCausalLM.from_pretrained(out)
    tokens = torch.randint(300, (2, 64), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-6)
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id) == (0, 1)
    assert theirs.lm_head.weight is theirs.model.embed_tokens.weight

    reader = AutoTokenizer.from_pretrained(out)
    ids = reader("to be or not", add_special_tokens=False)["input_ids"]
    assert ids == Tokenizer.from_file(str(tokenizer)).encode("to be or not").ids
    assert reader.bos_token_id == 0
    written = theirs.generate(torch.tensor([ids]), max_new_tokens=3, do_sample=False)
    assert written.shape[1] <= len(ids) + 3

    card = (out / "README.md").read_text()
    assert '| mixture | {"CC": 0.67, "HQ": 0.33} |' in card
    assert "a\\|b" in card


def test_import_gives_back_the_same_bits(model: Llama, tmp_path: Path) -> None:
    back = import_model(export_model(model, tmp_path / "hf", context=64))
    assert back.shape == model.shape
    for (name, ours), theirs in zip(model.state_dict().items(), back.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_import_reads_what_transformers_writes(model: Llama, tmp_path: Path) -> None:
    out = export_model(model, tmp_path / "hf", context=64)
    AutoModelForCausalLM.from_pretrained(out).save_pretrained(tmp_path / "again")
    back = import_model(tmp_path / "again")
    tokens = torch.arange(20)[None]
    torch.testing.assert_close(back(tokens), model(tokens))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mistral"}, "model_type: found 'mistral'"),
        ({"num_key_value_heads": 1}, "num_key_value_heads: found 1; this model has 3 only"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings: found False"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope type: found 'llama3'"),
        ({"head_dim": 32}, "head_dim: found 32; this model has 16"),
        ({"hidden_size": 47}, "no usable shape"),
        ({"intermediate_size": 64}, "its tensors do not fit config.json"),
    ],
)
def test_what_cannot_be_imported_is_named(
    model: Llama, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    out = export_model(model, tmp_path / "hf", context=64)
    path = out / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match=message):
        import_model(out)


def test_export_refuses_another_tokenizer(model: Llama, tokenizer: Path, tmp_path: Path) -> None:
    small = Llama(ModelShape(dim=16, layers=1, heads=1, vocab=100))
    with pytest.raises(UsageError, match="more than the model's vocabulary of 100"):
        export_model(small, tmp_path / "hf", context=64, tokenizer=tokenizer.read_text())
    assert not (tmp_path / "hf").exists()
    with pytest.raises(UsageError, match=r"not a tokenizer\.json"):
        export_model(model, tmp_path / "hf", context=64, tokenizer="{}")
    with pytest.raises(UsageError, match=r"expected a Hugging Face folder with config\.json"):
        import_model(tmp_path)


def test_a_reader_of_either_transformers_generates_as_it_is(
    model: Llama, tokenizer: Path, tmp_path: Path
) -> None:
    out = export_model(
        model, tmp_path / "hf", context=64, tokenizer=tokenizer.read_text(), bos=0, eos=1
    )
    reader, theirs = AutoTokenizer.from_pretrained(out), AutoModelForCausalLM.from_pretrained(out)
    asked = reader("to be", return_tensors="pt")
    # transformers 4 gave token_type_ids too, which its Llama refuses.
    assert set(asked) == {"input_ids", "attention_mask"}
    assert theirs.generate(**asked, max_new_tokens=2, do_sample=False).shape[0] == 1


def test_without_a_tokenizer_no_ids_are_made_up(model: Llama, tmp_path: Path) -> None:
    out = export_model(model, tmp_path / "hf", context=64)
    theirs = AutoModelForCausalLM.from_pretrained(out)
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id) == (None, None)


def test_files_can_be_read_by_others(model: Llama, tokenizer: Path, tmp_path: Path) -> None:
    out = export_model(model, tmp_path / "hf", context=64, tokenizer=tokenizer.read_text())
    modes = {path.name: path.stat().st_mode & 0o777 for path in out.iterdir()}
    assert set(modes.values()) == {0o644}, modes
