"""The page in a browser: quiet, alone, as wide as the window, usable without scripts and by axe."""

from __future__ import annotations

import importlib.resources
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Watched, chromium
from report_study import write_study

from synthlaw.report.build import build_report, write_report
from synthlaw.report.paper_laws import study_of_paper

WIDTHS = (1280, 768, 400)
LONG = "a_mixture_with_a_name_as_long_as_lawyers_" * 4


pytestmark = pytest.mark.usefixtures("no_figure_files")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, no_figure_files: None) -> dict[str, Path]:
    """A study with a very long name for a mixture, and the paper."""
    folder = tmp_path_factory.mktemp("browser")
    study = write_study(folder / "study")
    for path in study.glob("*.*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("33TXBK", LONG), encoding="utf-8")
    return {
        "study": build_report(study),
        "paper": write_report(study_of_paper(), folder / "paper"),
    }


@pytest.mark.parametrize("name", ["study", "paper"])
def test_quiet_alone_and_no_wider_than_the_window(
    name: str, browser: Any, pages: dict[str, Path]
) -> None:
    for width in WIDTHS:
        for theme in ("light", "dark"):
            watched = Watched(
                browser,
                pages[name].as_uri(),
                viewport={"width": width, "height": 900},
                color_scheme=theme,
            )
            watched.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
            watched.until(lambda page=watched.page: page.locator(".plot .main-svg").count() > 5)
            assert watched.wrong == []
            assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
            watched.page.close()


def test_choosers_and_legends_change_the_charts(browser: Any, pages: dict[str, Path]) -> None:
    opened = Watched(browser, pages["study"].as_uri())
    page = opened.page
    watched = "document.getElementById('plot-data_scaling').data.length"
    page.locator("#plot-data_scaling").scroll_into_view_if_needed()
    opened.until(lambda: page.evaluate("'data' in document.getElementById('plot-data_scaling')"))
    before = page.evaluate(watched)
    page.locator("#data-scaling .legend button").first.click()
    assert page.evaluate(watched) < before
    title = "document.getElementById('plot-data_scaling').layout.yaxis.title.text"
    assert "minus" in page.evaluate(title)
    page.locator("input[name=data_scaling-measure][value=figure]").check()
    assert "minus" not in page.evaluate(title)


def test_a_page_sent_alone_still_holds_its_tables(
    browser: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    alone = tmp_path / "mailed.html"
    shutil.copy(pages["study"], alone)
    page = Watched(browser, alone.as_uri()).page
    links = page.locator("a[data-table]")
    names = {links.nth(n).get_attribute("data-table") for n in range(links.count())}
    assert {"tables/answer.csv", "tables/laws.csv", "tables/domains.csv"} <= names
    every = {f"tables/{path.name}" for path in (pages["study"].parent / "tables").iterdir()}
    assert names == every - {"tables/curves.csv"}, "the charts hold the curves"
    for name in sorted(filter(None, names)):
        with page.expect_download() as waiting:
            page.locator(f"a[data-table='{name}']").first.click()
        beside = pages["study"].parent / name
        assert waiting.value.suggested_filename == beside.name
        assert waiting.value.path().read_bytes() == beside.read_bytes()
    for link in page.locator("a:not([href^='#']):not([data-table])").all():
        assert "not in a copy sent alone" in link.locator("xpath=..").inner_text()


def test_without_scripts_there_is_a_picture(browser: Any, pages: dict[str, Path]) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(pages["study"].as_uri())
    picture = page.locator("#data-scaling img.still")
    assert picture.is_visible() and picture.bounding_box()["height"] > 200
    assert page.locator("#explore .missing").is_visible()


@pytest.mark.parametrize("opened", [False, True])
def test_axe_finds_nothing(opened: bool, browser: Any, pages: dict[str, Path]) -> None:
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    source = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    for path in pages.values():
        page = Watched(browser, path.as_uri()).page
        if opened:
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        page.evaluate(source)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []
