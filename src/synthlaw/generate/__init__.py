"""Synthetic documents from natural ones: recipes, engines, the runner, the post-filter.

documents ──► recipe (prompts) ──► engine (a language model) ──► post-filter ──► documents
                                                                     └──► dropped, failed
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A room whose name is also what users call: `sl.generate(documents, "hq", engine=...)`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """See `synthlaw.interface.generation.generate`, which is above this room."""
        return import_module("synthlaw.interface.generation").generate(*args, **options)


sys.modules[__name__].__class__ = _Room
