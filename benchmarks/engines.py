"""What the generation room costs over the engine beneath it.

    python benchmarks/engines.py [--documents 32] [--tokens 150] [--rounds 6]

Tokens per second of the embedded engine driven by `generate_documents`, against the same prompts
handed to OpenVINO's pipeline as one batch: same process, sampling and seeds, in turns. For what a
request to a server costs see generation_acceptance.py.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

import numpy as np

from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Request, Sampling
from synthlaw.generate.engines.openvino import EmbeddedEngine
from synthlaw.generate.recipe import load_recipe
from synthlaw.generate.runner import generate_documents
from synthlaw.generate.settings import Settings


def sources(count: int) -> list[Document]:
    """Texts of about 250 tokens, each different, made of plain words."""
    words = ("river", "trade", "town", "market", "bridge", "winter", "harvest", "school", "music")
    documents = []
    for number in range(count):
        picked = [words[derive_seed("bench", number, n) % len(words)] for n in range(240)]
        documents.append(Document(f"doc-{number}", " ".join(picked)))
    return documents


def raw_batch(engine: EmbeddedEngine, requests: list[Request]) -> int:
    """Tokens of the pipeline given all requests at once, nothing of ours between."""
    model = engine._model
    assert model is not None
    handles = []
    for request in requests:
        ids = model.chat.encode_chat(request.messages())
        handles.append(model.start(ids, model.config(request.sampling, request.seed)))
    while model.pipeline.has_non_finished_requests():
        model.pipeline.step()
    return sum(len(handle.read_all()[0].generated_ids) for handle in handles)


class _Timed:
    """The pipeline, with the seconds spent in its steps."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline, self.seconds = pipeline, 0.0

    def step(self) -> None:
        began = time.perf_counter()
        self._pipeline.step()
        self.seconds += time.perf_counter() - began

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)


def embedded(documents: int, tokens: int, rounds: int) -> dict[str, Any]:
    """Both rates, taken in turns and each first in every other round, since machines drift.

    median_share_of_raw: of the rounds' ratios. share_of_raw: of all rounds' tokens and seconds.
    share_outside_steps: of our wall time, what was not the pipeline's: it does not depend on how
    fast the machine is at the moment. cpu_share_of_raw: by CPU seconds in place of wall seconds.
    """
    recipe, sampling = load_recipe("hq"), Sampling(0.2, 0.9, 40, 1.0, tokens)
    engine = EmbeddedEngine()
    docs = sources(documents)
    generate_documents(Settings(recipe, Sampling(max_tokens=4), 1), docs[:2], engine)
    assert engine._model is not None
    timed = engine._model.pipeline = _Timed(engine._model.pipeline)
    requests: list[Request] = []
    total = {name: [0.0, 0.0, 0.0] for name in ("ours", "raw")}
    outside, found = 0.0, []
    for number in range(rounds + 1):
        rates = {}
        for name in ("ours", "raw") if number % 2 or not number else ("raw", "ours"):
            began, cpu, timed.seconds = time.perf_counter(), time.process_time(), 0.0
            if name == "ours":
                made = generate_documents(Settings(recipe, sampling, 1, 250), docs, engine)
                written = made.counts["completion_tokens"]
                requests = [
                    Request(a.fields["prompt"], recipe.steps[0].system, sampling, a.fields["seed"])
                    for a in [*made.documents, *made.dropped]
                ]
            else:
                written = raw_batch(engine, requests)
            spent = (written, time.perf_counter() - began, time.process_time() - cpu)
            if number:  # the first round warms up
                total[name] = [a + b for a, b in zip(total[name], spent, strict=True)]
                outside += (spent[1] - timed.seconds) * (name == "ours")
                rates[name] = round(written / spent[1], 1)
        found += [rates] * bool(number)
    (wrote, seconds, cpu_seconds), (raw_wrote, raw_seconds, raw_cpu) = total.values()
    return {
        "tokens_per_second": found,
        "median_share_of_raw": round(float(np.median([r["ours"] / r["raw"] for r in found])), 3),
        "share_of_raw": round((wrote / seconds) / (raw_wrote / raw_seconds), 3),
        "cpu_share_of_raw": round((wrote / cpu_seconds) / (raw_wrote / raw_cpu), 3),
        "share_outside_steps": round(outside / seconds, 4),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    """Compare and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    print(json.dumps(embedded(options.documents, options.tokens, options.rounds), indent=2))


if __name__ == "__main__":
    main()
