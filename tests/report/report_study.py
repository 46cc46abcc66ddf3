"""A study folder as the pipeline leaves it, with numbers from a law that the tests know.

L(N, D) = E + A/(N/1e6)^alpha + B/(D/1e6)^beta at the demo's scale: losses of tiny models with a
small seed noise. The laws are fitted to them by the laws room; the texts are written for this file.
"""

from __future__ import annotations

import base64
import csv
import gzip
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthlaw.laws.api import fit_laws
from synthlaw.laws.table import RunsTable
from synthlaw.report.artifacts import Study
from synthlaw.report.chart_kinds import study_charts
from synthlaw.report.page import render_page

SIZES = (1.0e5, 3.0e5, 1.0e6)
BUDGETS = (25_000, 50_000, 100_000, 200_000)
VOCABULARY = 4096
REPLICATES = 64
HEADLINE = (
    "At 1M non-embedding parameters and 400k training tokens these runs do not settle which "
    "mixture is best: 33HQ has the lowest expected loss, 5.076 nats per token (probability 86% "
    "under the bootstrap); that is -0.104 against CC (90% interval -0.154 to -0.059), an "
    "equal-loss speed-up of 1.20 (0.84 to 1.80)."
)
DOMAINS = (
    ("addresses", "held-out", 0.0),
    ("encyclopedia", "held-out", 0.22),
    ("letters", "not in training", 0.41),
)


@dataclass(frozen=True)
class TrueLaw:
    """The law that a mixture's losses come from; unit 1e6 parameters and 1e6 tokens."""

    synthetic_type: str
    ratio: float
    E: float
    A: float
    alpha: float
    B: float
    beta: float

    def loss(self, params: float, tokens: float) -> float:
        """Nats per token."""
        model = self.A / (params / 1e6) ** self.alpha
        return self.E + model + self.B / (tokens / 1e6) ** self.beta


TRUE_LAWS = {
    "CC": TrueLaw("", 0.0, 3.62, 0.34, 0.33, 0.83, 0.42),
    "33HQ": TrueLaw("HQ", 0.33, 3.48, 0.35, 0.33, 0.84, 0.43),
    "33QA": TrueLaw("QA", 0.33, 3.55, 0.34, 0.32, 0.85, 0.43),
    "33TXBK": TrueLaw("TXBK", 0.33, 3.68, 0.33, 0.34, 0.90, 0.41),
    "100HQ": TrueLaw("HQ", 1.0, 3.86, 0.36, 0.35, 0.91, 0.43),
}
SOURCE = (
    "Fellow citizens, the harbour at the mouth of the river has been deepened this year by "
    "eleven feet, and the revenue of the port, which in the former year was four hundred "
    "thousand dollars, now exceeds six hundred thousand. I recommend that the work go on."
)
OUTPUTS = (
    (
        "HQ",
        "article",
        "The harbour was deepened by eleven feet this year. Port revenue rose from "
        "$400,000 to more than $600,000, and the author recommends continuing the work.",
        True,
        None,
    ),
    (
        "QA",
        "questions",
        "Question: By how much was the harbour deepened?\nAnswer: By eleven feet."
        "\n\nQuestion: What happened to the revenue?\nAnswer: It rose by half.",
        True,
        None,
    ),
    (
        "TXBK",
        "outline",
        "1. Harbours and trade\n2. How dredging works\n3. Public revenue",
        True,
        None,
    ),
    (
        "TXBK",
        "chapter-1",
        "Chapter 1. Harbours and trade\n\nA harbour is a sheltered place where "
        "ships may lie. When its entrance is shallow, large ships must wait for the tide.",
        True,
        None,
    ),
    ("TXBK", "chapter-2", "How how how how", False, "too_short"),
)


