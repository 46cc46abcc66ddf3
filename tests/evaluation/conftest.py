"""A model folder small enough for tests: random weights, a tokenizer trained on a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_texts import LINES

from synthlaw.tokens.tokenizer import Tokenizer, train_bpe
from synthlaw.training.export import export_model
from synthlaw.training.model import Llama, initialise
from synthlaw.training.presets import ModelShape


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: 300 entries, context 32."""
    folder = tmp_path_factory.mktemp("exported")
    train_bpe(LINES * 20, 300, folder / "tokenizer.json")
    tokenizer = Tokenizer(folder / "tokenizer.json")
    model = Llama(ModelShape(dim=16, layers=2, heads=2, vocab=300))
    initialise(model, 3)
    out = folder / "hf"
    export_model(
        model, out, context=32, tokenizer=tokenizer.as_json(), bos=tokenizer.bos, eos=tokenizer.eos
    )
    return out
