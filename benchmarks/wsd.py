"""One trunk with cooldown branches against a cosine run for every budget: FLOPs saved, losses.

    python benchmarks/wsd.py --text FILE… --out DIR [--sizes 0.1M,0.3M] [--seeds 3]

Real text is cut to training and held-out tokens. For every size and seed a ladder of budgets (1, 2,
5 and 10 times --base) is trained twice: one cosine run for each budget, and one trunk with a branch
for each budget. Same weights at the start, same tokens in the same order, same peak rate; the
difference is the schedule. Prints one JSON document: FLOPs of both, and for every size and budget
the held-out losses by seed and their paired differences. What DIR holds is not trained again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.common.progress import say
from synthlaw.corpus.documents import read_documents
from synthlaw.evaluation.scoring import score_documents
from synthlaw.evaluation.windows import Windowing
from synthlaw.tokens.tokenizer import Tokenizer, train_bpe
from synthlaw.training.checkpoint import load_model
from synthlaw.training.config import TrainingConfig
from synthlaw.training.loop import train, train_trunk
from synthlaw.training.presets import flops_per_token, preset

CONTEXT, BATCH_TOKENS, VOCAB = 128, 512, 4096
STEPS_OF = (1, 2, 5, 10)
HELD_OUT = 60_000


class Windows:
    """Windows of a token array in an order drawn from `seed`; a smaller run reads a prefix."""

    def __init__(self, tokens: np.ndarray, seed: int) -> None:
        self.tokens, self.seed = tokens, seed
        self.order = np.random.default_rng(seed).permutation((len(tokens) - 1) // CONTEXT)

    def batch(self, step: int, rows: int) -> np.ndarray:
        """See `training.batches.BatchSampler`."""
        starts = self.order[step * rows : (step + 1) * rows] * CONTEXT
        return np.stack([self.tokens[s : s + CONTEXT + 1] for s in starts])

    def identity(self) -> str:
        """Digest of all that determines the windows."""
        return digest_of([len(self.tokens), int(self.tokens.sum()), self.seed])


def tokens_of(files: list[Path], out: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Training tokens in one array, and held-out documents."""
    texts = [document.text for file in files for document in read_documents(file)]
    np.random.default_rng(0).shuffle(texts)
    if not (out / "tokenizer.json").exists():
        train_bpe(texts, VOCAB, out / "tokenizer.json")
    tokenizer = Tokenizer(out / "tokenizer.json")
    rows = tokenizer.encode(texts)
    held_out: list[np.ndarray] = []
    while sum(map(len, held_out)) < HELD_OUT:
        held_out.append(rows.pop()[:1024])
    marked = [np.concatenate(([tokenizer.bos], row, [tokenizer.eos])) for row in rows]
    return np.concatenate(marked).astype(np.int64), held_out


def configs(size: str, seed: int, base: int, rate: float) -> tuple[list[TrainingConfig], ...]:
    """The cosine runs and the branches of one ladder, smallest budget first."""
    common = {
        "shape": preset(size, VOCAB),
        "context": CONTEXT,
        "batch_tokens": BATCH_TOKENS,
        "seed": seed,
        "learning_rate": rate,
        "threads": 1,
        "device": "cpu",
    }
    plateau = {"schedule": "wsd", "warmup_steps": round(0.1 * base / BATCH_TOKENS)}
    cosine = [TrainingConfig(budget=times * base, **common) for times in STEPS_OF]
    return cosine, [c.model_copy(update=plateau) for c in cosine]


def loss_of(folder: Path, held_out: list[np.ndarray]) -> float:
    """Held-out loss in nats per token; every token sees at least half a window."""
    scores = score_documents(
        load_model(folder), held_out, Windowing(CONTEXT, CONTEXT // 2, 0), dtype="bf16"
    )
    return float(scores.nll.sum() / scores.tokens.sum())


def ladder(
    out: Path, windows: Windows, held_out: list[np.ndarray], runs: tuple[list[TrainingConfig], ...]
) -> dict[str, list[float]]:
    """Held-out losses of both ladders, by budget."""
    cosine, branches = runs
    losses: dict[str, list[float]] = {"cosine": [], "wsd": []}
    for config in cosine:
        place = out / f"cosine-{config.steps}"
        train(config, windows, place)
        losses["cosine"].append(loss_of(place / "model", held_out))
    start = None
    for config in branches:
        trunk = out / f"trunk-{config.trunk_steps}"
        if not (trunk / "checkpoints").exists():
            train_trunk(branches[-1], windows, trunk, config.trunk_steps, start=start)
        start = trunk
        place = out / f"wsd-{config.steps}"
        train(config, windows, place, start=trunk)
        losses["wsd"].append(loss_of(place / "model", held_out))
    return losses


def flops(size: str, base: int) -> dict[str, float]:
    """FLOPs of the separate runs and of trunk and branches."""
    cosine, branches = configs(size, 0, base, 1.0)
    per_step = flops_per_token(preset(size, VOCAB), CONTEXT) * BATCH_TOKENS
    separate = sum(config.steps for config in cosine)
    shared = branches[-1].trunk_steps + sum(c.steps - c.trunk_steps for c in branches)
    return {
        "separate": separate * per_step,
        "trunk_and_branches": shared * per_step,
        "saved": 1 - shared / separate,
    }


def main() -> None:
    """Train both ladders for every size and seed, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", default="0.1M,0.3M")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", type=int, default=100_000, help="tokens of the smallest budget")
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tokens, held_out = tokens_of(arguments.text, arguments.out)
    found = {}
    for size in arguments.sizes.split(","):
        losses = []
        for seed in range(arguments.seeds):
            place = arguments.out / f"{size}-s{seed}"
            runs = configs(size, seed, arguments.base, arguments.learning_rate)
            losses.append(ladder(place, Windows(tokens, seed), held_out, runs))
            say(f"{size}, seed {seed}: {losses[-1]}")
        rows = []
        for place, times in enumerate(STEPS_OF):
            pairs = [(one["wsd"][place], one["cosine"][place]) for one in losses]
            gaps = [wsd - cosine for wsd, cosine in pairs]
            rows.append({"tokens": times * arguments.base, "wsd_minus_cosine": gaps})
            rows[-1] |= {"cosine": [pair[1] for pair in pairs], "mean": statistics.mean(gaps)}
            rows[-1]["deviation"] = statistics.stdev(gaps) if len(gaps) > 1 else None
        found[size] = {"flops": flops(size, arguments.base), "budgets": rows}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
