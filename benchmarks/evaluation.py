"""Speed of scoring against the bare forward pass, and its sums against a naive loop.

    python benchmarks/evaluation.py speed MODEL DOCUMENTS [--tokens 60000] [--rounds 5]
    python benchmarks/evaluation.py naive MODEL DOCUMENTS [--count 12]

MODEL is a folder that `synthlaw export` wrote, DOCUMENTS a JSONL file with a column `text`.

speed: `score_documents` on whole documents, windows end to end, against the model's own forward
pass with losses over full windows without any padding, at the fastest of several batch sizes. A
document's last window reaches back to be full, as lm-eval's does, so the protocol computes more
positions than it scores. Hence two ratios: `per token` against a pass over the same tokens, each
computed once; `per position` against a pass over as many positions as the protocol holds, with as
many losses as it scores (context that is not scored skips the output head in both). The first
holds the cost of the protocol, the second only that of our batching. One torch thread;
interleaved; best of the rounds. Tokenization is not part of either.

naive: per document, the sum of losses of chunked, batched, sorted, windowed scoring against one
forward pass per window of one document at a time, in fp32.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from synthlaw.corpus.documents import read_documents
from synthlaw.evaluation.loading import LoadedModel, load_any
from synthlaw.evaluation.scoring import score_documents
from synthlaw.evaluation.windows import Windowing, windows_of
from synthlaw.tokens.tokenizer import Tokenizer
from synthlaw.training.config import Precision
from synthlaw.training.device import autocast


def tokens_of(loaded: LoadedModel, path: Path, count: int | None) -> list[np.ndarray]:
    """Ids of the first documents."""
    assert loaded.tokenizer is not None
    texts = [document.text for document in islice(read_documents(path), count)]
    return Tokenizer(loaded.tokenizer).encode(texts)


def bare(
    loaded: LoadedModel, tokens: np.ndarray, rows: int, dtype: Precision, share: float = 1.0
) -> None:
    """Forward passes over full windows, with losses of the last `share` of each."""
    context = loaded.context or 256
    device = torch.device("cpu")
    whole = len(tokens) // context * context
    inputs = torch.from_numpy(tokens[:whole].reshape(-1, context))
    targets = inputs.roll(-1, dims=1)
    with torch.inference_mode(), autocast(device, dtype):
        for start in range(0, len(inputs), rows):
            part = slice(start, start + rows)
            wanted = torch.ones_like(inputs[part], dtype=torch.bool)
            wanted[:, : round(context * (1 - share))] = False
            loaded.model.token_losses(inputs[part], targets[part], wanted)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def speed(loaded: LoadedModel, documents: list[np.ndarray], tokens: int, rounds: int) -> None:
    taken, size = [], 0
    for document in documents:
        taken.append(document)
        size += len(document)
        if size >= tokens:
            break
    packed = np.concatenate(taken)
    context = loaded.context or 256
    lengths = sorted(len(document) for document in taken)
    print(
        f"{loaded.model.shape.params:,} parameters, context {context}, {len(taken)} documents of "
        f"{lengths[0]} to {lengths[-1]} tokens (median {lengths[len(lengths) // 2]}), {size:,} in "
        "all, one thread"
    )
    for dtype in ("bf16", "fp32"):
        compared(loaded, taken, packed, dtype, rounds)


def compared(
    loaded: LoadedModel,
    documents: list[np.ndarray],
    packed: np.ndarray,
    dtype: Precision,
    rounds: int,
) -> None:
    context = loaded.context or 256
    trials = [rows for rows in (4, 8, 16, 32, 64) if rows * context <= 1 << 15]
    works = {rows: partial(bare, loaded, packed, rows, dtype) for rows in trials}
    times = {rows: timed(work) for rows, work in works.items()}
    rows = min(times, key=lambda r: times[r])
    scoring = partial(
        score_documents,
        loaded.model,
        documents,
        window=context,
        stride=context,
        bos=0,
        dtype=dtype,
    )
    protocol = Windowing(context, context, 0)
    seen = sum(w.length for d in documents for w in windows_of(0, len(d), protocol))
    positions = np.resize(packed, seen)
    alike = partial(bare, loaded, positions, rows, dtype, len(packed) / seen)
    ours, tokenwise, positionwise = [], [], []
    for _ in range(rounds):
        tokenwise.append(timed(works[rows]) / (len(packed) // context * context))
        ours.append(timed(scoring) / len(packed))
        positionwise.append(timed(alike) / (seen // context * context) * seen / len(packed))
    best = min(ours)
    print(
        f"{dtype}: scoring {1 / best:,.0f} tokens/s, bare {1 / min(tokenwise):,.0f} (rows of "
        f"{rows}): {min(tokenwise) / best:.3f} per token, {min(positionwise) / best:.3f} per "
        f"position; the windows hold {seen / len(packed):.3f} positions a token"
    )


def naive(loaded: LoadedModel, documents: list[np.ndarray]) -> None:
    context = loaded.context or 256
    model = loaded.model
    worst = 0.0
    for window, stride, bos in (
        (context, context, 0),
        (context, context // 2, 0),
        (context // 3, 7, 0),
        (context // 3, 7, None),
    ):
        found = score_documents(model, documents, Windowing(window, stride, bos))
        for number, document in enumerate(documents):
            sequence = [*([] if bos is None else [bos]), *document.tolist()]
            total = 0.0
            for part in windows_of(0, len(document), Windowing(window, stride, bos)):
                rows = torch.tensor([sequence[part.begin : part.end + 1]])
                with torch.no_grad():
                    logits = model(rows[:, :-1])[0].double()
                losses = torch.logsumexp(logits, -1) - logits.gather(1, rows[0, 1:, None])[:, 0]
                total += float(losses[-part.scored :].sum())
            worst = max(worst, abs(found.nll[number] - total) / max(total, 1e-9))
        print(
            f"window {window}, stride {stride}, BOS {bos}: {len(documents)} documents, "
            f"{found.tokens.sum():,} tokens; largest relative difference so far {worst:.1e}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "naive"])
    parser.add_argument("model", type=Path)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--tokens", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_any(options.model)
    documents = tokens_of(loaded, options.documents, options.count)
    if options.what == "speed":
        speed(loaded, documents, options.tokens, options.rounds)
    else:
        naive(loaded, documents)


if __name__ == "__main__":
    main()
