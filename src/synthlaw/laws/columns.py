"""Which column holds what: the names that people give to sizes, losses, shares and states.

A column under its own name (params, tokens, loss) is taken before any other. Failing that, a usual
name is taken where one column alone has it, which is said; two such columns are a question to the
user, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import scale_of

VARIABLES = {
    "params": "params",
    "tokens": "tokens",
    "loss": "loss",
    "ratio": "synthetic_ratio",
    "unique_tokens": "unique_tokens",
}
"""Names of the numbers that laws read, and the columns that hold them by default."""

_USUAL = {
    "params": "n params nparams numparams parameters nparameters modelparams modelparameters "
    "modelsize size paramcount parametercount nonembeddingparams nonembeddingparameters "
    "nnoembed nnonembed paramsnonembedding paramstotal totalparams nembed",
    "tokens": "d tokens ntokens numtokens traintokens trainingtokens trainedtokens totaltokens "
    "tokenstotal tokensseen tokentotal tokenbudget tokenstrained ntrainingtokens",
    "loss": "loss finalloss valloss validationloss evalloss testloss heldoutloss trainloss "
    "trainingloss lossval losseval lossvalidation losstrain crossentropy crossentropyloss nll "
    "perplexity ppl valppl valperplexity validationperplexity evalppl evalperplexity testppl "
    "testperplexity finalppl",
    "ratio": "syntheticratio syntheticshare syntheticfraction syntheticproportion synthratio "
    "synthshare synthfraction ratiosynthetic sharesynthetic fractionsynthetic synthetic",
    "unique_tokens": "ud uniquetokens uniquetrainingtokens nuniquetokens",
}
USUAL = {variable: frozenset(names.split()) for variable, names in _USUAL.items()}
STATES = frozenset({"status", "state", "runstatus", "runstate"})
"""Columns that say whether a run came to its end (W&B calls its own State)."""

TEXTS = ("mixture", "seed", "synthetic_type", "run")
"""Further columns that are read by name; another case of letters is the same name."""

_PREFIX = re.compile(r"^(?:config|summary|params|metrics|hparams|parameters)[./](?=.)", re.I)
_LOSS = re.compile(r"(?:^|[/_. -])(?:loss|nll|ppl|perplexity)(?:[/_. -]|$)")
"""Part of the name of a loss on some data: loss/wikitext, c4_val_loss."""

_UNIT = re.compile(r"^(?P<name>.*?)[\s_]*[(\[]\s*(?:in\s+)?(?P<unit>[^)\]]*)\s*[)\]]\s*$", re.S)
_TAIL = re.compile(r"^(?P<name>.+?)[\s_-]+(?:in[\s_-]+)?(?P<unit>[A-Za-z%]+)$")


@dataclass(frozen=True)
class Column:
    """The column of one variable. scale: what a plain number in it is multiplied by.

    perplexity: its numbers are exponentials of the loss. percent: shares out of a hundred.
    """

    name: str
    scale: float = 1.0
    perplexity: bool = False
    percent: bool = False


def plain(name: str) -> str:
    """A column's name without its case, signs, the prefix of an export and ".value"."""
    bare = _PREFIX.sub("", name.strip()).removesuffix(".value")
    return re.sub(r"[\s_\-./]", "", bare).lower()


def described(variable: str, name: str) -> Column:
    """What a column's name says of its numbers: `tokens (B)`, `val_ppl`, `synthetic %`."""
    bare, unit = _split(variable, name)
    scale = scale_of(unit) if variable in ("params", "tokens", "unique_tokens") else None
    perplexity = variable == "loss" and plain(bare).endswith(("ppl", "perplexity"))
    percent = variable == "ratio" and unit in ("%", "pct", "percent")
    return Column(name, scale or 1.0, perplexity, percent)


def _split(variable: str, name: str) -> tuple[str, str]:
    """A column's name and the unit that it ends with ("" for none)."""
    if plain(name) in USUAL[variable]:
        return name, ""
    spaced = name.replace("%", " % ").strip()
    for pattern in (_UNIT, _TAIL):
        match = pattern.match(spaced)
        if match:
            unit = match["unit"].strip().lower().removesuffix(" tokens").removesuffix(" params")
            known = scale_of(unit) is not None or unit in ("%", "pct", "percent", "nats", "count")
            if known and (pattern is _UNIT or plain(match["name"]) in USUAL[variable]):
                return match["name"], unit
    return name, ""


class Columns:
    """The columns of a table by variable, resolved once.

    chosen: found for each variable; rivals: several usual names for one variable, none chosen.
    """

    def __init__(self, names: Sequence[str], given: Mapping[str, str | None], origin: str) -> None:
        """given: the user's own choices. Raises UsageError for one that the table lacks."""
        unknown = [key for key in given if key not in VARIABLES]
        if unknown:
            raise UsageError(
                f"columns: found {unknown[0]!r}; expected names among {', '.join(VARIABLES)}"
            )
        self.names = names
        self.chosen: dict[str, Column] = {}
        self.rivals: dict[str, list[str]] = {}
        self.notes: list[str] = []
        for variable, usual in VARIABLES.items():
            name = given.get(variable)
            if name:
                self._take(variable, self._exact(name, origin, variable), said=False)
            elif usual in names:
                self.chosen[variable] = Column(usual)
            else:
                self._look(variable, {v for v in given.values() if v})
        self.states = [name for name in names if plain(name) in STATES]

    def _exact(self, name: str, origin: str, variable: str) -> str:
        if name in self.names:
            return name
        option = variable.replace("_", "-")
        raise UsageError(
            f"{origin}: found the columns {listed(self.names)}; expected '{name}' "
            f"(from --{option}-column)"
        )

    def _look(self, variable: str, taken: set[str]) -> None:
        """Take the column with a usual name for `variable`, if there is one alone."""
        fit = [
            name
            for name in self.names
            if name not in taken and plain(_split(variable, name)[0]) in USUAL[variable]
        ]
        if variable == "loss" and not fit:
            fit = [name for name in self.names if name not in taken and _LOSS.search(name.lower())]
        nats = [name for name in fit if not described(variable, name).perplexity]
        fit = nats or fit
        if len(fit) == 1:
            self._take(variable, fit[0], said=True)
        elif fit:
            self.rivals[variable] = fit

    def _take(self, variable: str, name: str, *, said: bool) -> None:
        column = described(variable, name)
        self.chosen[variable] = column
        what = [f"column '{name}' is taken for {variable}"] if said else []
        if column.scale != 1:
            what.append(f"plain numbers in '{name}' are read in units of {column.scale:.0e}")
        if column.perplexity:
            what.append(f"'{name}' is read as perplexity: the loss is its logarithm")
        if column.percent:
            what.append(f"'{name}' is read in percent")
        if what:
            self.notes.append("; ".join(what))


def renamed(names: Sequence[str]) -> dict[str, str]:
    """New names of columns that are read by name but written in other letters (Mixture)."""
    found = {}
    for text in TEXTS:
        same = [name for name in names if plain(name) == plain(text)]
        if text not in names and len(same) == 1:
            found[same[0]] = text
    return found


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many there are beyond."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more
