"""A few lines of text that tests score."""

from __future__ import annotations

LINES = [
    "the river runs to the sea , and the sea @-@ birds follow it . \n",
    "the old bridge over the river was closed in the winter of 1 @,@ 900 .",
    "in the morning the market opens ( as it does every day ) ; letters arrive by noon .",
]
