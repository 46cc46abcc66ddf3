"""Engines of finished generation, as they were: a study that has its text asks no server again.

STUDY/generated/.engines.json    identity and label of the engines by the digest of the orders
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from synthlaw.common.digest import digest_of
from synthlaw.common.files import read_json, write_json
from synthlaw.generate.engines.base import Completion, Request
from synthlaw.study.data.orders import Orders

FILE = ".engines.json"


class KnownEngine:
    """Who wrote the text, without anyone to write more."""

    concurrency, written, waiting = 1, 0, 0

    def __init__(self, identity: dict[str, Any], label: str) -> None:
        self._identity, self.label = identity, label

    @property
    def in_flight(self) -> dict[str, int]:
        """None."""
        return {}

    def identity(self) -> dict[str, Any]:
        """As it was told when the text was made."""
        return dict(self._identity)

    def plain(self, text: str) -> str:
        """Never asked."""
        self._never()

    async def truncate(self, text: str, tokens: int) -> str:
        """Never asked."""
        self._never()

    async def count_tokens(self, text: str) -> int:
        """Never asked."""
        self._never()

    async def complete(self, request: Request) -> Completion:
        """Never asked."""
        self._never()

    def _never(self) -> NoReturn:
        raise RuntimeError(f"{self.label} is known by name only")

    async def __aenter__(self) -> KnownEngine:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def known_engines(orders: Orders) -> dict[str, KnownEngine]:
    """The engines that carried out these very orders, by name; none when nobody did."""
    try:
        found = read_json(_place(orders))[_digest(orders)]
        return {name: KnownEngine(one["identity"], one["label"]) for name, one in found.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def note_engines(orders: Orders, engines: dict[str, tuple[dict[str, Any], str]]) -> None:
    """Remember the engines of orders that are carried out: identity and label by name."""
    try:
        known = dict(read_json(_place(orders)))
    except (FileNotFoundError, ValueError, TypeError):
        known = {}
    told = {name: {"identity": one[0], "label": one[1]} for name, one in engines.items()}
    if known.get(_digest(orders)) != told:
        write_json(_place(orders), {**known, _digest(orders): told})


def _place(orders: Orders) -> Path:
    return orders.folder / FILE


def _digest(orders: Orders) -> str:
    """Of all that is asked for, but not of where servers are."""
    record = orders.record()
    for engine in record["generators"].values():
        del engine["base_url"]
    return digest_of(record)
