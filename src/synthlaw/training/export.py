"""A trained model as a Hugging Face folder, and such a folder as our model.

Names differ by the prefix `model.` alone and tensors are laid out alike, so nothing is computed:
the exported file holds the very numbers of the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json, write_text
from synthlaw.common.numbers import format_count
from synthlaw.training.model import Llama
from synthlaw.training.presets import ROPE_THETA, ModelShape

PREFIX = "model."
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


def export_model(
    model: Llama,
    out: Path,
    *,
    context: int,
    tokenizer: str | None = None,
    bos: int | None = None,
    eos: int | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write `out` as a folder that transformers' `LlamaForCausalLM.from_pretrained` reads.

    context: positions that the model was trained on. tokenizer: the text of its tokenizer.json.
    bos, eos: token ids. provenance: what the model card tells of the training, as a table.
    Raises UsageError when the tokenizer cannot be read or has more entries than the vocabulary.
    """
    if tokenizer is not None:
        _check_tokenizer(tokenizer, model.shape.vocab)
    weights = {PREFIX + n: t.detach().cpu().contiguous() for n, t in model.state_dict().items()}
    with atomic_folder(out, "export") as aside:
        save_file(weights, aside / WEIGHTS_FILE, metadata={"format": "pt"})
        write_json(aside / CONFIG_FILE, config_of(model.shape, context, bos, eos))
        generation = {"_from_model_config": True, "bos_token_id": bos, "eos_token_id": eos}
        write_json(aside / "generation_config.json", _given(generation))
        if tokenizer is not None:
            write_text(aside / "tokenizer.json", tokenizer)
            write_json(aside / "tokenizer_config.json", _tokenizer_config(tokenizer, bos, eos))
        card = model_card(model.shape, context, provenance or {})
        write_text(aside / "README.md", card)
    return out


def config_of(shape: ModelShape, context: int, bos: int | None, eos: int | None) -> dict[str, Any]:
    """config.json of the shape; readable by transformers 4 (`rope_theta`) and 5 onwards."""
    return _given(
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": shape.vocab,
            "hidden_size": shape.dim,
            "intermediate_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "head_dim": shape.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": context,
            "rms_norm_eps": shape.norm_eps,
            "rope_theta": shape.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
            "tie_word_embeddings": True,
            "attention_bias": False,
            "mlp_bias": False,
            "attention_dropout": 0.0,
            "torch_dtype": "float32",
        }
        # Said even where there is none: left out, transformers would take 1 and 2 for them.
    ) | {"bos_token_id": bos, "eos_token_id": eos}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _check_tokenizer(text: str, vocab: int) -> None:
    from tokenizers import Tokenizer

    try:
        size = Tokenizer.from_str(text).get_vocab_size(with_added_tokens=True)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise UsageError(f"tokenizer: not a tokenizer.json that can be read: {error}") from error
    if size > vocab:
        raise UsageError(
            f"tokenizer: found {size} entries, more than the model's vocabulary of {vocab}; "
            "expected the tokenizer that the model was trained with"
        )


def _tokenizer_config(text: str, bos: int | None, eos: int | None) -> dict[str, Any]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    names = {"bos_token": bos, "eos_token": eos}
    special = {n: tokenizer.id_to_token(i) for n, i in names.items() if i is not None}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        # Without it transformers 4 also gives token_type_ids, which its Llama refuses.
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **special,
    }


def model_card(shape: ModelShape, context: int, provenance: Mapping[str, Any]) -> str:
    """README.md of the folder: what the model is, how it was trained, what it is not for."""
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [synthlaw, scaling-laws, synthetic-data]",
        "---",
        "",
        f"# Llama, {format_count(shape.params)} non-embedding parameters",
        "",
        "A model of a scaling study: trained to be measured beside others, not to be used. Its",
        "text is not reliable, and it was neither instructed nor made safe.",
        "",
        "| | |",
        "|---|---|",
        f"| width, layers, heads | {shape.dim}, {shape.layers}, {shape.heads} |",
        f"| SwiGLU width | {shape.hidden} |",
        f"| vocabulary | {shape.vocab} (tied embedding and head) |",
        f"| parameters | {shape.params} non-embedding, {shape.params_total} in all |",
        f"| trained context | {context} tokens |",
    ]
    for name, value in provenance.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"| {name} | {_cell(text)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def import_model(folder: Path) -> Llama:
    """Our model with the weights of a Hugging Face Llama folder (one safetensors file), fp32.

    Raises UsageError, naming the setting, for what this model does not have: grouped queries,
    scaled rotary positions, biases, an untied head, sharded weights.
    """
    config = _read_config(folder)
    shape = _shape_of(config, folder)
    path = folder / WEIGHTS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"{path}: cannot be read: {error}; expected one safetensors file"
        ) from error
    # A tied head may be written a second time under its own name.
    tensors.pop("lm_head.weight", None)
    with torch.device("meta"):
        model = Llama(shape)
    plain = {name.removeprefix(PREFIX): tensor.float() for name, tensor in tensors.items()}
    try:
        model.load_state_dict(plain, assign=True)
    except RuntimeError as error:
        raise UsageError(f"{path}: its tensors do not fit {CONFIG_FILE}: {error}") from error
    return model.eval()


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / CONFIG_FILE)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder}: expected a Hugging Face folder with {CONFIG_FILE}; {error}"
        ) from error
    if not isinstance(config, dict):
        raise UsageError(f"{folder / CONFIG_FILE}: found {type(config).__name__}; expected a table")
    return config


def _shape_of(config: dict[str, Any], folder: Path) -> ModelShape:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    heads = config.get("num_attention_heads")
    wanted = {
        "model_type": (config.get("model_type"), "llama"),
        "tie_word_embeddings": (config.get("tie_word_embeddings", False), True),
        "num_key_value_heads": (config.get("num_key_value_heads", heads), heads),
        "attention_bias": (config.get("attention_bias", False), False),
        "mlp_bias": (config.get("mlp_bias", False), False),
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
        "rope type": (rope.get("rope_type", rope.get("type", "default")), "default"),
    }
    for name, (found, expected) in wanted.items():
        if found != expected:
            raise UsageError(
                f"{folder / CONFIG_FILE}: {name}: found {found!r}; this model has {expected!r} only"
            )
    try:
        shape = ModelShape(
            dim=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            vocab=config["vocab_size"],
            hidden=config["intermediate_size"],
            rope_theta=rope.get("rope_theta", config.get("rope_theta", ROPE_THETA)),
            norm_eps=config.get("rms_norm_eps", 1e-6),
        )
    except (KeyError, ValueError) as error:
        raise UsageError(f"{folder / CONFIG_FILE}: no usable shape: {error}") from error
    if config.get("head_dim", shape.head_dim) not in (None, shape.head_dim):
        raise UsageError(
            f"{folder / CONFIG_FILE}: head_dim: found {config['head_dim']}; this model has "
            f"{shape.head_dim}, hidden_size over num_attention_heads"
        )
    return shape
