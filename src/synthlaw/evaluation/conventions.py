"""How a text becomes a score: windows, prefix token, what counts as a word; ours and two others'.

    synthlaw   BOS, windows that overlap by half, words are what whitespace separates
    lm-eval    `loglikelihood_rolling` of EleutherAI's harness: BOS, windows end to end, words are
               the pieces of re.split(r"\\s+"). WikiText is scored in its detokenized form, while
               bytes and words are those of the original text, as its task 'wikitext' does
    paloma     Magnusson et al. 2023, by the code of its harness (catwalk): the EOS token as prefix,
               windows of at most 2,048 tokens end to end, words as lm-eval counts them

No convention scores BOS or EOS themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.tokens.tokenizer import Tokenizer

CONVENTIONS = ("synthlaw", "lm-eval", "paloma")
PALOMA_WINDOW = 2048
DEFAULT_WINDOW = 4096
WIKITEXT = "wikitext103"

Prefix = Literal["bos", "eos", "none"]


@dataclass(frozen=True)
class Protocol:
    """All choices behind a score, recorded beside it; scores under different ones do not compare.

    window, stride: see `windows.Windowing`. prefix: the token put before each document.
    max_tokens: documents are scored by so many of their first tokens; 0 means whole.
    dtype: of the matrix products.
    """

    convention: str
    window: int
    stride: int
    prefix: Prefix
    max_tokens: int
    dtype: Literal["bf16", "fp32"]


def protocol_of(
    convention: str,
    *,
    context: int | None,
    window: int = 0,
    stride: int = 0,
    prefix: Prefix | None = None,
    max_tokens: int = 0,
    dtype: Literal["bf16", "fp32"] = "fp32",
) -> Protocol:
    """The protocol of `convention` for a model trained on `context` positions (None: not known).

    window, stride (0) and prefix (None) fall to the convention's own. Raises UsageError for an
    unknown convention.
    """
    if convention not in CONVENTIONS:
        raise UsageError(
            f"convention: found {convention!r}; expected one of {', '.join(CONVENTIONS)}"
        )
    if not window:
        window = context or DEFAULT_WINDOW
        if convention == "paloma":
            window = min(window, PALOMA_WINDOW)
    if not stride:
        stride = max(1, window // 2) if convention == "synthlaw" else window
    if prefix is None:
        prefix = "eos" if convention == "paloma" else "bos"
    return Protocol(convention, window, stride, prefix, max_tokens, dtype)


def scored_text(convention: str, domain: str, text: str) -> str:
    """The text that the model reads."""
    if convention == "lm-eval" and domain == WIKITEXT:
        return wikitext_detokenized(text)
    return text


def prefix(tokenizer: Tokenizer, ids: np.ndarray, longest: int) -> tuple[np.ndarray, str]:
    """The first `longest` tokens and their text, less a last character that the cut would split."""
    ids = ids[:longest]
    text = tokenizer.decode(ids)
    while len(ids) > 1 and text.endswith("\N{REPLACEMENT CHARACTER}"):
        ids = ids[:-1]
        text = tokenizer.decode(ids)
    return ids, text


def word_counter(convention: str) -> Callable[[str], int]:
    """How the convention counts words."""
    return _split_whitespace if convention == "synthlaw" else _split_pieces


def _split_whitespace(text: str) -> int:
    return len(text.split())


def _split_pieces(text: str) -> int:
    # Whitespace at either end makes an empty piece more; the harness counts it.
    return len(re.split(r"\s+", text))


_WIKITEXT_STEPS: tuple[Callable[[str], str], ...] = (
    lambda s: s.replace("s '", "s'"),
    lambda s: re.sub(r"/' [0-9]/", r"/'[0-9]/", s),
    lambda s: s.replace(" @-@ ", "-").replace(" @,@ ", ",").replace(" @.@ ", "."),
    lambda s: s.replace(" : ", ": ").replace(" ; ", "; ").replace(" . ", ". "),
    lambda s: s.replace(" ! ", "! ").replace(" ? ", "? ").replace(" , ", ", "),
    lambda s: re.sub(r"\(\s*([^\)]*?)\s*\)", r"(\1)", s),
    lambda s: re.sub(r"\[\s*([^\]]*?)\s*\]", r"[\1]", s),
    lambda s: re.sub(r"{\s*([^}]*?)\s*}", r"{\1}", s),
    lambda s: re.sub(r"\"\s*([^\"]*?)\s*\"", r'"\1"', s),
    lambda s: re.sub(r"'\s*([^']*?)\s*'", r"'\1'", s),
    lambda s: s.replace("= = = =", "====").replace("= = =", "===").replace("= =", "=="),
    lambda s: s.replace(" \N{DEGREE SIGN} ", "\N{DEGREE SIGN}"),
    lambda s: s.replace(" \n", "\n").replace("\n ", "\n"),
    lambda s: s.replace(" N ", " 1 ").replace(" 's", "'s"),
)


def wikitext_detokenized(text: str) -> str:
    """WikiText with the spaces of its word tokenization taken out, step by step as lm-eval does.

    Its quirks are kept (one rule can never match), since scores are compared across papers.
    """
    for step in _WIKITEXT_STEPS:
        text = step(text)
    return text
