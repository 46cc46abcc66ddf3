"""The paper's own study as a file: all of its grids, or one, for GPUs or for two CPU cores."""

from __future__ import annotations

import re
from importlib import resources

from synthlaw.common.errors import UsageError

TEMPLATES = resources.files("synthlaw.study") / "templates"
ALL = "all"
GENERATORS = "generators"
GRIDS = ("data", "model", "joint", "ratio", GENERATORS)
"""Grids that the files hold, a line each with a comment before it."""

EXTENSIONS = ("rounds", "repetition", "schedule")
"""Studies of what the paper leaves out; templates by these names."""

_OTHERS = re.compile(r"  generators:.*\n(?:    .*\n)*|    .*\bgenerator: .*\n")
"""What the files hold for the comparison of generators alone, in `generate`."""

_LINE = re.compile(r"(?:  #[^\n]*\n)*  (\w+): \{[^\n]*\n")


def paper_text(grid: str = ALL, *, cpu: bool = False) -> str:
    """The study file; with one grid alone unless `all` are asked for.

    Raises UsageError for a grid that the paper does not have.
    """
    if grid not in (ALL, *GRIDS):
        raise UsageError(f"paper: found {grid!r}; expected one of {', '.join((*GRIDS, ALL))}")
    text = (TEMPLATES / ("paper-cpu.yaml" if cpu else "paper.yaml")).read_text(encoding="utf-8")
    if grid == ALL:
        return text
    if grid != GENERATORS:
        head, mark, rest = text.partition("\ngrids:\n")
        text = _OTHERS.sub("", head) + mark + rest
    before, _, rest = text.partition("\ngrids:\n")
    lines, _, after = rest.partition("\n\n")
    kept = "".join(m.group(0) for m in _LINE.finditer(lines + "\n") if m.group(1) == grid)
    return f"{before}\ngrids:\n{kept}\n{after}"
