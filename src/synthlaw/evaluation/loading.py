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
from synthlaw.tokens.tokenizer import Tokenizer
from synthlaw.training.checkpoint import load_model
from synthlaw.training.export import CONFIG_FILE, WEIGHTS_FILE, export_model, import_model
from synthlaw.training.model import Llama

TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class LoadedModel:
    """A model with its identity.

    digest: of the weights and the file that says their shape. context: positions it was trained
    on, None when the folder does not say. tokenizer: the tokenizer.json beside it, if any.
    """

    model: Llama
    folder: Path
    digest: str
    context: int | None
    tokenizer: Path | None


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
    beside = inner / TOKENIZER_FILE
    return LoadedModel(
        model=model,
        folder=folder,
        digest=digest_of([file_digest(path) for path in (shape, *_weights(inner))]),
        context=context if isinstance(context, int) else None,
        tokenizer=beside if beside.is_file() else None,
    )


@contextmanager
def exported(loaded: LoadedModel, tokenizer: Tokenizer) -> Iterator[Path]:
    """The model as a Hugging Face folder with this tokenizer; its own one if it is that."""
    own = loaded.tokenizer is not None and file_digest(loaded.tokenizer) == tokenizer.digest
    if own and (loaded.folder / CONFIG_FILE).is_file():
        yield loaded.folder
        return
    with TemporaryDirectory(prefix="synthlaw-") as name:
        yield export_model(
            loaded.model,
            Path(name) / "model",
            context=loaded.context or DEFAULT_WINDOW,
            tokenizer=tokenizer.path,
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
