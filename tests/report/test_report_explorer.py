"""The explorer of the page answers as `recommend` does, and keeps its question in the address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched, chromium
from report_study import write_study

from synthlaw.laws.answer import reference
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.costs import Costs
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.answer.portable import Case, portable
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable
from synthlaw.report import page as page_module
from synthlaw.report.artifacts import Study
from synthlaw.report.build import build_report, write_report
from synthlaw.report.paper_laws import study_of_paper
from synthlaw.report.reading import read_study

SETTINGS = 200
TOLERANCE = 1e-6
COMPARED = (
    *("level", "law", "interval_level", "baseline", "best", "options", "shares", "repetition"),
    "extrapolation",
)
Laws = Callable[[float], Sequence[LawFit]]


pytestmark = pytest.mark.usefixtures("no_figure_files")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return read_study(write_study(tmp_path_factory.mktemp("explorer") / "study"))


@pytest.fixture(scope="module")
def study_page(
    study: Study, tmp_path_factory: pytest.TempPathFactory, no_figure_files: None
) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "_plotly", lambda: "")
        return write_report(study, tmp_path_factory.mktemp("page") / "report")


def settings(laws: Sequence[LawFit], seed: int) -> list[dict[str, float | None]]:
    """Random questions inside and far outside the runs, half of them with little natural text."""
    noise = np.random.default_rng(seed)
    ends = {
        name: [end for law in laws for end in law.ranges.get(name, ())]
        for name in ("params", "tokens")
    }
    asked: list[dict[str, float | None]] = []
    for _ in range(SETTINGS):
        ask: dict[str, float | None] = {
            name: float(noise.choice([0.02, 0.3, 1.0, 3.0, 100.0])
                        * np.exp(noise.uniform(np.log(min(found)), np.log(max(found)))))
            for name, found in ends.items()
        }  # fmt: skip
        short = noise.random() < 0.5
        ask["natural"] = float((ask["tokens"] or 0) / noise.uniform(0.5, 40)) if short else None
        ask["generator"] = float(10 ** noise.uniform(-3, 1)) if noise.random() < 0.7 else None
        ask["training"] = float(10 ** noise.uniform(-19, -16)) if noise.random() < 0.7 else None
        asked.append(ask)
    return asked


def differences(own: Any, other: Any, place: str = "") -> Iterator[str]:
    """Where what the page says departs from what Python says."""
    if isinstance(own, dict):
        for name, value in own.items():
            yield from differences(value, other[name], f"{place}.{name}")
    elif isinstance(own, list):
        if len(own) != len(other):
            yield f"{place}: {own} against {other}"
            return
        for index, (a, b) in enumerate(zip(own, other, strict=True)):
            yield from differences(a, b, f"{place}[{index}]")
    elif isinstance(own, int | float) and isinstance(other, int | float):
        if abs(own - other) > TOLERANCE * max(1.0, abs(other)):
            yield f"{place}: {own} against {other}"
    elif own != other:
        yield f"{place}: {own!r} against {other!r}"


def compare(
    browser: Any, page: Path, cases: Sequence[Case], laws: Laws, seed: int, count: int = SETTINGS
) -> None:
    """Every random question answered by the page's script and by `recommend`."""
    asked = settings([law for case in cases for law in case.laws], seed)[:count]
    watched = Watched(browser, page.as_uri())
    found = watched.page.evaluate(
        "([data, asked]) => asked.map((ask) => {"
        " try { return window.synthlawAnswer.recommend(data, ask); }"
        " catch (error) { return {refused: error.message}; } })",
        [json.loads(json.dumps(portable(cases))), asked],
    )
    assert watched.wrong == []
    answered = 0
    for ask, own in zip(asked, found, strict=True):
        situation = Situation(
            ask["params"] or 0,
            ask["tokens"] or 0,
            ask["natural"],
            Costs(generator=ask["generator"], training=ask["training"]),
        )
        assert "refused" not in own, (ask, own)
        expected = recommend(laws(situation.params), situation)
        for key in COMPARED:
            assert list(differences(own[key], expected[key], key)) == [], ask
        answered += 1
    assert answered == count


def test_a_study(browser: Any, study: Study, study_page: Path) -> None:
    compare(browser, study_page, study.cases, lambda _: study.cases[0].laws, 1)


def test_the_paper(browser: Any, study_page: Path) -> None:
    cases = study_of_paper().cases
    compare(browser, study_page, cases, reference.laws_at, 2)


