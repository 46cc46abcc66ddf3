"""One colour per synthetic type; within a type the share shows as lightness and dash.

The hues are Okabe and Ito's (2008), which readers with any common colour blindness tell apart,
darkened for a light page and lightened for a dark one until each stands out from its background by
at least 3:1 (WCAG 2.2, 1.4.11). Natural text is the ink's grey, never a hue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from synthlaw.report.artifacts import Study

Rgb = tuple[int, int, int]

PAPER = {"light": "#ffffff", "dark": "#16181d"}
INK = {"light": "#1c1f26", "dark": "#e9eaee"}
NATURAL = {"light": "#6a6f7a", "dark": "#a3a8b4"}
TYPE_COLOURS = {
    "HQ": {"light": "#0072b2", "dark": "#56b4e9"},
    "QA": {"light": "#d55e00", "dark": "#f08a3c"},
    "TXBK": {"light": "#00876a", "dark": "#35c49b"},
}
ALSO_CALLED = {"TEXTBOOK": "TXBK"}
"""Recipe names whose text the paper abbreviates."""

FURTHER_COLOURS = (
    {"light": "#a8457f", "dark": "#dd8fc0"},
    {"light": "#8a6d00", "dark": "#e3c83f"},
    {"light": "#5b4bc4", "dark": "#a99bf5"},
    {"light": "#7a4b2a", "dark": "#c99a78"},
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
TOWARDS_INK = 0.5
"""How far the colour of 100% synthetic data is moved from its type's hue towards the ink."""


@dataclass(frozen=True)
class Style:
    """How a mixture is drawn: colours by theme, and a dash that says its rank of share."""

    light: str
    dark: str
    dash: str


@dataclass(frozen=True)
class Kind:
    """What a mixture is made of, as far as drawing goes."""

    synthetic_type: str
    ratio: float


def mixture_kinds(study: Study) -> dict[str, Kind]:
    """Every mixture that the study names anywhere: natural ones first, then by type and share."""
    kinds: dict[str, Kind] = {}

    def add(name: str, synthetic_type: str | None, ratio: float | None) -> None:
        if ratio == 0:  # natural text, whatever its column calls it
            synthetic_type = None
        known = kinds.get(name)
        if known is None or (not known.synthetic_type and synthetic_type):
            kinds[name] = Kind(synthetic_type or "", ratio or 0.0)

    for run in study.runs:
        add(run.mixture, run.synthetic_type, run.synthetic_ratio)
    for candidate in study.advice.mixtures if study.advice else ():
        add(candidate.mixture, candidate.synthetic_type, candidate.synthetic_ratio)
    for law in study.laws:
        add(law.mixture, None, None)
    for mixture in study.mixtures:
        add(mixture.mixture, None, None)
    types = list(dict.fromkeys(kind.synthetic_type for kind in kinds.values()))

    def rank(name: str) -> tuple[bool, int, float]:
        kind = kinds[name]
        return bool(kind.synthetic_type), types.index(kind.synthetic_type), kind.ratio

    return {name: kinds[name] for name in sorted(kinds, key=rank)}


def type_colours(types: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colours by theme for each synthetic type; types of the user's own take further hues."""
    colours: dict[str, dict[str, str]] = {}
    further = 0
    for name in types:
        if name in colours:
            continue
        if not name:
            colours[name] = NATURAL
        elif (known := ALSO_CALLED.get(name.upper(), name.upper())) in TYPE_COLOURS:
            colours[name] = TYPE_COLOURS[known]
        else:
            colours[name] = FURTHER_COLOURS[further % len(FURTHER_COLOURS)]
            further += 1
    return colours


def mixture_styles(kinds: dict[str, Kind]) -> dict[str, Style]:
    """A style for every mixture."""
    colours = type_colours(kind.synthetic_type for kind in kinds.values())
    ratios = sorted({kind.ratio for kind in kinds.values() if kind.synthetic_type})
    styles = {}
    for name, kind in kinds.items():
        colour = colours[kind.synthetic_type]
        if not kind.synthetic_type:
            styles[name] = Style(colour["light"], colour["dark"], "solid")
            continue
        amount = TOWARDS_INK * kind.ratio
        styles[name] = Style(
            blend(colour["light"], INK["light"], amount),
            blend(colour["dark"], INK["dark"], amount),
            DASHES[ratios.index(kind.ratio) % len(DASHES)],
        )
    return styles


def rgb(colour: str) -> Rgb:
    """#rrggbb as three numbers of 0 to 255."""
    return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))


def blend(colour: str, other: str, amount: float) -> str:
    """`colour` moved by `amount` (0 to 1) towards `other`, in sRGB."""
    pairs = zip(rgb(colour), rgb(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * amount):02x}" for a, b in pairs)


def contrast(colour: str, other: str) -> float:
    """WCAG's contrast ratio, 1 to 21."""

    def luminance(value: str) -> float:
        parts = [channel / 255 for channel in rgb(value)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(colour), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
