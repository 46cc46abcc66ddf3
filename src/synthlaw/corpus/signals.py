"""Quality signals of a document, as columns; nothing is removed by them unless a study asks.

Names that begin with `rps_` and `ccnet_` are RedPajama-v2's, with its definitions (its words are
those of the text without ASCII punctuation, in lower case, split at white space; its raw words
those of NLTK's WordPunctTokenizer). Those that begin with `gopher_` are rules of Rae et al. 2021
that RedPajama-v2 has not, and `c4_` those of Raffel et al. 2020. Lines are split at line feeds.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.wordhash import Hashes, ngrams_of

Signals = dict[str, float | int]

TOP_SIZES = (2, 3, 4)
DUPE_SIZES = (5, 6, 7, 8, 9, 10)
COUNTS = (
    "ccnet_length",
    "ccnet_nlines",
    "rps_doc_word_count",
    "rps_doc_num_sentences",
    "gopher_stop_words",
    "c4_lines_javascript",
)
"""Signals that are whole numbers."""

NAMES = (
    *COUNTS[:3],
    "rps_doc_mean_word_length",
    "rps_doc_num_sentences",
    "rps_doc_symbol_to_word_ratio",
    "rps_doc_frac_no_alph_words",
    "rps_doc_frac_all_caps_words",
    "rps_doc_frac_unique_words",
    "rps_doc_unigram_entropy",
    "rps_doc_frac_lines_end_with_ellipsis",
    "rps_doc_curly_bracket",
    "rps_doc_lorem_ipsum",
    *(f"rps_doc_frac_chars_top_{n}gram" for n in TOP_SIZES),
    *(f"rps_doc_frac_chars_dupe_{n}grams" for n in DUPE_SIZES),
    "gopher_stop_words",
    "gopher_frac_lines_bullet",
    "gopher_frac_dupe_lines",
    "gopher_frac_chars_dupe_lines",
    "c4_frac_lines_terminal_punctuation",
    "c4_lines_javascript",
    "blocklist_words",
)
"""All signals in the order of their columns; `blocklist_words` only where there is a list."""

_PUNCTUATION = string.punctuation.encode("ascii")
_RAW_WORD = re.compile(r"\w+|[^\w\s]+")
_SENTENCE = re.compile(r"\b[^.!?]+[.!?]*")
_LATIN = re.compile(r"[a-zA-Z]")
_BULLETS = tuple("•‣▶◀◦■□▪▫–")
_TERMINAL = (".", "!", "?", "”", '"')
_GOPHER_STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))


def signals_of(text: str, blocklist: Sequence[str] = ()) -> Signals:
    """All signals of `text`. blocklist: words and phrases, in lower case without punctuation."""
    # ASCII signs are no part of another character's UTF-8: cutting bytes cuts only them.
    plain = text.encode().translate(None, _PUNCTUATION).decode().lower()
    words = plain.split()
    found: Signals = {"ccnet_length": len(text), "ccnet_nlines": text.count("\n") + bool(text)}
    _add_words(found, words, plain)
    _add_raw_words(found, text)
    _add_lines(found, text)
    _add_repetition(found, words)
    if blocklist:
        found["blocklist_words"] = _listed(words, blocklist)
    return found


def _add_words(found: Signals, words: list[str], plain: str) -> None:
    """Signals of the normalised words."""
    count = len(words)
    uses = Counter(words)
    found["rps_doc_word_count"] = count
    found["rps_doc_mean_word_length"] = sum(map(len, words)) / count if count else 0.0
    found["rps_doc_frac_unique_words"] = len(uses) / count if count else 0.0
    # Sum of -p log p, with p = n / count.
    spread = math.fsum(n * math.log(n) for n in uses.values())
    found["rps_doc_unigram_entropy"] = math.log(count) - spread / count if count else 0.0
    normal = " ".join(words)
    found["rps_doc_lorem_ipsum"] = normal.count("lorem ipsum") / len(normal) if normal else 0.0
    found["gopher_stop_words"] = len(_GOPHER_STOP_WORDS & uses.keys())


def _add_raw_words(found: Signals, text: str) -> None:
    """Signals of the text as it stands."""
    uses = Counter(_RAW_WORD.findall(text))
    total = uses.total()
    count = max(1, total)
    symbols = text.count("#") + text.count("...") + text.count("…")
    found["rps_doc_symbol_to_word_ratio"] = symbols / count
    lettered = sum(n for word, n in uses.items() if _LATIN.search(word))
    found["rps_doc_frac_no_alph_words"] = 1 - lettered / count if total else 0.0
    capitals = sum(n for word, n in uses.items() if word.isupper())
    found["rps_doc_frac_all_caps_words"] = capitals / count
    found["rps_doc_num_sentences"] = len(_SENTENCE.findall(text))
    brackets = text.count("{") + text.count("}")
    found["rps_doc_curly_bracket"] = brackets / len(text) if text else 0.0


def _add_lines(found: Signals, text: str) -> None:
    """Shares of lines; empty ones count as RedPajama-v2 counts them, but not as duplicates."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    count = max(1, len(lines))
    stripped = [line.strip() for line in lines]
    ends = sum(line.endswith(("...", "…")) for line in stripped)
    found["rps_doc_frac_lines_end_with_ellipsis"] = ends / count
    found["gopher_frac_lines_bullet"] = sum(s.startswith(_BULLETS) for s in stripped) / count
    terminal = sum(line.endswith(_TERMINAL) for line in stripped)
    found["c4_frac_lines_terminal_punctuation"] = terminal / count
    found["c4_lines_javascript"] = sum("javascript" in line.lower() for line in stripped)
    filled = [line for line in stripped if line]
    seen = Counter(filled)
    length = sum(map(len, filled))
    found["gopher_frac_dupe_lines"] = 1 - len(seen) / len(filled) if filled else 0.0
    repeated = sum(len(line) * (n - 1) for line, n in seen.items())
    found["gopher_frac_chars_dupe_lines"] = repeated / length if length else 0.0


