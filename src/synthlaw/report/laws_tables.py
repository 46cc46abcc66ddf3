"""Fitted laws as tables for a paper: Markdown, LaTeX (booktabs) and CSV.

A value has one digit more than its interval's half-width begins with, as on the terminal; full
precision is what `--json` is for. The law stands above its table as the field writes it, with what
its sizes are counted in and how much its intervals cover.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.wording import decimals, plain

Law = Mapping[str, Any]
Pair = Sequence[float | None] | None

GREEK = {"alpha": "α", "beta": "β", "eta": "η", "gamma": "γ"}
FORMULAS = {
    "data": (r"L(D) = E + B / D^beta", r"L(D) = E + \frac{B}{D^{\beta}}"),
    "model": (r"L(N) = E + A / N^alpha", r"L(N) = E + \frac{A}{N^{\alpha}}"),
    "joint": (
        r"L(N, D) = E + A / N^alpha + B / D^beta",
        r"L(N, D) = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}",
    ),
    "tied": (
        r"L(N, D) = E + A / N^alpha + B / D^alpha",
        r"L(N, D) = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\alpha}}",
    ),
    "repetition": (
        r"L(N, D, U) = E + A / N'^alpha + B / D'^beta",
        r"L(N, D, U) = E + \frac{A}{N'^{\alpha}} + \frac{B}{D'^{\beta}}",
    ),
}
"""A form's formula as plain text and as mathematics; forms of the share are put together."""

SIZES = {"n": ("N", "A", "alpha"), "d": ("D", "B", "beta")}
NOUNS = {"params": ("N", "parameters"), "tokens": ("D", "tokens")}


def _formula(form: str) -> tuple[str, str]:
    """A form as plain text and as mathematics; an expression of one's own stands as it is."""
    if form in FORMULAS:
        return FORMULAS[form]
    smooth = re.fullmatch(r"smooth-e\d-s(\d)-(?:root|plain)-(\w+)", form)
    additive = re.fullmatch(r"additive-(\w+)", form)
    if not (smooth or additive):
        return f"L = {form}", rf"L = \texttt{{{_latex(form)}}}"
    letters = (smooth[2] if smooth else additive[1] if additive else "").replace("r", "")
    variables = ", ".join([*(SIZES[letter][0] for letter in letters), "r"])
    of_share = "(r)" if smooth and smooth[1] != "0" else ""
    if smooth:
        words, mathematics = "E(r)", "E(r)"
    else:
        words = "E + K / ((1-r)^g0 + exp(log_c) r^g1)"
        mathematics = r"E + \frac{K}{(1-r)^{g_0} + e^{\log c}\, r^{g_1}}"
    for letter in letters:
        variable, scale, exponent = SIZES[letter]
        words += f" + {scale}{of_share} / {variable}^{exponent}"
        mathematics += rf" + \frac{{{scale}{of_share}}}{{{variable}^{{\{exponent}}}}}"
    ending = "; E(r), A(r), B(r) are Bernstein polynomials" if smooth else ""
    return f"L({variables}) = {words}{ending}", f"L({variables}) = {mathematics}"


def _latex(text: str) -> str:
    """Text with LaTeX's own characters escaped."""
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(signs.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in " ".join(text.split()))


def _markdown(text: str) -> str:
    """Text as one cell of a Markdown table, its markup escaped."""
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", " ".join(text.split()))


def rounded(value: float | None, pair: Pair) -> str:
    """A value as its interval allows: one digit finer than the first digit of the half-width."""
    return "" if value is None else plain(value, decimals(pair, value) + 1).replace(",", "")


@dataclass(frozen=True)
class _Group:
    """Laws of one form, counted in one unit, at one level: a table."""

    form: str
    names: Sequence[str]
    laws: Sequence[Law]
    unit: Mapping[str, float]
    level: float | None

    def notes(self) -> list[str]:
        """What a reader of the numbers must know."""
        sizes = [
            f"{NOUNS[name][0]} in {NOUNS[name][1]}" + (f" / {unit:.0e}" if unit != 1 else "")
            for name, unit in self.unit.items()
            if name in NOUNS
        ]
        told = [
            "L in nats per token",
            *[text.replace("e+0", "e").replace("e+", "e") for text in sizes],
        ]
        if self.level is not None:
            told.append(f"brackets: {self.level:.0%} intervals")
        return told


def _groups(laws: Sequence[Law]) -> list[_Group]:
    found: dict[tuple[Any, ...], list[Law]] = {}
    for law in laws:
        reads = _variables(law)
        unit = tuple((name, law["unit"][name]) for name in reads if name in law["unit"])
        level = law["level"] if law["intervals"] else None
        found.setdefault((law["form"], tuple(law["coefficients"]), unit, level), []).append(law)
    return [
        _Group(form, names, own, dict(unit), level)
        for (form, names, unit, level), own in found.items()
    ]


def _variables(law: Law) -> list[str]:
    return [
        name for name in ("params", "tokens") if name in law["ranges"] and name not in law["at"]
    ]


def _interval(law: Law, name: str) -> Pair:
    pair: Pair = law["intervals"].get(name)
    return pair


def _ends(law: Law, name: str) -> tuple[str, str] | None:
    """The ends of a coefficient's interval, rounded as the value; an open end is ∞."""
    pair = _interval(law, name)
    if pair is None:
        return None
    places = decimals(pair, law["coefficients"][name]) + 1
    low, high = ("∞" if end is None else plain(end, places).replace(",", "") for end in pair)
    return low, high


