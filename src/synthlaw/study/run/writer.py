"""A trained run as the generator of the next round: its model, exported for an engine."""

from __future__ import annotations

from pathlib import Path

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import read_json
from synthlaw.study.run.execute import find_finished
from synthlaw.study.run.task import RunTask
from synthlaw.study.store import Store
from synthlaw.tokens.tokenizer import Tokenizer

STAGE = "export"
EXPORT_VERSION = 1


def writer_model(task: RunTask, store: Store, tokenizer: Tokenizer, place: str) -> Path:
    """The Hugging Face folder of a finished run's model, exported if it is not there.

    place: the key of the study file that asks for it. Raises SynthlawError when the run failed
    or diverged, and UsageError when its trainer left no model.
    """
    found = find_finished(task, store)
    if found is None:
        raise SynthlawError(f"{place}: the run {task.name} failed, so it cannot write")
    trained = found[0]
    if read_json(trained.file("result.json"))["status"] != "finished":
        raise SynthlawError(f"{place}: the run {task.name} diverged, so it cannot write")
    if not (trained.path / "model").is_dir():
        raise UsageError(
            f"{place}: the run {task.name} left no model; expected a trainer whose result names a "
            "checkpoint"
        )
    inputs = {"model": trained.content, "tokenizer": tokenizer.digest}
    key = store.key(STAGE, EXPORT_VERSION, inputs)
    made = store.find(STAGE, task.name, key)
    if made is None:
        from synthlaw.training.checkpoint import load_model
        from synthlaw.training.export import export_model

        with store.making(STAGE, task.name, key) as aside:
            export_model(
                load_model(trained.path / "model"),
                aside / task.name,
                context=task.config.context,
                tokenizer=tokenizer.as_json(),
                bos=tokenizer.bos,
                eos=tokenizer.eos,
            )
        made = store.require(STAGE, task.name, key)
    return made.path / task.name
