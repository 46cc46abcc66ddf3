"""Text of HTML pages, within bounds that depend on the page alone.

The extractor's time grows with the square of how deep blocks are nested, of the attributes of one
element, of the options of a form, of formatting that is never closed. Pages that people write come
nowhere near; a page that does is refused before it is parsed, by counts that take linear time, so
that the same page has the same fate on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from synthlaw.common.errors import MissingExtraError
from synthlaw.common.payload import PayloadError

Extractor = Literal["resiliparse", "trafilatura"]

DEEPEST = 512
"""Blocks in blocks; browsers stop nesting there too."""

MOST_ATTRIBUTES = 1000
MOST_OPTIONS = 4000
MOST_OPEN_FORMATS = 4000
MOST_STEPS = 10_000_000
"""Sum over all elements of how many blocks and open formatting elements they stand in."""

_FEW_TAGS = 4000
_LONG_TAG = 1 << 14
_BLOCKS = frozenset(
    [
        *("div", "article", "section", "main", "header", "footer", "nav"),
        *("aside", "blockquote", "center", "details", "dialog", "fieldset", "figure"),
        *("form", "ol", "ul", "dl", "table", "object"),
    ]
)
_FORMATS = frozenset(
    [
        *("a", "b", "big", "code", "em", "font", "i"),
        *("nobr", "s", "small", "strike", "strong", "tt", "u"),
    ]
)
_RAW = frozenset(
    ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"),
)

_ATTRIBUTE = (
    r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+|(?=>)))?+"""
)
_TAG = re.compile(rf"<(/?)([a-zA-Z][^\s/>]*+)((?:{_ATTRIBUTE})*+)[\s/]*+>|<!--")
_ATTRIBUTES = re.compile(_ATTRIBUTE)


def extractor(name: Extractor) -> Callable[[str], str]:
    """The function from a page to its main text. Raises MissingExtraError without its package.

    It raises PayloadError for a page beyond the bounds.
    """
    extract = _extraction(name)

    def within_bounds(page: str) -> str:
        check_bounds(page)
        return extract(page)

    return within_bounds


def _extraction(name: Extractor) -> Callable[[str], str]:
    if name == "trafilatura":
        try:
            import trafilatura
        except ImportError:
            raise MissingExtraError("trafilatura", "trafilatura", "this extraction") from None
        return lambda page: trafilatura.extract(page, include_comments=False) or ""
    from resiliparse.extract.html2text import extract_plain_text

    return lambda page: extract_plain_text(page, main_content=True, alt_texts=False)


def check_bounds(page: str) -> None:
    """Raise PayloadError, naming the bound, for a page that would take too long to parse."""
    if page.count("<") <= _FEW_TAGS and max(map(len, page.split("<"))) <= _LONG_TAG:
        return
    counts = _Counts()
    # Up to the last '>' every tag that begins also ends, so that none is scanned twice.
    place, last = 0, page.rfind(">") + 1
    while (tag := _TAG.search(page, place, last)) is not None:
        place = tag.end()
        if tag[0] == "<!--":
            closed = page.find("-->", tag.start() + 2)
            place = len(page) if closed < 0 else closed + 3
            continue
        name = tag[2].lower()
        if tag[1]:
            counts.close(name)
            continue
        counts.open(name, tag[3])
        if name in _RAW:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(page, place)
            place = len(page) if closing is None else closing.start()


class _Counts:
    """What stands open at a place of a page."""

    def __init__(self) -> None:
        self.blocks = self.formats = self.options = self.steps = self.page_attributes = 0

    def open(self, name: str, attributes: str) -> None:
        """Count a start tag; raises PayloadError where it is one too many."""
        if len(attributes) > MOST_ATTRIBUTES or name in ("html", "body"):
            count = len(_ATTRIBUTES.findall(attributes))
            # A second <body> gives its attributes to the first.
            self.page_attributes += count if name in ("html", "body") else 0
            _bound("attributes of one element", max(count, self.page_attributes), MOST_ATTRIBUTES)
        self.blocks += name in _BLOCKS
        self.formats += name in _FORMATS
        self.options += name in ("option", "optgroup")
        self.steps += self.blocks + self.formats
        _bound("levels of nested blocks", self.blocks, DEEPEST)
        _bound("formatting elements open at once", self.formats, MOST_OPEN_FORMATS)
        _bound("options of forms", self.options, MOST_OPTIONS)
        _bound("steps to walk", self.steps, MOST_STEPS)

    def close(self, name: str) -> None:
        """Count an end tag."""
        if name in _BLOCKS:
            self.blocks = max(0, self.blocks - 1)
        elif name in _FORMATS:
            self.formats = max(0, self.formats - 1)


def _bound(what: str, found: int, most: int) -> None:
    if found > most:
        raise PayloadError(f"HTML with more than {most} {what}")
