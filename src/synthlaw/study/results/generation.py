"""What a study says of its synthetic text: generation.json and samples.json."""

from __future__ import annotations

from typing import Any

from synthlaw.common.files import read_json, write_json
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.study.data.shards import ASIDE, DROPPED, KEPT, add_counts
from synthlaw.study.data.synthetic import Synthetic
from synthlaw.study.workspace import Workspace

SAMPLES = 4


def write_generation(space: Workspace, synthetic: Synthetic, sources: dict[str, Document]) -> None:
    """Counts by recipe, and a few source documents beside all that was made of them.

    sources: the natural training documents by id.
    """
    if synthetic.completion_tokens:
        speed = synthetic.completion_tokens / synthetic.seconds
        note_speeds(space, generated_tokens_per_second=speed)
    path = space.root / "speeds.json"
    speeds = read_json(path) if path.exists() else {}
    recipes = []
    for name, shards in synthetic.sources.items():
        counts, settings = add_counts(shards), synthetic.settings[name]
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
            }
        )
    value = {
        "engine": {**synthetic.engine.identity(), "label": synthetic.engine.label},
        "sampling": {
            name: value
            for name, value in space.study.generate.sampling_with().record().items()
            if name != "max_tokens"  # each recipe has its own
        },
        "tokens_per_second": speeds.get("generated_tokens_per_second"),
        "recipes": recipes,
    }
    write_json(space.root / "generation.json", value)
    write_json(space.root / "samples.json", _samples(synthetic, sources))


def note_speeds(space: Workspace, **speeds: float) -> None:
    """Remember speeds measured in this folder, for plans."""
    path = space.root / "speeds.json"
    known = read_json(path) if path.exists() else {}
    write_json(path, {**known, **{name: round(value, 3) for name, value in speeds.items()}})


def _samples(synthetic: Synthetic, sources: dict[str, Document]) -> list[dict[str, Any]]:
    """The first source documents of every recipe's first shard; recipes share their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, shards in synthetic.sources.items():
        if not shards:
            continue
        # What was set aside (an outline) came before what was made of it.
        for file, kept in ((ASIDE, True), (KEPT, True), (DROPPED, False)):
            for document in read_documents(shards[0].file(file)):
                outputs = found.setdefault(str(document.fields["source_id"]), [])
                outputs.append(
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
        {
            "source_id": source,
            "source": sources[source].text if source in sources else "",
            "outputs": found[source],
        }
        for source in ranked[:SAMPLES]
    ]
