"""Whatever a study holds is data: no string in it becomes markup, script, a link or mathematics."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_study import rendered, write_study

from synthlaw.report import page
from synthlaw.report.build import build_report
from synthlaw.report.page import island
from synthlaw.report.plotly_charts import chart_text
from synthlaw.report.reading import read_study
from synthlaw.report.terminal import answer_lines
from synthlaw.report.text import clean_text

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'{{7*7}}{% raw %}",
    "<!--<script>",
    "</style></title></textarea></noscript><svg onload=alert(1)>",
    "javascript:alert(1)//<a href='javascript:alert(1)'>x</a>",
    "%{x}<b>bold</b><br>$\\frac{1}{0}$",
    "_hidden\x00\x1b[31m\u202e\ud800]]>&lt;&amp;",
)
OWN_TAGS = {
    "a", "article", "b", "bdi", "body", "button", "caption", "circle", "code", "dd", "details",
    "div", "dl", "dt", "fieldset", "footer", "h1", "h2", "h3", "h4", "head", "header", "html",
    "img", "input", "label", "legend", "li", "line", "main", "meta", "nav", "noscript", "ol", "p",
    "pre",
    "rect", "script", "section", "span", "style", "sub", "summary", "sup", "svg", "table",
    "tbody", "td", "tfoot", "th", "thead", "title", "tr", "ul",
}  # fmt: skip
KEPT_AS_THEY_ARE = {"law", "form", "level", "status"}


class Outline(HTMLParser):
    """Tags, attributes and scripts as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts[-1] += data


def spoiled(value: Any, payload: str, key: str = "") -> Any:
    """`value` with the payload in every string and in every key that the study may name."""
    if isinstance(value, str):
        return value if key in KEPT_AS_THEY_ARE else payload + value
    if isinstance(value, list):
        return [spoiled(item, payload, key) for item in value]
    if isinstance(value, dict):
        named = key in {"dropped", "finish_reasons", "engine", "sampling", "plan.json"}
        return {
            (payload + name if named else name): spoiled(item, payload, name)
            for name, item in value.items()
        }
    return value


@pytest.fixture(autouse=True, scope="module")
def short_bundle() -> Iterator[None]:
    """A few bytes in plotly's place: parsing a megabyte for every payload teaches nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_plotly", lambda: "var Plotly;")
        yield


@pytest.fixture(scope="module")
def clean(study: Path) -> Outline:
    return Outline(rendered(read_study(study)))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("clean") / "study")


def spoil(study: Path, folder: Path, payload: str) -> Path:
    """A copy of the study with the payload in every field of every file."""
    folder.mkdir()
    for path in study.iterdir():
        if path.suffix == ".json":
            value = json.loads(path.read_text(encoding="utf-8"))
            text = json.dumps(spoiled(value, payload, path.name))
            (folder / path.name).write_text(text, encoding="utf-8")
    with (study / "runs.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    words = {"run", "mixture", "synthetic_type", "generator", "seed"}
    plain = payload.encode("utf-8", "replace").decode()
    rows = [
        {
            (k.replace("loss/", f"loss/{plain}")): plain + v if k in words and v else v
            for k, v in row.items()
        }
        for row in rows
    ]
    with (folder / "runs.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    text = (study / "study.yaml").read_text(encoding="utf-8")
    (folder / "study.yaml").write_text(f"{plain}\n{text}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("payload", HOSTILE)
def test_no_string_of_a_study_becomes_markup(
    payload: str, study: Path, clean: Outline, tmp_path: Path
) -> None:
    hostile = spoil(study, tmp_path / "study", payload)
    found = Outline(rendered(read_study(hostile)))
    assert set(found.tags) <= OWN_TAGS
    for tag in ("script", "style", "svg", "a", "table", "button"):
        assert found.tags.count(tag) == clean.tags.count(tag), tag
    assert found.scripts[1:] == clean.scripts[1:], "the scripts that run hold nothing of the study"
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        if name in ("href", "src", "action", "xlink:href"):
            assert value.startswith(("#", "data:image/svg+xml;base64,")), value
        if name == "style":
            assert re.fullmatch(r"--t:[01]\.\d{3}", value)
    json.loads(gzip.decompress(base64.b64decode(found.scripts[0])))


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_names_reach_the_terminal_as_text(
    payload: str, study: Path, tmp_path: Path
) -> None:
    hostile = spoil(study, tmp_path / "study", payload)
    lines = answer_lines(hostile)
    assert not any(character in line for line in lines for character in "\x00\x1b\u202e")


def test_hostile_names_reach_figures_as_text(study: Path, tmp_path: Path) -> None:
    payload = HOSTILE[-2] + HOSTILE[-1]
    built = build_report(spoil(study, tmp_path / "study", payload))
    for figure in (built.parent / "figures").glob("*.svg"):
        drawing = ElementTree.fromstring(figure.read_text(encoding="utf-8"))
        assert {e.tag.rsplit("}", 1)[-1] for e in drawing.iter()}.isdisjoint({"script", "b", "a"})


def test_texts_are_shown_whole(study: Path, tmp_path: Path) -> None:
    payload = HOSTILE[0]
    text = rendered(read_study(spoil(study, tmp_path / "study", payload)))
    escaped = payload.replace("<", "&lt;").replace(">", "&gt;")
    assert text.count(escaped) > 100
    assert payload not in text


@given(st.recursive(st.text() | st.floats(allow_nan=False, allow_infinity=False), st.lists))
def test_island_holds_no_markup_and_reads_back(value: Any) -> None:
    text = str(island(value))
    assert not set(text) & set("<>&") and text.isascii()
    assert json.loads(gzip.decompress(base64.b64decode(text))) == value


@given(st.text())
def test_clean_text_can_be_written_anywhere(text: str) -> None:
    clean = clean_text(text)
    clean.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", clean)
    ElementTree.fromstring("<x>" + clean.translate({60: None, 38: None}) + "</x>")


@given(st.text())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_chart_text_carries_no_markup_or_template(text: str) -> None:
    shown = chart_text(text)
    assert "<" not in shown and ">" not in shown and "%{" not in shown
