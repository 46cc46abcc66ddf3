"""A study's runs by Hugging Face's Trainer: what `trainer: {command: …}` of a study may name.

    trainer: {command: python examples/transformers_trainer.py, format: megatron}

Reads RUN/run.json and RUN/data, trains a Llama of that shape on the mixture in its own order, and
leaves RUN/checkpoint and RUN/result.json. Stopped, it goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint


class Windows(Dataset):  # type: ignore[type-arg]
    """The mixture's windows, read from Megatron's data file: sequence n is window n."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        dtype = np.uint16 if facts["vocab"] < 65_500 else np.int32
        shape = (facts["windows"], facts["ids_per_window"])
        self.ids = np.memmap(folder / "mixture.bin", dtype, "r", shape=shape)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        row = torch.from_numpy(self.ids[number].astype(np.int64))
        # transformers shifts labels itself, so inputs and labels are the same ids.
        return {"input_ids": row, "labels": row}


class InOrder(Trainer):
    """Hugging Face's Trainer, reading windows in the order that the study fixed."""

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def model_of(run: dict[str, Any]) -> LlamaForCausalLM:
    """A fresh Llama of the run's shape."""
    shape = run["model"]
    config = LlamaConfig(
        hidden_size=shape["dim"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        intermediate_size=shape["hidden"],
        vocab_size=shape["vocab"],
        max_position_embeddings=run["training"]["context"] + 1,
        rope_theta=shape["rope_theta"],
        rms_norm_eps=shape["norm_eps"],
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def arguments_of(run: dict[str, Any], out: Path) -> TrainingArguments:
    """The run's schedule in Hugging Face's words."""
    training = run["training"]
    return TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=training["windows_per_step"],
        max_steps=training["steps"],
        learning_rate=training["learning_rate"],
        warmup_steps=round(training["warmup"] * training["steps"]),
        lr_scheduler_type="cosine",
        adam_beta1=training["betas"][0],
        adam_beta2=training["betas"][1],
        weight_decay=training["weight_decay"],
        max_grad_norm=training["clip"],
        bf16=training["dtype"] == "bf16",
        seed=run["seed"] % 2**32,
        save_steps=50,
        save_total_limit=1,
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )


def main(folder: Path) -> None:
    """Train the run in `folder`."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    set_seed(run["seed"] % 2**32)
    states = folder / "states"
    trainer = InOrder(
        model=model_of(run),
        args=arguments_of(run, states),
        train_dataset=Windows(folder / "data", run["data"]),
    )
    begun = get_last_checkpoint(str(states)) if states.is_dir() else None
    loss = trainer.train(resume_from_checkpoint=begun).training_loss
    trainer.save_model(str(folder / "checkpoint"))
    result: dict[str, Any] = {"checkpoint": "checkpoint"}
    if not np.isfinite(loss):
        result = {"status": "diverged"}
    aside = folder / "result.json.aside"
    aside.write_text(json.dumps(result), encoding="utf-8")
    aside.replace(folder / "result.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
