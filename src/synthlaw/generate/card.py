"""The dataset card of a finished run: what it is, how it was made, what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from synthlaw.common.files import read_json, write_json, write_text
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.generate.folder import RunFolder
from synthlaw.generate.quality import describe
from synthlaw.generate.recipe import Recipe

MOST_DOCUMENTS = 2000
"""Documents that the quality figures are taken from, evenly spread over the run."""


def write_card(folder: RunFolder, recipe: Recipe) -> dict[str, Any]:
    """Write `report.json` and `README.md` into the run; returns the report."""
    counts = folder.counts()
    stride = -(-max(counts["documents"], 1) // MOST_DOCUMENTS)
    sample = [doc for place, doc in enumerate(_documents(folder)) if place % stride == 0]
    run = read_json(folder.root / "run.json")
    report = {"run": folder.key, **run, "counts": counts, "quality": describe(recipe, sample)}
    write_json(folder.root / "report.json", report)
    write_text(folder.root / "README.md", _card(recipe, report))
    return report


def _documents(folder: RunFolder) -> Iterator[Document]:
    for block in range(folder.blocks):
        if folder.marker(block) is not None:
            yield from read_documents(folder.part("documents", block))


def _card(recipe: Recipe, report: dict[str, Any]) -> str:
    counts, quality = report["counts"], report["quality"]
    answers = counts["documents"] + sum(counts["dropped"].values()) + counts["intermediate"]
    lines = [
        f"# {recipe.title or recipe.name}",
        "",
        f"Synthetic text: {counts['documents']} documents, {counts['document_tokens']} tokens "
        f"(the generator's), written by a language model from {report['documents']} source "
        "documents. It may state falsehoods.",
        "",
        "| | |",
        "|---|---|",
        f"| recipe | {recipe.name}, version {recipe.version} |",
        f"| prompts | {recipe.citation or 'own'} |",
        f"| generator | {_inline(report['engine'])} |",
        f"| sampling | {_inline(report['sampling'])} |",
        f"| seed, rollouts | {report['seed']}, {report['rollouts']} |",
        f"| document text in a prompt | at most {report['input_tokens']} tokens |",
        f"| tokens read, written | {counts['prompt_tokens']}, {counts['completion_tokens']} |",
        f"| answers | {answers}, and {counts['failed']} requests failed |",
        f"| source files (SHA-256) | {', '.join(d[:16] for d in report['inputs'])} |",
        "",
        "## Set aside by the post-filter",
        "",
        *_table("rule", "documents", counts["dropped"]),
        "",
        "## Signs of quality",
        "",
        f"From {quality['documents']} documents. Lengths in tokens: {_inline(quality['tokens'])}. "
        f"Finish reasons: {_inline(quality['finish_reasons'])}.",
        "",
        *_table("faithfulness: mean share kept", "", quality["faithfulness"]),
        "",
        *_table(
            "diversity",
            "",
            {name: value for name, value in quality["diversity"].items() if name != "openings"},
        ),
        "",
        *_table(
            "most frequent opening",
            "share",
            {one["words"]: one["share"] for one in quality["diversity"]["openings"]},
        ),
    ]
    return "\n".join(lines) + "\n"


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
