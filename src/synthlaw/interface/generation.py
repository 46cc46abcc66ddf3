"""Synthetic documents in Python, as `synthlaw generate` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.ownership import claimed
from synthlaw.common.parts import Dataset
from synthlaw.common.settings import validated
from synthlaw.corpus.documents import Document, read_dataset, write_documents
from synthlaw.corpus.readers.sources import find_files
from synthlaw.generate.asked import asked_mix
from synthlaw.generate.engines.base import SamplingSettings
from synthlaw.generate.engines.registry import EngineSettings, make_engine
from synthlaw.generate.run.inputs import survey
from synthlaw.generate.run.meter import drawn
from synthlaw.generate.run.workers import FolderOutcome, run_folder
from synthlaw.interface.runs import arrow_table
from synthlaw.laws.formats import arrow_rows

INPUTS = "input"
EXPECTED = (
    "expected a path, texts, dictionaries with 'text', or a DataFrame or Arrow table with a column "
    "text"
)


class Generated(Sequence[dict[str, Any]]):
    """What a model wrote and the post-filter kept, a dictionary a document, in a folder.

    Each has text and id, source_id, recipe, and how it was made (prompt_tokens, completion_tokens,
    seed and more). folder: with dropped and failed ones, README.md and report.json. counts: of
    documents, drops and failures by reason, tokens.
    """

    def __init__(
        self, outcome: FolderOutcome, folder: Path, held: TemporaryDirectory[str] | None
    ) -> None:
        self.folder, self.counts = folder, outcome.counts
        self._held = held  # gone with us
        self._dataset = Dataset(folder)

    def __len__(self) -> int:
        return int(self.counts["documents"])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One after the other; memory is one batch."""
        for document in read_dataset(self._dataset):
            yield {"id": document.id, "text": document.text, **document.fields}

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __repr__(self) -> str:
        dropped, failed = sum(self.counts["dropped"].values()), self.counts["failed"]
        return (
            f"<{len(self)} documents of {self.counts['document_tokens']:,} tokens, {dropped} "
            f"dropped, {failed} failed, in {self.folder}>"
        )

    def to_frame(self) -> Any:
        """The documents as a pandas DataFrame. Raises ModuleNotFoundError without pandas."""
        import pandas as pd

        return pd.DataFrame(list(self))


def generate(
    documents: Any,
    recipe: str | Mapping[str, float] = "hq",
    *,
    engine: EngineSettings,
    out: str | PathLike[str] | None = None,
    seed: int = 0,
    rollouts: int = 1,
    input_tokens: int | None = None,
    sampling: Mapping[str, Any] | None = None,
    **refinements: Any,
) -> Generated:
    """Have a language model write synthetic documents from natural ones.

    documents: a path (file, folder or pattern) or several, a list of texts, a pandas or Polars
    DataFrame or Arrow table with a column text, or a list of dictionaries with text. recipe: a
    name (hq, qa, textbook …), a YAML file, or several with their weights. engine: of
    `sl.engines`. out: the folder of results, which an interrupted call goes on in; without it they
    live as long as what is returned. sampling: temperature, top_p, max_tokens and the like.
    refinements: chapters, seeds, versions, stitch, without, all_rules, as `synthlaw generate` has
    them. Failed requests are counted, not raised.

    Raises UsageError for input, recipe or engine that cannot be used, SynthlawError when the engine
    breaks.
    """
    weights = {recipe: 1.0} if isinstance(recipe, str) else dict(recipe)
    mix = asked_mix(
        list(weights.items()),
        engine,
        sampling=validated(SamplingSettings, dict(sampling or {})),
        seed=seed,
        rollouts=rollouts,
        input_tokens=input_tokens,
        **refinements,
    )
    held = TemporaryDirectory(prefix="synthlaw-") if out is None else None
    folder = Path(held.name if held is not None else str(out))
    with claimed(folder, "generate"):
        made = make_engine(engine, folder / "vllm.log")
        files = _files(documents, folder)
        with drawn(f"generate {' and '.join(mix.recipes)}") as show:
            outcome = run_folder(mix, made, survey(files), folder, on_progress=show)
    return Generated(outcome, folder, held)


def _files(documents: Any, folder: Path) -> list[Path]:
    """Files of documents: those that are named, or one that holds what is in memory."""
    if isinstance(documents, str | PathLike):
        return find_files(str(documents), Path.cwd())
    if isinstance(documents, list | tuple) and documents and all(map(_is_path, documents)):
        return [file for place in documents for file in find_files(str(place), Path.cwd())]
    rows = _rows(documents)
    path = folder / INPUTS / f"{digest_of({'rows': [[d.id, d.text] for d in rows]})[:16]}.parquet"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_documents(path, rows)
    return [path]


def _is_path(value: Any) -> bool:
    return isinstance(value, PathLike)


def _rows(documents: Any) -> list[Document]:
    if isinstance(documents, list | tuple):
        rows = [{"text": one} if isinstance(one, str) else one for one in documents]
    else:
        rows = arrow_rows(arrow_table(documents, "documents", EXPECTED)).rows
    texts = [row.get("text") if isinstance(row, Mapping) else None for row in rows]
    wrong = [place for place, text in enumerate(texts) if not isinstance(text, str)]
    if wrong or not rows:
        found = f"no text in document {wrong[0]}" if wrong else "no documents"
        raise UsageError(f"documents: found {found}; {EXPECTED}")
    return [Document(str(row.get("id", place)), str(row["text"])) for place, row in enumerate(rows)]
