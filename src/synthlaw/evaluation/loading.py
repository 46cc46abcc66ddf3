"""A model to score, from what a run left or from a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json
from synthlaw.evaluation.conventions import DEFAULT_WINDOW
from synthlaw.tokens.dataset import TOKENIZER_FILE
from synthlaw.tokens.tokenizer import Tokenizer, is_named
from synthlaw.training.checkpoint import load_model
from synthlaw.training.export import CONFIG_FILE, WEIGHTS_FILE, export_model, import_model
from synthlaw.training.model import Llama
from synthlaw.training.result import DATA_FILE, MODEL_FOLDER


@dataclass(frozen=True)
class LoadedModel:
    """A model with its identity.

    digest: of the weights and the file that says their shape. context: positions it was trained
    on, None when the folder does not say. tokenizer: its own, by file or name, if it is known.
    """

    model: Llama
    folder: Path
    digest: str
    context: int | None
    tokenizer: str | None


def load_any(folder: Path) -> LoadedModel:
    """The model of a run's folder, a model folder or checkpoint, or a Hugging Face Llama folder.

    Raises UsageError when it is none of them, or an architecture that this model is not.
    """
    inner = folder / "model" if (folder / "model" / "model.json").is_file() else folder
    if (inner / "model.json").is_file():
        model, shape = load_model(inner), inner / "model.json"
        context = _config_of(inner / "state.json").get("context")
    elif (folder / CONFIG_FILE).is_file():
        model, shape = import_model(folder), folder / CONFIG_FILE
        context = read_json(shape).get("max_position_embeddings")
    else:
        raise UsageError(
            f"{folder}: holds no model; expected a folder that `train` or `export` filled, or a "
            f"Hugging Face Llama folder ({CONFIG_FILE}, {WEIGHTS_FILE})"
        )
    return LoadedModel(
        model=model,
        folder=folder,
        digest=digest_of([file_digest(path) for path in (shape, *_weights(inner))]),
        context=context if isinstance(context, int) else None,
        tokenizer=tokenizer_beside(folder),
    )


def tokenizer_beside(folder: Path) -> str | None:
    """The tokenizer of a run's or a model's folder: the tokenizer.json in it, or the name noted."""
    for place in (folder / MODEL_FOLDER / TOKENIZER_FILE, folder / TOKENIZER_FILE):
        if place.is_file():
            return str(place)
    try:
        name = str(read_json(folder / DATA_FILE)["tokenizer"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if is_named(name) else None


@contextmanager
def exported(loaded: LoadedModel, tokenizer: Tokenizer) -> Iterator[Path]:
    """The model as a Hugging Face folder with this tokenizer; its own one if it is that."""
    beside = loaded.folder / TOKENIZER_FILE
    own = beside.is_file() and file_digest(beside) == tokenizer.digest
    if own and (loaded.folder / CONFIG_FILE).is_file():
        yield loaded.folder
        return
    with TemporaryDirectory(prefix="synthlaw-") as name:
        yield export_model(
            loaded.model,
            Path(name) / "model",
            context=loaded.context or DEFAULT_WINDOW,
            tokenizer=tokenizer.as_json(),
            bos=tokenizer.bos,
            eos=tokenizer.eos,
        )


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("model*.safetensors"))


def _config_of(path: Path) -> dict[str, Any]:
    """The training configuration that a checkpoint's state names, if it does."""
    try:
        config = read_json(path)["identity"]["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return config if isinstance(config, dict) else {}
