"""The header of a dataset card, as the Hugging Face hub and `datasets.load_dataset` read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

import yaml

from synthlaw.corpus.documents import Document
from synthlaw.corpus.language import language_of

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
)
"""The hub's size categories, by the number of rows that each stays below."""

LOOKED_AT = 200
"""Documents whose language is looked at."""

LEAST_SHARE = 0.05
"""A language in fewer of them is more likely the detector's error."""


def hub_header(documents: int, recipes: Sequence[str], sample: Iterable[Document]) -> str:
    """YAML between two lines of dashes: which files are rows, size, languages, tags.

    documents: of the whole set. sample: some of them, whose language is looked at. The licence is
    "other": it follows from the source texts and the generator, which nothing here knows.
    """
    value = {
        "configs": [{"config_name": "default", "data_files": "documents/*.jsonl"}],
        "license": "other",
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "synthlaw", *recipes],
        "size_categories": [size_category(documents)],
    }
    if languages := _languages(sample):
        value["language"] = languages
    return f"---\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True)}---\n"


def size_category(rows: int) -> str:
    """The hub's category of a set of so many rows."""
    return next((name for limit, name in SIZES if rows < limit), "n>1T")


def _languages(sample: Iterable[Document]) -> list[str]:
    """Languages of the sample, most frequent first."""
    seen = Counter(language_of(document.text)[0] for document in islice(sample, LOOKED_AT))
    least = LEAST_SHARE * seen.total()
    return [name for name, count in seen.most_common() if count >= least and name != "und"]
