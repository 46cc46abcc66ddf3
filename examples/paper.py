"""The paper's experiment (arXiv 2510.01631) as one study, from text to answer.

    python examples/paper.py --natural 'crawl/*.jsonl.gz' --server http://localhost:8000
    python examples/paper.py --natural my-text.jsonl --scale tiny

`--scale paper` asks for 600 billion tokens of training runs and more, so look at the plan that it
prints, and give `--run` to begin. `--scale tiny` is the same study with models and budgets that a
laptop trains in minutes: it shows what happens, and settles nothing.
"""

from __future__ import annotations

import argparse
from typing import Any

import synthlaw as sl

# 1. The text: natural web text, and what a language model makes of it by three recipes (section 3).
RECIPES = {"hq": {}, "qa": {}, "txbk": {"recipe": "textbook"}}

# 2. Ten mixtures: natural text alone, and each type at 33%, 67% and 100% (section 4.1).
MIXTURES = {"CC": {"natural": 1.0}}
for recipe in RECIPES:
    MIXTURES[f"33{recipe.upper()}"] = {"natural": 0.67, recipe: 0.33}
    MIXTURES[f"67{recipe.upper()}"] = {"natural": 0.33, recipe: 0.67}
    MIXTURES[recipe.upper()] = {recipe: 1.0}

# 3. Two ladders that share their crossing: budgets at one size, sizes at one budget (section 4.2).
#    The largest budget and the largest size are held out of the fits, and predicted by them.
SCALES: dict[str, dict[str, Any]] = {
    "paper": {
        "size": "1B",
        "sizes": ["100M", "200M", "500M", "1B", "2B", "3B"],
        "budget": "50B",
        "budgets": ["1B", "5B", "10B", "20B", "50B", "100B", "200B"],
        # Table 2, which is what `training` defaults to: context 4096, 1M tokens a step, 3e-4.
        "training": {},
        "tokenizer": {"name": "llama3"},
        "evaluation": {"documents": 2000},
        "generation": {"shard_documents": 500},
    },
    "tiny": {
        "size": "0.3M",
        "sizes": ["0.1M", "0.3M", "0.8M"],
        "budget": 4096,
        "budgets": [2048, 3072, 4096, 6144],
        "training": {"context": 64, "batch_tokens": 512, "learning_rate": 0.01},
        "tokenizer": {"vocab": 512},
        "evaluation": {"documents": 20},
        "generation": {"shard_documents": 8},
    },
}


def paper_study(scale: str, natural: str, engine: dict[str, Any], out: str) -> sl.Study:
    """The study at one of the SCALES. engine: who writes the synthetic text, as in a study file."""
    at = SCALES[scale]
    return sl.Study(
        out=out,
        name=f"paper-{scale}",
        natural={"path": natural},
        generate={"engine": engine, "recipes": RECIPES, **at["generation"]},
        tokenizer=at["tokenizer"],
        mixtures=MIXTURES,
        ladder={"sizes": at["sizes"], "budgets": at["budgets"]},
        grids={
            "data": {"sizes": [at["size"]], "budgets": at["budgets"]},
            "model": {"sizes": at["sizes"], "budgets": [at["budget"]]},
        },
        training=at["training"],
        evaluation=at["evaluation"],
        # 4. The question: which mixture, at the largest size and budget.
        question={"params": 3e9, "tokens": 200e9} if scale == "paper" else {},
    )


def main() -> None:
    """Plan the study, and run it when asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--natural", required=True, help="natural text: a file, folder or pattern")
    parser.add_argument("--scale", choices=list(SCALES), default="paper")
    parser.add_argument("--server", help="an OpenAI-compatible server; default: the packaged model")
    parser.add_argument("--model", default="generator", help="the model's name on the server")
    parser.add_argument("--out", default="paper-study", help="the study folder")
    parser.add_argument("--run", action="store_true", help="run it, or what is left of it")
    chosen = parser.parse_args()
    engine = {"kind": "embedded"}
    if chosen.server:
        engine = {"kind": "openai", "base_url": chosen.server, "model": chosen.model}

    study = paper_study(chosen.scale, chosen.natural, engine, chosen.out)
    print(study.plan())
    if chosen.run:
        # 5. Everything is kept as it is made: stopped at any time, the same call goes on.
        study.run()
        print(study.laws())
        print(study.answer())
        print(f"page: {study.page}")


if __name__ == "__main__":
    main()
