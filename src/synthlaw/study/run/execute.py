"""One run of the grid from end to end: train, then score, each left as an artifact.

`execute_job` is what every executor calls, in a worker process or on another machine that shares
the study folder. It is idempotent: what is finished is found, what was interrupted is resumed. One
worker at a time works on a run: another that is given the same waits, and then finds it finished.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthlaw.common.claims import claimed
from synthlaw.common.files import read_json, write_json
from synthlaw.execute.base import Json, Report
from synthlaw.study.run.downstream import answer_tasks, find_answers
from synthlaw.study.run.external import LOSSES_FILE, train_elsewhere
from synthlaw.study.run.task import RunTask
from synthlaw.study.run.together import Piece, train_together
from synthlaw.study.run.trunks import grow_trunk, latest_state, reporter, seconds_of, trunk_key
from synthlaw.study.store import KEY_DIGITS, Artifact, Store
from synthlaw.tokens.dataset import TokenDataset

if TYPE_CHECKING:  # these bring torch, which is not needed to find finished runs
    from synthlaw.evaluation.scores import DomainScores
    from synthlaw.training.model import Llama

SCORES, SUMMARY, LOSSES = "scores.parquet", "scores.json", "token-losses"


def find_finished(task: RunTask, store: Store) -> tuple[Artifact, Artifact | None] | None:
    """The run's training and evaluation artifacts if it needs no more work.

    A diverged run has no evaluation: it is finished, and stays out of every fit.
    """
    if not task.train:
        model = "untrained:" + task.training_key(store)
        scores = store.find("evaluation", task.name, task.evaluation_key(store, model))
        return None if scores is None else (scores, scores)
    trained = store.find("training", task.name, task.training_key(store))
    if trained is None:
        return None
    if read_json(trained.file("result.json"))["status"] == "diverged":
        return trained, None
    key = task.evaluation_key(store, trained.content)
    scores = store.find("evaluation", task.name, key)
    if task.downstream is not None and find_answers(task, store, trained) is None:
        return None
    return None if scores is None else (trained, scores)


JOB = "synthlaw.study.run.execute:execute_job"
"""`execute_job` as executors know it."""

WRITERS = "work/writers"
"""Where in the study folder workers claim the runs that they work on."""


def execute_job(payload: Json, report: Report) -> list[str]:
    """`execute` for a task that travelled as JSON."""
    return execute(RunTask.model_validate(payload), report)


def execute(task: RunTask, report: Report) -> list[str]:
    """Do what is left of the run; `report` is given FLOPs as they are spent. Returns news.

    The list names the artifacts made, such as 'training/CC-0.1M-50k-s0'.
    """
    store = Store(task.root)
    key = trunk_key(task, store) if task.milestones else task.training_key(store)
    with claimed(task.root / WRITERS, f"{task.name}-{key[:KEY_DIGITS]}"):
        return _execute(task, store, report)


def _execute(task: RunTask, store: Store, report: Report) -> list[str]:
    if task.milestones:
        grow_trunk(task, store, report)
        return store.made
    if not task.train:
        model = "untrained:" + task.training_key(store)
        _evaluate(task, store, model, None)
        return store.made
    trained = _train(task, store, report)
    if read_json(trained.file("result.json"))["status"] == "finished":
        _evaluate(task, store, trained.content, trained.path / "model")
        answer_tasks(task, store, trained)
    return store.made


def _train(task: RunTask, store: Store, report: Report) -> Artifact:
    from synthlaw.training.loop import train

    key = task.training_key(store)
    found = store.find("training", task.name, key)
    if found is not None:
        report(task.flops)
        return found
    work = store.work("training", task.name, key)
    state = latest_state(task, store, task.config.trunk_steps)
    first, start = (state[0], state[1].path) if state else (0, None)
    progress = reporter(task, first, report)
    if task.trainer is not None:
        seconds = train_elsewhere(task, work)
        report(task.flops)
    elif task.together:
        train_together(Piece(task=task, work=work, start=start))
        seconds = float(read_json(work / "result.json")["seconds"])
        report(task.flops)
    else:
        sampler = task.sampler()
        seconds = train(task.config, sampler, work, start=start, on_progress=progress).seconds
    spent = seconds_of(state[1]) if state else 0.0
    return store.adopt("training", task.name, key, max(seconds - spent, 0.0))


def _evaluate(task: RunTask, store: Store, model: str, folder: Path | None) -> None:
    from synthlaw.evaluation.scores import write_scores
    from synthlaw.training.checkpoint import load_model
    from synthlaw.training.device import cpu_threads
    from synthlaw.training.loop import initial_model

    key = task.evaluation_key(store, model)
    if store.find("evaluation", task.name, key) is not None:
        return
    if folder is not None and not folder.is_dir():
        _keep_losses(task, store, key, folder.parent / LOSSES_FILE)
        return
    llama = load_model(folder) if folder is not None else initial_model(task.config)
    with store.making("evaluation", task.name, key) as aside, cpu_threads(task.config.threads):
        scored = {
            name: _score(task, llama, name, model, aside / LOSSES / name) for name in task.domains
        }
        write_scores(aside / SCORES, scored)
        write_json(aside / SUMMARY, {name: _summary(one) for name, one in scored.items()})


def _keep_losses(task: RunTask, store: Store, key: str, path: Path) -> None:
    """The losses that another trainer gave, as scores: no documents, so no intervals over them."""
    with store.making("evaluation", task.name, key) as aside:
        losses = read_json(path)
        write_json(aside / SUMMARY, {name: {"loss": loss} for name, loss in losses.items()})


def _score(task: RunTask, llama: Llama, name: str, model: str, losses: Path) -> DomainScores:
    """Score one domain under the run's model, of digest `model`; `losses`: where kept ones go."""
    from synthlaw.evaluation.scores import DomainScores
    from synthlaw.evaluation.scoring import TextSizes, score_documents
    from synthlaw.evaluation.token_losses import LossSource, keeping_losses
    from synthlaw.evaluation.windows import Windowing

    folder = task.domains[name]
    tokens = TokenDataset(folder)
    manifest = tokens.manifest
    # BOS is given back as context; EOS is ours, not the text's, and is not scored.
    documents = [
        np.asarray(tokens.document(i)[1:-1], dtype=np.int64) for i in range(manifest.documents)
    ]
    source = LossSource(
        domain=name,
        model=model,
        tokenizer=manifest.tokenizer,
        vocab=manifest.vocab,
        window=task.config.context,
        stride=task.config.context // 2,
        bos=manifest.bos,
        dtype=task.config.dtype,
    )
    keeping = keeping_losses(losses, documents, source) if task.keep_losses else nullcontext()
    with keeping as keep:
        scores = score_documents(
            llama,
            documents,
            Windowing(source.window, source.stride, source.bos),
            sizes=TextSizes(
                np.load(folder / "bytes.npy", allow_pickle=False).tolist(),
                np.load(folder / "words.npy", allow_pickle=False).tolist(),
            ),
            dtype=task.config.dtype,
            on_losses=keep,
        )
    return DomainScores(name, scores)


def _summary(domain: DomainScores) -> dict[str, float]:
    """A domain's figures: losses in nats per token, bits per byte, counts."""
    from synthlaw.evaluation.scores import METRICS

    return {
        **{metric: domain.value(metric) for metric in METRICS},
        "tokens": domain.tokens,
        "documents": len(domain.documents),
    }