def test_laws_that_need_each_other(browser: Any, study: Study, study_page: Path) -> None:
    """Data and model laws without a joint one, some mixtures without replicates."""
    laws = [
        replace(law, replicates=None) if law.mixture == "33QA" else law
        for law in [*reference.data_laws(), *study.cases[0].laws]
        if law.law in ("data", "model") and law.mixture in ("CC", "33HQ", "33QA")
    ]
    of_study = [law for law in laws if law.points]
    compare(browser, study_page, [Case(of_study)], lambda _: of_study, 3)


def test_laws_of_the_share(browser: Any, study_page: Path, tmp_path: Path) -> None:
    """The share as a variable, both alone and beside mixtures."""
    lines = ["run,mixture,params,tokens,loss,synthetic_type,synthetic_ratio"]
    noise = np.random.default_rng(5)
    for kind, good in (("HQ", 0.3), ("QA", 0.6)):
        for share in (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0):
            for params in (1e8, 4e8, 1e9):
                for tokens in (2e9, 8e9, 3e10):
                    loss = 2 + 0.3 * (params / 1e9) ** -0.3 + 1.1 * (tokens / 1e9) ** -0.4
                    loss += 0.2 * (share - good) ** 2 + 0.003 * noise.standard_normal()
                    name = f"{share:.0%}{kind}"
                    lines.append(f"r{len(lines)},{name},{params},{tokens},{loss},{kind},{share}")
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    table = RunsTable.read(path)
    shares = list(fit_laws(table, "ratio", by="synthetic_type", bootstrap=12))
    kept = [LawFit.from_json(law.to_json(replicates=12), "laws") for law in shares]
    compare(browser, study_page, [Case(kept)], lambda _: kept, 4, 24)
    joint = list(fit_laws(table, "joint", by="mixture", bootstrap=12, where="synthetic_type=='HQ'"))
    both = [*joint, *kept]
    compare(browser, study_page, [Case(both)], lambda _: both, 6, 24)


def test_sliders_change_numbers_and_the_address_restores_them(
    browser: Any, study_page: Path
) -> None:
    watched = Watched(browser, study_page.as_uri())
    page = watched.page
    before = page.inner_text("#ask-rows")
    slider = page.locator('[data-ask="tokens"] input[type=range]')
    slider.focus()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    watched.until(lambda: page.inner_text("#ask-rows") != before)
    page.fill("#ask-natural", "100k")
    page.fill("#ask-generator", "0.5")
    page.fill("#ask-training", "2e-13")
    watched.until(lambda: "training" in page.url)
    assert "outside the runs in tokens" in page.inner_text("#ask-reach")
    assert "pays for itself" in page.inner_text("#ask-account")
    after, address = page.inner_text("#ask-answer"), page.url
    again = Watched(browser, address)
    assert again.page.inner_text("#ask-answer") == after
    assert again.page.input_value("#ask-natural") == "100k"
    assert watched.wrong == again.wrong == []


def test_a_slip_of_the_pen_is_refused_in_words(browser: Any, study_page: Path) -> None:
    watched = Watched(browser, study_page.as_uri())
    page = watched.page
    page.fill("#ask-params", "seven")
    assert "Expected a number" in page.inner_text("#ask-refused")
    page.fill("#ask-params", "7000T")
    watched.until(lambda: not page.is_visible("#ask-answer"))
    assert "outside the runs" in page.inner_text("#ask-refused")


def test_hostile_names_stay_text_in_the_explorer(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = "<img src=x onerror=window.struck=1>'\"</script>"
    folder = write_study(tmp_path / "study")
    for name in ("laws.json", "advice.json"):
        text = (folder / name).read_text(encoding="utf-8")
        text = text.replace('"33HQ"', json.dumps(payload)).replace('"CC"', '"__proto__"')
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(page_module, "_plotly", lambda: "")
    watched = Watched(browser, build_report(folder).as_uri())
    assert payload in watched.page.inner_text("#ask-rows")
    assert watched.page.evaluate("window.struck") is None
    assert watched.wrong == []


def test_laws_that_answer_nothing_say_why(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "_plotly", lambda: "")
    text = page_module.render_page(replace(study, cases=[]), {}, [])
    assert "These laws answer no questions here" in text


def test_the_paper_answers_beside_a_study_of_its_scale(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "_plotly", lambda: "")
    paper = replace(study_of_paper(), of_paper=False)
    text = page_module.render_page(paper, {}, [])
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    watched = Watched(browser, (tmp_path / "index.html").as_uri())
    told = watched.page.inner_text("#ask-paper")
    answer = recommend(reference.laws_at(1e9), Situation(1e9, 200e9))
    assert f"{answer['best']['mixture']} has the lowest expected loss" in told
    assert f"{answer['best']['speedup']:.2f}×" in told
    watched.page.fill("#ask-params", "10k")
    watched.until(lambda: not watched.page.is_visible("#ask-paper"))
    assert watched.wrong == []