def _add_repetition(found: Signals, words: list[str]) -> None:
    """Shares of characters in the most frequent and in repeated n-grams of words."""
    count = len(words)
    lengths = np.fromiter(map(len, words), np.int64, count)
    # Python's own hashes: only their equality is used.
    hashes = np.fromiter(map(hash, words), np.int64, count).view(np.uint64)
    total = int(lengths.sum())
    for n in TOP_SIZES:
        found[f"rps_doc_frac_chars_top_{n}gram"] = _top_share(hashes, lengths, n, total)
    for n in DUPE_SIZES:
        found[f"rps_doc_frac_chars_dupe_{n}grams"] = _dupe_share(hashes, lengths, n, total)


def _top_share(hashes: Hashes, lengths: NDArray[np.int64], n: int, total: int) -> float:
    grams = ngrams_of(hashes, n)
    ranked = np.sort(grams)
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    counts = np.diff(np.append(starts, len(ranked)))
    most = int(counts.max()) if len(ranked) else 0
    if most <= 1:
        return 0.0
    # Among equally frequent ones, the first in the text.
    first = int(np.argmax(_among(grams, ranked[starts[counts == most]])))
    return int(lengths[first : first + n].sum()) * most / total


def _dupe_share(hashes: Hashes, lengths: NDArray[np.int64], n: int, total: int) -> float:
    grams = ngrams_of(hashes, n)
    ranked = np.sort(grams)
    repeated = ranked[1:][ranked[1:] == ranked[:-1]]
    if not len(repeated) or not total:
        return 0.0
    edges = np.zeros(len(lengths) + 1, np.int64)
    starts = np.flatnonzero(_among(grams, repeated))
    edges[starts] += 1
    edges[starts + n] -= 1
    return int(lengths[np.cumsum(edges)[:-1] > 0].sum()) / total


def _among(values: Hashes, ranked: Hashes) -> NDArray[np.bool_]:
    """Which values are among the ascending ones."""
    places = np.minimum(np.searchsorted(ranked, values), len(ranked) - 1)
    return np.asarray(ranked[places] == values)


def _listed(words: list[str], blocklist: Sequence[str]) -> int:
    """How often words and phrases of the list occur."""
    padded = f" {' '.join(words)} "
    singles = {entry for entry in blocklist if " " not in entry}
    phrases = [entry for entry in blocklist if " " in entry]
    return sum(word in singles for word in words) + sum(
        padded.count(f" {phrase} ") for phrase in phrases
    )
