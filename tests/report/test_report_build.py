"""The report as a whole: what it writes, that it stands alone, and what a part-run study gives."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_study import TRUE_LAWS, read_island, rendered, write_study

from synthlaw.common.errors import UsageError
from synthlaw.report.build import build_report
from synthlaw.report.chart_kinds import study_charts, write_charts
from synthlaw.report.reading import FILES, read_study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("whole") / "study")


@pytest.fixture(scope="module")
def page(whole: Path) -> Path:
    return build_report(whole)


class Markup(HTMLParser):
    """Every tag with its attributes, and the text of every script."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        else:
            self.words.append(data)


def test_page_figures_and_tables_lie_under_report(page: Path) -> None:
    assert page.name == "index.html" and page.parent.name == "report"
    figures = {path.name for path in (page.parent / "figures").iterdir()}
    names = ("data_scaling", "model_scaling", "ratio", "floors", "best_share", "best_mixture")
    names += ("loss_contours", "speedup", "break_even", "extrapolation_error")
    endings = ("png", "svg", "pdf", "csv")
    assert figures == {f"{name}.{ending}" for name in names for ending in endings}
    tables = {path.stem for path in (page.parent / "tables").iterdir()}
    shown = {"answer", "curves", "laws", "domains", "mixtures", "generation", "ratios", "claims"}
    assert tables == shown


def test_page_needs_nothing_but_itself(page: Path) -> None:
    found = Markup(page.read_text(encoding="utf-8"))
    for tag, attributes in found.tags:
        assert (attributes.get("src") or "data:image").startswith("data:image"), tag
        link = attributes.get("href") or "#"
        assert link.startswith("#") or (page.parent / link).is_file(), link
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
    assert "url(" not in re.sub(r"<script.*?</script>", "", page.read_text("utf-8"), flags=re.S)


def test_policy_allows_the_pages_own_scripts_by_hash_and_no_others(page: Path) -> None:
    found = Markup(page.read_text(encoding="utf-8"))
    policy = next(a["content"] for t, a in found.tags if t == "meta" and "http-equiv" in a) or ""
    running = found.scripts[1:]
    assert len(running) == 5, "plotly once, our four scripts once"
    for script in running:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


def test_answer_comes_before_everything_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    order = [
        text.index(f'<section id="{name}"')
        for name in (
            "answer",
            "data-scaling",
            "model-scaling",
            "ratio",
            "floors",
            "domains",
            "samples",
            "generation",
            "mixtures",
            "limits",
            "warnings",
            "laws",
            "runs",
            "cost",
            "study-file",
        )
    ]
    assert order == sorted(order)
    answer = text[order[0] : order[1]]
    assert answer.index("do not settle") < answer.index("33HQ has the lowest expected loss")
    assert "Undecided" in answer
    assert "−0.154 to −0.059" in answer


def test_tables_have_captions_and_scoped_headings(page: Path) -> None:
    found = Markup(page.read_text(encoding="utf-8"))
    tags = [tag for tag, _ in found.tags]
    assert tags.count("table") == tags.count("caption") >= 6
    assert all(a.get("scope") for tag, a in found.tags if tag == "th")
    assert tags.count("h1") == 1
    assert all(a.get("aria-label") for tag, a in found.tags if a.get("role") in ("img", "region"))


def test_charts_hold_every_run_and_mark_the_held_out_ones(page: Path) -> None:
    data = read_island(page.read_text(encoding="utf-8"))
    chart = data["charts"]["data_scaling"]
    assert [view["label"] for view in chart["views"]] == ["100k", "300k", "1M", "1M, to 18M"]
    for view in chart["views"]:
        markers = [
            t for t in view["figure"]["data"] if t["mode"] == "markers" and "error_y" not in t
        ]
        held = [t for t in markers if t["marker"]["symbol"] == "diamond"]
        assert sum(len(trace["x"]) for trace in markers) == 4 * len(TRUE_LAWS)
        assert [trace["x"] for trace in held] == [[200_000]] * len(TRUE_LAWS)
    references = set(re.findall(r'"(@[a-z]+:\d+|@[a-z]+)"', json.dumps(data["charts"])))
    assert references <= set(data["palette"]["light"]) == set(data["palette"]["dark"])


def test_same_study_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    pages = []
    for parent in ("one", "two"):
        study = tmp_path / parent / "study"
        study.mkdir(parents=True)
        for name in ("laws.json", "advice.json", "samples.json"):
            shutil.copy(whole / name, study)
        pages.append(build_report(study).parent)
    files = [path.relative_to(pages[0]) for path in pages[0].rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".png", ".svg", ".pdf", ".csv", ".json"}
    for name in files:
        assert (pages[0] / name).read_bytes() == (pages[1] / name).read_bytes(), name


def test_a_second_report_replaces_the_first_as_a_whole(whole: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    for name in ("advice.json", "timings.json"):
        shutil.copy(whole / name, study)
    page = build_report(study)
    assert (page.parent / "figures" / "ratio.svg").exists()
    (study / "advice.json").unlink()
    build_report(study)
    assert not (page.parent / "figures").exists() and not (page.parent / "tables").exists()
    assert [path.name for path in study.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_on_the_page(name: str, whole: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(whole, study, ignore=shutil.ignore_patterns("report", name))
    words = " ".join(Markup(rendered(read_study(study))).words)
    assert re.search(rf"The folder has no\s+{re.escape(name)}", words)


@pytest.mark.parametrize("name", FILES)
def test_one_file_alone_still_makes_a_page(name: str, whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole / name, tmp_path)
    text = rendered(read_study(tmp_path))
    assert "Not here yet" in text
    assert ("No answer yet" in text) == (name != "advice.json")


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("runs.csv", {"data_scaling", "model_scaling", "best_share"}),
        (
            "laws.json",
            {"floors", "data_scaling", "model_scaling", "loss_contours", "best_mixture"}
            | {"extrapolation_error"},
        ),
        ("advice.json", {"ratio"}),
        ("plan.json", set()),
    ],
)
def test_figures_need_only_their_own_file(
    name: str, figures: set[str], whole: Path, tmp_path: Path
) -> None:
    shutil.copy(whole / name, tmp_path)
    written = write_charts(study_charts(read_study(tmp_path)), tmp_path / "figures")
    assert {Path(file).stem for file in written} == figures


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of a study's files"):
        build_report(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        build_report(tmp_path / "absent")


def test_importing_the_report_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, synthlaw.report.build, synthlaw.report.terminal;"
        "print([m for m in ('torch', 'matplotlib', 'plotly', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
