"""What a study's training text shares with its evaluation domains, for every source.

`contamination.json` in the study folder: by source, how many documents share an n-gram with which
domain. With `corpus.decontaminate: remove` such natural documents are left out before anything is
made of them; generated and given ones are reported only, since what they hold is part of what the
study measures.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.parts import Dataset, link_parts, map_parts, parts_of
from synthlaw.common.progress import say
from synthlaw.corpus.decontamination import OVERLAPS, Contamination, check_part, index_of
from synthlaw.corpus.documents import read_dataset
from synthlaw.corpus.pipeline import TRAINING_FOLDER
from synthlaw.study.data.natural import documents_of
from synthlaw.study.spec import NATURAL
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace

CONTAMINATION_VERSION = 2

SUMMARY, PARTS, INDEX = "contamination.json", "parts", "index"


@dataclass
class Decontamination:
    """The check of a study's sources against its domains' documents.

    found: by source, what was found.
    """

    space: Workspace
    domains: Mapping[str, Artifact]
    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def mode(self) -> str:
        """ "off", "report" or "remove"."""
        return self.space.study.corpus.decontaminate

    def natural(self, corpus: Artifact) -> Artifact:
        """The corpus to train on: as it is, or without contaminated documents."""
        if self.mode == "off":
            return corpus
        checked = self._check(NATURAL, documents_of(corpus), keep=self.mode == "remove")
        if self.mode == "report":
            return corpus
        if self.found[NATURAL]["contaminated"] == self.found[NATURAL]["documents"]:
            raise UsageError("corpus.decontaminate: every natural document is contaminated")
        return checked

    def report(self, name: str, documents: Dataset) -> None:
        """Check the source `name`."""
        if self.mode != "off":
            self._check(name, documents, keep=False)

    def _check(self, name: str, documents: Dataset, *, keep: bool) -> Artifact:
        """The artifact of what was found; `keep`: with the documents that share nothing."""
        store = self.space.store
        determined = {
            "text": documents.identity,
            "domains": {d: documents_of(a).identity for d, a in self.domains.items()},
            "ngram": self.space.study.corpus.ngram,
            "keep": keep,
        }
        key = store.key("corpus", CONTAMINATION_VERSION, determined)
        label = f"contamination-{name}"
        made = store.find("corpus", label, key)
        if made is None:
            started = time.monotonic()
            work = store.work("corpus", label, key)
            self._carry_out(documents, work, keep=keep)
            made = store.adopt("corpus", label, key, time.monotonic() - started)
        self.found[name] = read_json(made.file(SUMMARY))
        self._say(name, keep)
        return made

    def _carry_out(self, documents: Dataset, work: Path, *, keep: bool) -> None:
        """Check every part, and put what was found together in `work`."""
        if not (work / PARTS / INDEX).exists():
            with atomic_folder(work / PARTS / INDEX) as aside:
                self._index().save(aside)
        tasks: list[dict[str, Any]] = [
            {
                "name": f"{number:05d}",
                "part": str(path.resolve()),
                "index": str((work / PARTS / INDEX).resolve()),
                "keep": keep,
            }
            for number, path in enumerate(documents.paths)
        ]
        results = map_parts(
            f"{check_part.__module__}:{check_part.__name__}",
            tasks,
            work / PARTS,
            self.space.executor,
            label="looking for overlaps",
            sizes=[part.documents for part in documents.parts],
            unit="documents",
        )
        found = Contamination(NgramIndex.load(work / PARTS / INDEX))
        with (work / OVERLAPS).open("wb") as stream:
            for task, result in zip(tasks, results, strict=True):
                found.add(result["state"])
                stream.write((work / PARTS / task["name"] / OVERLAPS).read_bytes())
        write_json(work / SUMMARY, found.summary())
        if keep:
            link_parts(work / PARTS, parts_of(results), work / TRAINING_FOLDER)
        shutil.rmtree(work / PARTS)

    def _index(self) -> NgramIndex:
        sets = {name: read_dataset(documents_of(made)) for name, made in self.domains.items()}
        return index_of(sets, self.space.study.corpus.ngram)

    def _say(self, name: str, keep: bool) -> None:
        found = self.found[name]
        if found["contaminated"]:
            done = ", left out" if keep else ""
            say(
                f"  {name}: {found['contaminated']:,} of {found['documents']:,} documents share "
                f"{found['n']} words in a row with an evaluation domain{done}"
            )

    def write(self) -> None:
        """Write contamination.json: what was found in every source."""
        if self.mode != "off":
            value = {"mode": self.mode, "sources": self.found}
            write_json(self.space.root / SUMMARY, value)
