"""How long a study will take on this machine, from about a second of each kind of its work.

    generation   tokens read and tokens written per second, by each of the study's generators
    training     a step of every size, of fewer tokens where a step is long
    scoring      a token of every size

Generators that are runs of the study are not there yet, and sizes of which a window takes this
machine minutes are left out.

Nothing of the study needs to be there yet: the texts are made up. Run as a module, this measures
for the study file on standard input and prints the speeds, so that neither torch nor the generator
stays in the process that asks.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import SynthlawError
from synthlaw.common.machine import die_with
from synthlaw.execute.machine import default_workers
from synthlaw.generate.engines.base import Engine, Request
from synthlaw.generate.engines.registry import make_engine
from synthlaw.study.grid import planned_vocab, runs_of, steps_to_take, tokens_needed
from synthlaw.study.load import parse_study
from synthlaw.study.measured import GENERATED
from synthlaw.study.spec import Study
from synthlaw.study.spec.generation import GeneratorSpec
from synthlaw.training.config import TrainingConfig

STEPS = 8
"""Training steps measured of each size."""

SCORED = 4096
"""Tokens scored for the measurement."""

WRITTEN = 16
"""Tokens written for each measured request."""

PROMPT_TOKENS = 300
"""Of an instruction and a passage of the demo."""

WORTH = 0.8
"""Tokens that the generator writes for one token that runs read: what the post-filter drops, and
its vocabulary, which is larger than a study's own. The demo wrote 53,000 for 66,000 read."""

ANSWER_TOKENS = 120
"""Tokens of an answer of the demo, on average."""

OTHER_SECONDS = 60.0
"""Corpus, statistics, laws, page and the start of processes, of a study of the demo's size."""


MOST_FLOPS = 3e12
"""Of the steps that are measured of one size: about a minute of one CPU core."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a token that a generator reads, and of one that it writes, in a full batch."""

    read: float
    written: float

    @property
    def answered(self) -> float:
        """Seconds of a written token with what is read for it."""
        return self.written + self.read * PROMPT_TOKENS / ANSWER_TOKENS


@dataclass(frozen=True)
class Speeds:
    """Seconds of one unit of each kind of work, measured on this machine.

    generators: by name. step, scored: by size, of a training step and of a scored token.
    """

    generators: dict[str, Pace]
    step: dict[str, float]
    scored: dict[str, float]


@dataclass(frozen=True)
class Forecast:
    """Seconds of a study's parts on this machine alone."""

    generation: float
    training: float
    scoring: float
    other: float = OTHER_SECONDS

    @property
    def total(self) -> float:
        """Seconds of the whole study."""
        return self.generation + self.training + self.scoring + self.other


def forecast(study: Study, speeds: Speeds) -> Forecast:
    """What `study` takes at `speeds`, by arithmetic; sizes that were not measured are left out."""
    runs = runs_of(study, planned_vocab(study, Path())[0])
    taken = steps_to_take(runs)
    need = tokens_needed(study, runs)
    generation = 0.0
    for name in study.generate.recipes:
        pace = speeds.generators.get(study.generate.generator_name(name))
        if name in need and pace is not None:
            generation += WORTH * need[name] * pace.answered
    workers = default_workers(study.execution.workers, study.execution.threads)
    domains = 1 + len(study.evaluation.domains)
    tokens = domains * study.evaluation.documents * study.evaluation.max_tokens
    training = sum(speeds.step[run.size] * taken[run.name] for run in runs)
    scoring = sum(speeds.scored[run.size] * tokens for run in runs)
    return Forecast(
        generation=generation,
        training=training / workers,
        scoring=scoring / workers,
    )


def measured_rates(study: Study, speeds: Speeds) -> dict[str, Any]:
    """Speeds as plans read them: FLOP per second of a worker, tokens per second by generator.

    The first is over all steps of the study's runs, those of sizes that were not measured left out.
    """
    runs = [r for r in runs_of(study, planned_vocab(study, Path())[0]) if r.size in speeds.step]
    taken = steps_to_take(runs)
    seconds = sum(speeds.step[run.size] * taken[run.name] for run in runs)
    flops = sum(run.config.flops * taken[run.name] / run.config.steps for run in runs)
    rates = {name: 1 / pace.answered for name, pace in speeds.generators.items()}
    found: dict[str, Any] = {GENERATED: rates} if rates else {}
    return {**found, **({"flops_per_second": flops / seconds} if seconds else {})}


