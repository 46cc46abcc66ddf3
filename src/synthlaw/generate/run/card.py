"""The dataset card of a finished run: what it is, how it was made, what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthlaw.common.claims import busy_seconds, sessions_in
from synthlaw.common.files import read_json, write_json, write_text
from synthlaw.common.ngrams import USUAL_N, NgramIndex
from synthlaw.common.numbers import format_seconds
from synthlaw.common.progress import say
from synthlaw.corpus.documents import read_documents
from synthlaw.generate.cost import Prices
from synthlaw.generate.quality import describe, evaluation_overlap
from synthlaw.generate.recipe import Recipe
from synthlaw.generate.run.folder import RunFolder
from synthlaw.generate.run.hub_header import hub_header

MOST_DOCUMENTS = 2000
"""Documents that the quality figures are taken from, evenly spread over the run."""


@dataclass(frozen=True)
class Reporting:
    """What of a report depends on more than the run: prices, and evaluation texts to compare with.

    evaluation: names and files of evaluation sets, whose n-grams of `words` words are looked for.
    """

    prices: Prices = field(default_factory=Prices)
    evaluation: Mapping[str, Path] = field(default_factory=dict)
    words: int = USUAL_N


def write_card(folder: RunFolder, recipes: Mapping[str, Recipe], asked: Reporting) -> None:
    """Write `report.json` and `README.md` into the run. recipes: by name."""
    counts = folder.counts()
    stride = -(-max(counts["documents"], 1) // MOST_DOCUMENTS)
    sample = list(folder.sample(stride))
    seconds = busy_seconds(sessions_in(folder.root))
    speed = counts["completion_tokens"] / seconds if seconds else None
    report = {
        "run": folder.key,
        **read_json(folder.root / "run.json"),
        "counts": counts,
        "seconds": round(seconds, 1),
        "tokens_per_second": round(speed, 1) if speed else None,
        "cost": asked.prices.cost(counts, seconds),
        "quality": describe(recipes, sample),
    }
    if len(recipes) > 1:
        report["by_recipe"] = {
            name: {
                "counts": of_recipe,
                "quality": describe(recipes, [d for d in sample if d.fields["recipe"] == name]),
            }
            for name, of_recipe in folder.counts_by_recipe().items()
        }
    if asked.evaluation:
        say("  looking for the evaluation sets' n-grams")
        index = NgramIndex(
            {
                name: ((document.id, document.text) for document in read_documents(path))
                for name, path in asked.evaluation.items()
            },
            asked.words,
        )
        report["evaluation_overlap"] = evaluation_overlap(recipes, folder.documents(), index)
    write_json(folder.root / "report.json", report)
    header = hub_header(counts["documents"], list(recipes), sample)
    write_text(folder.root / "README.md", f"{header}\n{_card(recipes, report)}")


def _card(recipes: Mapping[str, Recipe], report: dict[str, Any]) -> str:
    counts, quality = report["counts"], report["quality"]
    titles = " and ".join(recipe.title or recipe.name for recipe in recipes.values())
    diversity = {n: v for n, v in quality["diversity"].items() if n != "openings"}
    openings = {one["words"]: one["share"] for one in quality["diversity"]["openings"]}
    sections = (
        [f"# {titles}"],
        [
            f"Synthetic text: {counts['documents']} documents, {counts['document_tokens']} tokens "
            f"(the generator's), written by a language model from {report['documents']} source "
            "documents. It may state falsehoods."
        ],
        _facts(recipes, report),
        *_by_recipe(report),
        ["## Set aside by the post-filter"],
        _table("rule", "documents", counts["dropped"]),
        ["## Signs of quality"],
        [
            f"From {quality['documents']} documents, evenly spread over the run. Tokens a "
            f"document: {_inline(quality['tokens'])}."
        ],
        _table("tokens", "documents", quality["lengths"]),
        _table("faithfulness: mean share kept", "", quality["faithfulness"]),
        _table("diversity", "", diversity),
        _table("most frequent opening", "share", openings),
        *_overlap(report.get("evaluation_overlap")),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _facts(recipes: Mapping[str, Recipe], report: dict[str, Any]) -> list[str]:
    """How it was made, in a table."""
    counts = report["counts"]
    answers = counts["documents"] + sum(counts["dropped"].values()) + counts["intermediate"]
    named = "; ".join(f"{r.name}, version {r.version}" for r in recipes.values())
    prompts = "; ".join(dict.fromkeys(r.citation or "own" for r in recipes.values()))
    rows = {
        "recipe": named,
        "prompts": prompts,
        "seeded by": ", ".join(dict.fromkeys(r.seeds for r in recipes.values())),
        "generator": _inline(report["engine"]),
        "sampling": _inline(report["sampling"]),
        "seed, rollouts": f"{report['seed']}, {report['rollouts']}",
        "document text in a prompt": f"at most {report['input_tokens']} tokens",
        "tokens read, written": f"{counts['prompt_tokens']}, {counts['completion_tokens']}",
        "tokens written per second": f"{report['tokens_per_second'] or '-'}, "
        f"over {format_seconds(report['seconds'])}",
        "answers": f"{answers} ({_inline(counts['finish_reasons'])}), "
        f"and {counts['failed']} requests failed",
        "cost": _cost(report["cost"]),
        "source files (SHA-256)": ", ".join(digest[:16] for digest in report["inputs"]),
    }
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]


def _cost(cost: dict[str, Any] | None) -> str:
    if cost is None:
        return "no prices were given"
    parts = ", ".join(f"{name} {value:.4g}" for name, value in cost["parts"].items())
    million = cost["per_million_kept_tokens"]
    each = f"; {million:.4g} per million tokens kept" if million is not None else ""
    return f"{cost['total']:.4g} ({parts}){each}"


def _by_recipe(report: dict[str, Any]) -> list[list[str]]:
    """The recipes of a mix side by side."""
    if "by_recipe" not in report:
        return []
    shares = {one["name"]: one["share"] for one in report["recipes"]}
    table = [
        "| recipe | share asked for | documents | tokens | dropped | failed |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in report["by_recipe"].items():
        counts = part["counts"]
        table.append(
            f"| {name} | {shares[name]:.4g} | {counts['documents']} | {counts['document_tokens']} "
            f"| {_inline(counts['dropped']) or 0} | {counts['failed']} |"
        )
    return [table]


def _overlap(found: dict[str, Any] | None) -> list[list[str]]:
    """What is shared with evaluation sets."""
    if found is None:
        return []
    return [
        ["## Overlap with evaluation sets"],
        [
            f"{found['overlapping']} of all {found['documents']} documents share {found['words']} "
            f"words in a row with an evaluation text; the source of {found['in_source']} of them "
            "does too."
        ],
        _table("evaluation set", "documents that overlap", found["by_set"]),
    ]


def _inline(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {json.dumps(value) if isinstance(value, dict) else value}"
        for name, value in values.items()
    )


def _table(name: str, value: str, rows: dict[str, Any]) -> list[str]:
    if not rows:
        return ["None."]
    body = [f"| {key} | {'-' if found is None else found} |" for key, found in rows.items()]
    return [f"| {name} | {value} |", "|---|---|", *body]
