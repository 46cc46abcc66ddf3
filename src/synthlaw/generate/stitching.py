"""Megadocs: all versions of one document in one long document (Kim et al., arXiv 2603.18534).

Versions of a document are alike, and in one context a model can read them beside each other. What a
recipe keeps of its `versions` is joined in their order, with the original first, last or not there.
"""

from __future__ import annotations

from synthlaw.common.digest import digest_of
from synthlaw.corpus.documents import Document
from synthlaw.generate.generated import Generated
from synthlaw.generate.recipe import Recipe

SEPARATOR = "\n\n"
STEP = "stitched"


def stitched(recipe: Recipe, document: Document, number: int, whole: Generated) -> Generated:
    """What came of a document's versions, those that were kept as one document.

    number: of the rollout. The new document has the provenance of its first part, sums of tokens,
    and in `parts` the id, rollout, step and seed of each. Token counts are the generator's: the
    original, if it is there, is not among them.
    """
    kept = whole.documents
    if not kept:
        return whole
    texts = [one.text for one in kept]
    if recipe.stitch == "first":
        texts.insert(0, document.text)
    elif recipe.stitch == "last":
        texts.append(document.text)
    first = kept[0].fields
    fields = {
        **first,
        "step": STEP,
        "rollout": number,
        "original": recipe.stitch,
        "parts": [
            {"id": one.id} | {name: one.fields[name] for name in ("rollout", "step", "seed")}
            for one in kept
        ],
        **{name: sum(int(one.fields[name]) for one in kept) for name in _SUMS},
    }
    identity = f"{recipe.name}-{digest_of([one.id for one in kept])[:24]}"
    joined = Document(identity, SEPARATOR.join(texts), fields)
    return Generated([joined], whole.dropped, whole.failed, whole.aside)


_SUMS = ("prompt_tokens", "completion_tokens")