def measure_speeds(text: str, base: Path | None = None) -> Speeds:
    """The speeds of the study whose file holds `text`, in a process of its own.

    base: where its relative paths start. Raises SynthlawError when that process fails.
    """
    command = [sys.executable, "-m", "synthlaw.study.forecast"]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, cwd=base
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise SynthlawError(f"this machine's speed could not be measured: {said}")
    found = json.loads(done.stdout)
    generators = {name: Pace(**pace) for name, pace in found.pop("generators").items()}
    return Speeds(generators, **found)


def _measure(study: Study) -> Speeds:
    settings = study.generate.used_generators.items()
    generators = {name: asyncio.run(_pace(one)) for name, one in settings if one.run is None}
    step, scored = {}, {}
    configs = {run.size: run.config for run in runs_of(study, planned_vocab(study, Path())[0])}
    for size, config in configs.items():
        seconds = _training(config)
        if seconds is not None:
            step[size], scored[size] = seconds, _scoring(config, study)
    return Speeds(generators, step, scored)


async def _pace(settings: GeneratorSpec) -> Pace:
    """Seconds of a token read and of one written, in a full batch."""
    engine = make_engine(settings)
    async with engine:
        places = engine.concurrency
        await _ask(engine, settings, places, 1, 1)  # what is set up by the first batch
        reading, _ = await _ask(engine, settings, 8, PROMPT_TOKENS, 1)
        writing, written = await _ask(engine, settings, places, 1, WRITTEN)
    return Pace(reading / (8 * PROMPT_TOKENS), writing / max(written, 1))


async def _ask(
    engine: Engine, settings: GeneratorSpec, count: int, words: int, tokens: int
) -> tuple[float, int]:
    """Seconds of `count` requests of so many words for so many tokens; tokens written."""
    sampling = settings.sampling_with(tokens)
    requests = [Request(f"{i} " + "river " * words, "", sampling, i) for i in range(count)]
    started = time.monotonic()
    answers = await asyncio.gather(*(engine.complete(request) for request in requests))
    return time.monotonic() - started, sum(answer.completion_tokens for answer in answers)


class _Noise:
    """Rows of random tokens."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config

    def batch(self, step: int, rows: int) -> np.ndarray:
        """A batch, by step."""
        size = (rows, self.config.context + 1)
        return np.random.default_rng(step).integers(self.config.shape.vocab, size=size)

    def identity(self) -> str:
        """Of the rows."""
        return digest_of("noise")


def _training(config: TrainingConfig) -> float | None:
    """Seconds of a step, the median of several; None where even small ones would take too long."""
    from synthlaw.training.loop import train
    from synthlaw.training.metrics import METRICS_FILE, read_metrics

    of_a_window = config.flops / config.steps / config.rows
    rows = min(config.rows, int(MOST_FLOPS / STEPS / of_a_window))
    if rows < 1:
        return None
    batch = rows * config.context
    few = {"budget": STEPS * batch, "batch_tokens": batch, "schedule": "cosine", "cooldown": None}
    few |= {"warmup_steps": None, "track": (), "peak_flops": 1.0}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        train(config.model_copy(update=few), _Noise(config), out)
        rates = [row["tokens_per_second"] for row in read_metrics(out / METRICS_FILE)]
    return config.batch_tokens / float(np.median(rates))


def _scoring(config: TrainingConfig, study: Study) -> float:
    """Seconds of a scored token."""
    from synthlaw.evaluation.scoring import score_documents
    from synthlaw.evaluation.windows import Windowing
    from synthlaw.training.device import cpu_threads
    from synthlaw.training.loop import initial_model

    length = min(study.evaluation.max_tokens, 4 * config.context)
    count = max(1, SCORED // length)
    documents = list(np.random.default_rng(0).integers(config.shape.vocab, size=(count, length)))
    model, window = initial_model(config), config.context
    with cpu_threads(config.threads):
        started = time.monotonic()
        score_documents(model, documents, Windowing(window, window // 2, 0), dtype=config.dtype)
        return (time.monotonic() - started) / (count * length)


if __name__ == "__main__":
    die_with(os.getppid())
    # A library that writes to standard output must not spoil the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    try:
        answer.write(json.dumps(asdict(_measure(parse_study(sys.stdin.read(), "the study")))))
    except SynthlawError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_status)
