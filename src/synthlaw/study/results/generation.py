"""What a study says of its synthetic text: generation.json and samples.json."""

from __future__ import annotations

from typing import Any

from synthlaw.common.files import write_json
from synthlaw.study.data.generated import Generation
from synthlaw.study.measured import GENERATED, measured_speeds, note_speeds
from synthlaw.study.workspace import Workspace

SAMPLES = 4
SAMPLED_DOCUMENTS = 64
"""Source documents that samples are chosen from."""


def write_generation(space: Workspace, generated: Generation) -> None:
    """Counts by recipe, and a few source documents beside all that was made of them."""
    if generated.speeds:
        known = measured_speeds(space.root).get(GENERATED, {})
        rounded = {name: round(speed, 3) for name, speed in generated.speeds.items()}
        note_speeds(space.root, **{GENERATED: {**known, **rounded}})
    value = {
        "generators": [_generator(space, generated, name) for name in generated.engines],
        "recipes": [_recipe(space, generated, name) for name in generated.sources],
    }
    write_json(space.root / "generation.json", value)
    write_json(space.root / "samples.json", _samples(generated))


def _generator(space: Workspace, generated: Generation, name: str) -> dict[str, Any]:
    settings = space.study.generate.used_generators[name]
    engine = generated.engines[name]
    return {
        "generator": name,
        "label": engine.label,
        "engine": engine.identity(),
        "sampling": {
            key: value
            for key, value in settings.sampling_with().record().items()
            if key != "max_tokens"  # each recipe has its own
        },
        "input_tokens": settings.source_tokens,
        "tokens_per_second": measured_speeds(space.root).get(GENERATED, {}).get(name),
    }


def _recipe(space: Workspace, generated: Generation, name: str) -> dict[str, Any]:
    source = generated.sources[name]
    counts, recipes = source.counts, [one.recipe for one in source.mix.settings]
    named = space.study.generate.recipes[name].named(name)
    targets = {step.target_tokens for one in recipes for step in one.steps if step.target_tokens}
    return {
        "recipe": name,
        "of": "+".join(named),
        "version": "+".join(one.version for one in recipes),
        "generator": source.generator,
        "target": min(targets, default=None),
        "documents": counts.get("documents", 0),
        "tokens": counts.get("document_tokens", 0),
        "completion_tokens": counts.get("completion_tokens", 0),
        "dropped": counts.get("dropped", {}),
        "failed": counts.get("failed", 0),
        "intermediate": counts.get("intermediate", 0),
        "finish_reasons": counts.get("finish_reasons", {}),
        "source_documents": source.documents,
        "rollouts": source.rollouts,
        "versions": source.versions,
        "study_tokens": source.dataset.tokens,
    }


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