def _at(law: Law) -> str:
    """What the law's runs hold fixed, in plain counts."""
    held = law["at"]
    return ", ".join(
        f"{NOUNS[name][0]} = {format_count(value * law['unit'][name])}"
        for name, value in held.items()
        if name in NOUNS
    )


def _cells(law: Law, names: Sequence[str], write: Callable[[str], str]) -> list[str]:
    """A row: the mixture, each coefficient, what is held, runs, held-out error."""
    cells = [write(str(law["mixture"]))]
    for name in names:
        value, ends = rounded(law["coefficients"][name], _interval(law, name)), _ends(law, name)
        cells.append(value if ends is None else f"{value} [{ends[0]}, {ends[1]}]")
    held = law["holdout"]
    error = f"{held['rmabe']:.2%}" if held and held["points"] else ""
    return [*cells, _at(law), str(law["points"]), write(error)]


def _written_out(law: Law) -> str:
    """A law of the plain forms with its numbers in place; "" for the others."""
    if law["form"] not in FORMULAS or law["form"] == "repetition":
        return ""
    text, right = FORMULAS[law["form"]][0].split(" = ")
    for name in sorted(law["coefficients"], key=len, reverse=True):
        value = rounded(law["coefficients"][name], _interval(law, name))
        right = re.sub(rf"\b{name}\b", value, right)
    return f"{text} = {right}"


def _codes(law: Law) -> str:
    return ", ".join(dict.fromkeys(warning["code"] for warning in law["warnings"]))


def markdown(result: Mapping[str, Any]) -> str:
    """A Markdown table per form of law."""
    blocks = []
    for group in _groups(result["laws"]):
        heads = ["mixture", *(GREEK.get(name, name) for name in group.names), "at", "runs", "RMABE"]
        formula = _formula(group.form)[0]
        for name, sign in GREEK.items():
            formula = re.sub(rf"\b{name}\b", sign, formula)
        lines = [f"`{formula}` ({'; '.join(group.notes())})", ""]
        lines += [_row(heads), _row(["---"] * len(heads))]
        lines += [_row(_cells(law, group.names, _markdown)) for law in group.laws]
        laws = [(law, text) for law in group.laws if (text := _written_out(law))]
        if laws:
            lines += ["", *[f"- {_markdown(str(law['mixture']))}: `{text}`" for law, text in laws]]
        warned = [(law, codes) for law in group.laws if (codes := _codes(law))]
        if warned:
            told = [f"{_markdown(str(law['mixture']))} {codes}" for law, codes in warned]
            lines += ["", f"Warnings: {'; '.join(told)}."]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def latex(result: Mapping[str, Any]) -> str:
    """A LaTeX table per form of law; it needs the package booktabs."""
    blocks = []
    for group in _groups(result["laws"]):
        heads = ["Mixture", *(f"${_symbol(name)}$" for name in group.names), "at", "runs", "RMABE"]
        rows = [
            " & ".join(cell.replace("∞", r"$\infty$") for cell in _cells(law, group.names, _latex))
            for law in group.laws
        ]
        notes = _latex("; ".join(group.notes()))
        blocks.append(
            "\n".join(
                [
                    r"\begin{table}",
                    rf"\caption{{${_formula(group.form)[1]}$; {notes}.}}",
                    rf"\begin{{tabular}}{{l{'r' * len(group.names)}lrr}}",
                    r"\toprule",
                    " & ".join(heads) + r" \\",
                    r"\midrule",
                    *[row + r" \\" for row in rows],
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(blocks)


def _symbol(name: str) -> str:
    if name in GREEK:
        return f"\\{name}"
    letter, digits = re.fullmatch(r"(.*?)(\d*)", name).groups()  # type: ignore[union-attr]
    letter = letter if len(letter) == 1 else rf"\mathrm{{{_latex(letter)}}}"
    return f"{letter}_{{{digits}}}" if digits else letter


COLUMNS = (
    *("law", "form", "mixture", "coefficient", "value", "low", "high", "level"),
    *("params_unit", "tokens_unit", "at_params", "at_tokens", "points", "rmabe", "warnings"),
)


def csv_table(result: Mapping[str, Any]) -> str:
    """A row per coefficient; an open end of an interval is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for law in result["laws"]:
        held = law["holdout"]
        for name, value in law["coefficients"].items():
            low, high = _ends(law, name) or ("", "")
            writer.writerow(
                {
                    **{key: law[key] for key in ("law", "form", "points")},
                    "mixture": " ".join(str(law["mixture"]).split()),
                    "coefficient": name,
                    "value": rounded(value, _interval(law, name)),
                    "low": low.replace("∞", ""),
                    "high": high.replace("∞", ""),
                    "level": law["level"] if _interval(law, name) else "",
                    **{f"{key}_unit": f"{law['unit'].get(key, 1.0):g}" for key in NOUNS},
                    **{
                        f"at_{key}": f"{law['at'][key] * law['unit'][key]:.6g}"
                        for key in NOUNS
                        if key in law["at"]
                    },
                    "rmabe": f"{held['rmabe']:.4f}" if held and held["points"] else "",
                    "warnings": _codes(law),
                }
            )
    return stream.getvalue().rstrip("\n")


FORMATS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "markdown": markdown,
    "latex": latex,
    "csv": csv_table,
}
