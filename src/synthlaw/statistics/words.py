"""Token ids as text that a table can hold."""

from __future__ import annotations

from functools import cache

from synthlaw.tokens.tokenizer import Tokenizer


class TokenTexts:
    """Texts of token ids; without a tokenizer every text is empty."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self._decode = cache(lambda token: visible(tokenizer.decode([token]) if tokenizer else ""))

    def of(self, token: int) -> str:
        """The token's text; line breaks and other controls are written as escapes."""
        return self._decode(token)


def visible(text: str) -> str:
    r"""`text` with what does not print as an escape: a line break becomes \n."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
