"""What a study says of its synthetic text: generation.json and samples.json."""

from __future__ import annotations

from typing import Any

from synthlaw.common.files import read_json, write_json
from synthlaw.study.data.generated import Generation
from synthlaw.study.workspace import Workspace

SAMPLES = 4
SAMPLED_DOCUMENTS = 64
"""Source documents that samples are chosen from."""


def write_generation(space: Workspace, generated: Generation) -> None:
    """Counts by recipe, and a few source documents beside all that was made of them."""
    if generated.completion_tokens:
        speed = generated.completion_tokens / generated.seconds
        note_speeds(space, generated_tokens_per_second=speed)
    path = space.root / "speeds.json"
    speeds = read_json(path) if path.exists() else {}
    recipes = []
    for name, source in generated.sources.items():
        counts, settings = source.counts, source.settings
        recipes.append(
            {
                "recipe": name,
                "version": settings.recipe.version,
                "target": next(
                    (s.target_tokens for s in settings.recipe.steps if s.target_tokens), None
                ),
                "documents": counts.get("documents", 0),
                "tokens": counts.get("document_tokens", 0),
                "completion_tokens": counts.get("completion_tokens", 0),
                "dropped": counts.get("dropped", {}),
                "failed": counts.get("failed", 0),
                "intermediate": counts.get("intermediate", 0),
                "finish_reasons": counts.get("finish_reasons", {}),
                "source_documents": source.documents,
                "study_tokens": source.dataset.tokens,
            }
        )
    value = {
        "engine": {**generated.engine.identity(), "label": generated.engine.label},
        "sampling": {
            name: value
            for name, value in space.study.generate.sampling_with().record().items()
            if name != "max_tokens"  # each recipe has its own
        },
        "tokens_per_second": speeds.get("generated_tokens_per_second"),
        "recipes": recipes,
    }
    write_json(space.root / "generation.json", value)
    write_json(space.root / "samples.json", _samples(generated))


def note_speeds(space: Workspace, **speeds: float) -> None:
    """Remember speeds measured in this folder, for plans."""
    path = space.root / "speeds.json"
    known = read_json(path) if path.exists() else {}
    write_json(path, {**known, **{name: round(value, 3) for name, value in speeds.items()}})


def _samples(generated: Generation) -> list[dict[str, Any]]:
    """The first source documents of every recipe's first block; recipes share their order."""
    natural = {one.id: one.text for one in generated.inputs.range(0, SAMPLED_DOCUMENTS)}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, source in generated.sources.items():
        # What was set aside (an outline) came before what was made of it.
        for kind, kept in (("aside", True), ("documents", True), ("dropped", False)):
            for document in source.first(kind):
                identity = str(document.fields["source_id"])
                if identity not in natural:
                    break
                found.setdefault(identity, []).append(
                    {
                        "recipe": name,
                        "step": document.fields["step"],
                        "text": document.text,
                        "kept": kept,
                        "reason": document.fields.get("reason"),
                    }
                )
    # Sources that show the most recipes first; among equals in the order they were read.
    ranked = sorted(found, key=lambda source: -len({o["recipe"] for o in found[source]}))
    return [
        {"source_id": source, "source": natural[source], "outputs": found[source]}
        for source in ranked[:SAMPLES]
    ]
