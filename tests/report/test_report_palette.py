"""Colours: one hue per type, told apart by every reader on both backgrounds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.report.palette import (
    FURTHER_COLOURS,
    NATURAL,
    PAPER,
    TYPE_COLOURS,
    Kind,
    contrast,
    mixture_styles,
    rgb,
    type_colours,
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
TELLABLE = 10.0
"""CIE76 distance well above the just noticeable 2.3."""


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    channels = np.array(rgb(colour)) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(seen @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("blindness", list(BLINDNESS))
def test_the_papers_types_are_told_apart(theme: str, blindness: str) -> None:
    colours = [NATURAL[theme], *(pair[theme] for pair in TYPE_COLOURS.values())]
    for one, other in combinations(colours, 2):
        distance = np.linalg.norm(lab(one, BLINDNESS[blindness]) - lab(other, BLINDNESS[blindness]))
        assert distance > TELLABLE, (one, other)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_mixture_stands_out_from_its_page(theme: str) -> None:
    types = ["", *TYPE_COLOURS, *(f"own-{i}" for i in range(len(FURTHER_COLOURS)))]
    kinds = {
        f"{kind}-{r}": Kind(kind, r if kind else 0.0)
        for kind in types
        for r in (0.005, 0.33, 0.67, 1.0)
    }
    for style in mixture_styles(kinds).values():
        assert contrast(getattr(style, theme), PAPER[theme]) >= 3.0


def test_shares_of_a_type_differ_in_dash_and_lightness_and_types_share_dashes() -> None:
    kinds = {f"{r}{kind}": Kind(kind, r) for kind in ("HQ", "QA") for r in (0.33, 0.67, 1.0)}
    styles = mixture_styles(kinds)
    assert len({style.dash for name, style in styles.items() if name.endswith("HQ")}) == 3
    assert len({style.light for style in styles.values()}) == 6
    assert styles["0.33HQ"].dash == styles["0.33QA"].dash == "solid"


@given(st.lists(st.text()))
def test_any_names_get_colours(names: list[str]) -> None:
    colours = type_colours(names)
    assert set(colours) == set(names)
    assert all(set(pair) == {"light", "dark"} for pair in colours.values())


def test_recipes_have_the_colour_of_their_type() -> None:
    colours = type_colours(["hq", "textbook", "own"])
    assert colours["hq"] == TYPE_COLOURS["HQ"] and colours["textbook"] == TYPE_COLOURS["TXBK"]
    assert colours["own"] == FURTHER_COLOURS[0]


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
