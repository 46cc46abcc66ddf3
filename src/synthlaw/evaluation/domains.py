"""The evaluation domains of the paper (A.2.3) by name: WikiText-103 and 14 domains of the Pile.

A Pile file (`test.jsonl.zst`) holds all domains mixed; each document says its own in
`meta.pile_set_name`. A domain that has a name here takes only its own documents from such a file.
Places are those of corpus/readers/sources.py: files, folders, patterns, object stores, hub data
sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.readers.read import read_pieces
from synthlaw.corpus.readers.sources import all_input_files
from synthlaw.evaluation.conventions import WIKITEXT

PILE = "pile"
"""Stands for the 14 domains together."""

PILE_HUB = "hub:monology/pile-uncopyrighted?split=test"
"""The Pile's test set without Books3, BookCorpus2, OpenSubtitles, YouTube and OpenWebText2."""

WIKITEXT_HUB = (
    "hub:EleutherAI/wikitext_document_level?config=wikitext-103-raw-v1&split=test&column=page"
)
"""WikiText-103 by article, as lm-eval reads it."""


@dataclass(frozen=True)
class KnownDomain:
    """A domain's name in papers, and its `meta.pile_set_name` (None: not of the Pile)."""

    label: str
    pile_set: str | None


KNOWN: dict[str, KnownDomain] = {
    WIKITEXT: KnownDomain("WikiText-103", None),
    "nih_exporter": KnownDomain("NIH ExPorter", "NIH ExPorter"),
    "pile_cc": KnownDomain("Pile-CC", "Pile-CC"),
    "wikipedia_en": KnownDomain("Wikipedia (en)", "Wikipedia (en)"),
    "uspto_backgrounds": KnownDomain("USPTO Backgrounds", "USPTO Backgrounds"),
    "pubmed_central": KnownDomain("PubMed Central", "PubMed Central"),
    "pubmed_abstracts": KnownDomain("PubMed Abstracts", "PubMed Abstracts"),
    "philpapers": KnownDomain("PhilPapers", "PhilPapers"),
    "openwebtext2": KnownDomain("OpenWebText2", "OpenWebText2"),
    "opensubtitles": KnownDomain("OpenSubtitles", "OpenSubtitles"),
    "gutenberg": KnownDomain("Gutenberg (PG-19)", "Gutenberg (PG-19)"),
    "freelaw": KnownDomain("FreeLaw", "FreeLaw"),
    "bookcorpus2": KnownDomain("BookCorpus2", "BookCorpus2"),
    "books3": KnownDomain("Books3", "Books3"),
    "arxiv": KnownDomain("ArXiv", "ArXiv"),
}

PILE_DOMAINS: dict[str, str] = {n: d.pile_set for n, d in KNOWN.items() if d.pile_set is not None}
"""`pile_set_name` by domain name, in the paper's order."""


def pile_set_of(document: Document) -> str | None:
    """The document's `meta.pile_set_name`, if it has one."""
    meta: Any = document.fields.get("meta")
    name = meta.get("pile_set_name") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else None


def of_domain(domain: str, documents: Iterable[Document]) -> Iterator[Document]:
    """The documents of `domain`: those of another Pile domain are left out.

    Documents that carry no `pile_set_name` are taken, and so is everything for a name that is not
    a Pile domain. Raises UsageError, naming what was found, when the file holds other domains only.
    """
    wanted = PILE_DOMAINS.get(domain)
    found: set[str] = set()
    empty = True
    for document in documents:
        name = pile_set_of(document)
        if wanted is None or name is None or name == wanted:
            empty = False
            yield document
        else:
            found.add(name)
    if empty and found:
        raise UsageError(
            f"evaluation domain {domain!r}: no document has meta.pile_set_name "
            f"{PILE_DOMAINS[domain]!r}; found {', '.join(sorted(found))}"
        )


def hub_place(domain: str) -> str:
    """Where the hub holds a domain. Raises UsageError for a name that is not known."""
    if domain == WIKITEXT:
        return WIKITEXT_HUB
    if domain == PILE or domain in PILE_DOMAINS:
        return PILE_HUB
    raise UsageError(
        f"evaluation domain {domain!r}: found no place of its documents, and the name is not "
        f"known; give {domain}=PLACE, or one of {', '.join((*KNOWN, PILE))}"
    )


def read_domain(domain: str, place: str, base: Path) -> Iterator[Document]:
    """Documents of `domain` from a place; relative paths start at `base`."""
    pieces = own_pieces(domain, _pieces(place, base))
    return of_domain(domain, read_pieces(pieces))


def own_pieces(domain: str, pieces: list[InputFile]) -> list[InputFile]:
    """The pieces that can hold documents of `domain`: not the files named after other domains.

    So a folder of one file per domain may be the place of each of them. Raises UsageError when
    all are named after others.
    """
    if domain not in PILE_DOMAINS:
        return pieces
    others = PILE_DOMAINS.keys() - {domain}
    found = [piece for piece in pieces if _stem(piece) not in others]
    if not found:
        names = ", ".join(sorted({_stem(piece) for piece in pieces}))
        raise UsageError(f"evaluation domain {domain!r}: found files of other domains: {names}")
    return found


def _stem(piece: InputFile) -> str:
    """A file's name without its endings, which may be a domain's."""
    return piece.name.lower().split(".")[0]


def _pieces(place: str, base: Path) -> list[InputFile]:
    # What the texts are is digested when they are read; the files need not be.
    return list(all_input_files([place], base, digest=lambda path: ""))


def read_pile(place: str, base: Path) -> tuple[dict[str, list[Document]], list[str]]:
    """The 14 domains from files of one domain each, or of all mixed; and those not found.

    A file named after a domain (`pile_cc.jsonl.gz`) is that domain; documents of other files go by
    their `meta.pile_set_name`, and those of none of the 14 are left out. Raises UsageError when
    nothing of the 14 is there.
    """
    by_set = {pile_set: name for name, pile_set in PILE_DOMAINS.items()}
    domains: dict[str, list[Document]] = {}
    for piece in _pieces(place, base):
        own = _stem(piece)
        for document in read_pieces([piece]):
            name = own if own in PILE_DOMAINS else by_set.get(pile_set_of(document) or "")
            if name is not None:
                domains.setdefault(name, []).append(document)
    if not domains:
        raise UsageError(
            f"{place}: none of the Pile's domains is there; expected files named after them "
            f"({', '.join(PILE_DOMAINS)}) or documents with meta.pile_set_name"
        )
    ordered = {name: domains[name] for name in PILE_DOMAINS if name in domains}
    return ordered, [name for name in PILE_DOMAINS if name not in domains]