def read_island(page: str) -> Any:
    """The data block of a page."""
    packed = page.split('id="island">')[1].split("</script>", maxsplit=1)[0]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def write_study(folder: Path, seed: int = 7) -> Path:
    """Write every file of a finished study into `folder`; the same seed gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed)
    runs = _runs(noise)
    _write_runs(folder / "runs.csv", runs)
    files: dict[str, Any] = {
        "laws.json": {
            "laws": _laws(folder / "runs.csv"),
            "skipped": [{"law": "model", "mixture": None, "reason": "too few <sizes>"}],
        },
        "advice.json": _advice(),
        "generation.json": _generation(),
        "samples.json": _samples(),
        "mixtures.json": _mixtures(),
        "plan.json": {
            "study": "harbour demo",
            "runs": len(runs),
            "sizes": [{"size": "0.1M"}, {"size": "0.3M"}, {"size": "1M"}],
            "budgets": list(BUDGETS),
            "seeds": [0],
            "training": {"tokens": 5_625_000, "flops": 1.4e13, "seconds": 402.0, "workers": 2},
            "tokens_to_generate": {"HQ": 200_000, "QA": 66_000, "TXBK": 66_000},
            "generation_seconds": 311.0,
            "disk_bytes": 310e6,
        },
        "evaluation.json": _evaluation(runs),
        "timings.json": [
            {"stage": "corpus", "seconds": 6.1},
            {"stage": "generate", "seconds": 311},
            {"stage": "tokens", "seconds": 9.4},
            {"stage": "training", "seconds": 402},
            {"stage": "evaluation", "seconds": 41},
            {"stage": "laws", "seconds": 3.3},
        ],
        "machine.json": {
            "cores": 2,
            "memory_bytes": 16_700_000_000,
            "machine": "x86_64",
            "python": "3.11.9",
            "packages": {"torch": "2.13.0", "synthlaw": "0.1.0", "openvino-genai": None},
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value, indent=1), encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY_FILE, encoding="utf-8")
    return folder


def _runs(noise: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for mixture, law in TRUE_LAWS.items():
        for params in SIZES:
            for tokens in BUDGETS:
                loss = law.loss(params, tokens) * (1 + noise.normal(0, 0.0025))
                row: dict[str, Any] = {
                    "run": f"{mixture}-{params:.0f}-{tokens}-0",
                    "mixture": mixture,
                    "params": int(params),
                    "tokens": tokens,
                    "loss": loss,
                    "seed": 0,
                    "synthetic_type": law.synthetic_type,
                    "synthetic_ratio": law.ratio,
                    "generator": "SmolLM2-135M-Instruct" if law.ratio else "",
                    "params_total": int(params + 64 * VOCABULARY),
                    "flops": 6 * params * tokens,
                    "status": "done",
                }
                for domain, _, shift in DOMAINS:
                    gain = -0.03 if (domain, law.synthetic_type) == ("letters", "QA") else 0.0
                    row[f"loss/{domain}"] = loss + shift - 0.21 + gain + noise.normal(0, 0.008)
                rows.append(row)
    diverged = dict(rows[-1], run="100HQ-1000000-200000-1", seed=1, loss="", status="diverged")
    diverged.update({f"loss/{domain}": "" for domain, _, _ in DOMAINS})
    return [*rows, diverged]


def _write_runs(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _laws(runs: Path) -> list[dict[str, Any]]:
    """What the study writes: data laws with the largest budget held out, model and joint laws."""
    table = RunsTable.read(runs)
    held = f"tokens>={BUDGETS[-1]}"
    return [
        law.to_json(replicates=REPLICATES)
        for kind, holdout in (("data", held), ("model", None), ("joint", None))
        for law in fit_laws(table, kind, holdout=holdout, bootstrap=REPLICATES, seed=0)
    ]


def _advice() -> dict[str, Any]:
    params, tokens = SIZES[-1], 400_000
    base = TRUE_LAWS["CC"].loss(params, tokens)
    chance = {"33HQ": 0.86, "33QA": 0.11, "CC": 0.02, "33TXBK": 0.01, "100HQ": 0.0}
    mixtures = []
    for name, law in TRUE_LAWS.items():
        loss = law.loss(params, tokens)
        term = base - law.E - law.A
        speedup = tokens and (law.B / term) ** (1 / law.beta) * 1e6 if term > 0 else None
        speedup = tokens / speedup if speedup else None
        row: dict[str, Any] = {
            "mixture": name,
            "synthetic_type": law.synthetic_type,
            "synthetic_ratio": law.ratio,
            "loss": loss,
            "interval": [loss - 0.045, loss + 0.05],
            "difference": loss - base,
            "difference_interval": [loss - base - 0.05, loss - base + 0.045],
            "probability_best": chance[name],
            "speedup": speedup,
            "speedup_interval": None if speedup is None else [speedup * 0.7, speedup * 1.5],
        }
        if name == "CC":
            row.update(difference=0.0, difference_interval=None, speedup=1.0, speedup_interval=None)
        mixtures.append(row)
    ratios = [
        {
            "synthetic_type": kind,
            "points": [
                {
                    "ratio": ratio,
                    "loss": base + depth * math.sin(math.pi * ratio**0.6) + lift * ratio**2,
                    "interval": [
                        base + depth * math.sin(math.pi * ratio**0.6) + lift * ratio**2 - 0.03,
                        base + depth * math.sin(math.pi * ratio**0.6) + lift * ratio**2 + 0.03,
                    ],
                }
                for ratio in (0.0, 0.1, 0.33, 0.67, 1.0)
            ],
        }
        for kind, depth, lift in (("HQ", -0.16, 0.28), ("QA", -0.08, 0.3), ("TXBK", -0.02, 0.5))
    ]
    return {
        "params": params,
        "tokens": tokens,
        "law": "joint",
        "level": "undecided",
        "baseline": next(row for row in mixtures if row["mixture"] == "CC"),
        "advice": HEADLINE,
        "options": [row for row in mixtures if row["mixture"] != "CC"],
        "ratios": ratios,
        "warnings": [
            {
                "code": "extrapolation",
                "message": "400k tokens is 2.0 times the largest budget that was run",
            }
        ],
        "limits": [
            "Models of 0.1M to 1M parameters cannot show whether an order of mixtures holds at 1B.",
            "The generator has 135M parameters; a stronger one may write better rephrasings.",
            "One seed a run: the seed's own noise is not in the intervals.",
        ],
    }


def _generation() -> dict[str, Any]:
    return {
        "generators": [
            {
                "generator": "engine",
                "label": "SmolLM2-135M-Instruct Q4_1",
                "engine": {"name": "openvino-genai", "model": "SmolLM2-135M-Instruct"},
                "sampling": {"temperature": 0.2, "top_p": 0.9, "top_k": 40, "repeat_penalty": 1.1},
                "tokens_per_second": 387.0,
            }
        ],
        "recipes": [
            {
                "recipe": "HQ",
                "version": "1",
                "target": 550,
                "documents": 412,
                "tokens": 141_320,
                "tokens_per_second": 388.0,
                "seconds": 364.2,
                "failed": 0,
                "dropped": {"too_short": 21, "too_long": 9, "repetition": 14},
                "finish_reasons": {"stop": 398, "length": 58},
            },
            {
                "recipe": "QA",
                "version": "1",
                "target": 550,
                "documents": 395,
                "tokens": 98_404,
                "tokens_per_second": 371.0,
                "seconds": 265.2,
                "failed": 1,
                "dropped": {"too_short": 47, "no_question": 11},
                "finish_reasons": {"stop": 453},
            },
            {
                "recipe": "TXBK",
                "version": "1",
                "target": 450,
                "documents": 288,
                "tokens": 120_004,
                "tokens_per_second": 402.0,
                "seconds": 298.5,
                "failed": 0,
                "dropped": {"repetition": 33},
                "finish_reasons": {"stop": 240, "length": 81},
            },
        ],
    }


def _samples() -> list[dict[str, Any]]:
    outputs = [
        {"recipe": r, "step": s, "text": t, "kept": k, "reason": why} for r, s, t, k, why in OUTPUTS
    ]
    return [
        {"source_id": "address-1830-4", "source": SOURCE, "outputs": outputs},
        {"source_id": "address-1911-2", "source": SOURCE[::-1], "outputs": outputs[:2]},
    ]


def _mixtures() -> list[dict[str, Any]]:
    return [_mixture(name, tokens) for name in TRUE_LAWS for tokens in BUDGETS]


def _mixture(name: str, tokens: int) -> dict[str, Any]:
    law = TRUE_LAWS[name]
    shares = {"natural": 1 - law.ratio, law.synthetic_type: law.ratio}
    return {
        "mixture": name,
        "tokens": tokens,
        "sources": [
            {
                "source": source,
                "share_asked": share,
                "share_realised": share * 0.99997,
                "tokens": round(share * tokens),
                "epochs": share * tokens / (1.4e6 if source == "natural" else 1.41e5),
            }
            for source, share in shares.items()
            if share > 0
        ],
    }


def _evaluation(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "domains": [
            {
                "domain": domain,
                "documents": 24,
                "tokens": 18_400,
                "kind": kind,
                "untrained_loss": math.log(VOCABULARY) + 0.02,
            }
            for domain, kind, _ in DOMAINS
        ],
        "intervals": [
            {
                "run": row["run"],
                "domain": domain,
                "loss": row[f"loss/{domain}"],
                "low": row[f"loss/{domain}"] - 0.04,
                "high": row[f"loss/{domain}"] + 0.045,
            }
            for row in runs
            if row["status"] == "done"
            for domain, _, _ in DOMAINS
        ],
    }


STUDY_FILE = """\
name: harbour demo
seed: 0
natural:
  embedded: addresses
mixtures:
  - {name: CC}
  - {name: 33HQ, HQ: 0.33}
  - {name: 33QA, QA: 0.33}
  - {name: 33TXBK, TXBK: 0.33}
  - {name: 100HQ, HQ: 1.0}
training:
  sizes: [0.1M, 0.3M, 1M]
  tokens: [25k, 50k, 100k, 200k]
"""


def rendered(study: Study) -> str:
    """The study's page, with its charts and no files beside it."""
    return render_page(study, study_charts(study), [])
