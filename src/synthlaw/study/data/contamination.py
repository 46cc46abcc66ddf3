"""What a study's training text shares with its evaluation domains, for every source.

`contamination.json` in the study folder: by source, how many documents share an n-gram with which
domain. With `corpus.decontaminate: remove` such natural documents are left out before anything is
made of them; generated and given ones are reported only, since what they hold is part of what the
study measures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json, write_text
from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.progress import say
from synthlaw.corpus.decontamination import Contamination, clean, index_of
from synthlaw.corpus.documents import Document, read_documents, write_documents
from synthlaw.study.spec import NATURAL
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace

CONTAMINATION_VERSION = 1

SUMMARY, ROWS, TRAINING = "contamination.json", "contamination.jsonl", "training.parquet"


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

    @cached_property
    def _index(self) -> NgramIndex:
        sets = {
            name: read_documents(artifact.file("documents.parquet"))
            for name, artifact in self.domains.items()
        }
        return index_of(sets, self.space.study.corpus.ngram)

    def natural(self, corpus: Artifact) -> Artifact:
        """The corpus to train on: as it is, or without contaminated documents."""
        if self.mode == "off":
            return corpus
        documents = read_documents(corpus.file(TRAINING))
        checked = self._check(NATURAL, documents, corpus.content, keep=self.mode == "remove")
        if self.mode == "report":
            return corpus
        if self.found[NATURAL]["contaminated"] == self.found[NATURAL]["documents"]:
            raise UsageError("corpus.decontaminate: every natural document is contaminated")
        return checked

    def report(self, name: str, documents: Iterable[Document], inputs: Any) -> None:
        """Check the source `name`; `inputs` is what determines its documents."""
        if self.mode != "off":
            self._check(name, documents, inputs, keep=False)

    def _check(
        self, name: str, documents: Iterable[Document], inputs: Any, *, keep: bool
    ) -> Artifact:
        """The artifact of what was found; `keep`: with the documents that share nothing."""
        store = self.space.store
        determined = {
            "text": inputs,
            "domains": {domain: artifact.content for domain, artifact in self.domains.items()},
            "ngram": self.space.study.corpus.ngram,
            "keep": keep,
        }
        key = store.key("corpus", CONTAMINATION_VERSION, determined)
        label = f"contamination-{name}"
        made = store.find("corpus", label, key)
        if made is None:
            found = Contamination(self._index)
            with store.making("corpus", label, key) as aside:
                left = clean(documents, found)
                if keep:
                    write_documents(aside / TRAINING, left)
                else:
                    _exhaust(left)
                write_json(aside / SUMMARY, found.summary())
                lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows)
                write_text(aside / ROWS, "".join(lines))
            made = store.require("corpus", label, key)
        self.found[name] = read_json(made.file(SUMMARY))
        self._say(name, keep)
        return made

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


def _exhaust(documents: Iterator[Document]) -> None:
    for _ in documents:
        pass
