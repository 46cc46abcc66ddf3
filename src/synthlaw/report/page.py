"""The page: one HTML file with its styles, scripts and data inside, that opens offline.

Whatever the study holds is data. Text goes through autoescaping, the charts' JSON through
`island`, and a content security policy lets only the page's own scripts run, by their hashes.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import jinja2
from markupsafe import Markup

from synthlaw.common.errors import SynthlawError
from synthlaw.common.numbers import format_seconds
from synthlaw.report import numerals, sections, statistics_sections
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import Chart, Ink
from synthlaw.report.claims import MARKS, claims_of, finding_text
from synthlaw.report.comparison import Comparison
from synthlaw.report.curves import ratio_types
from synthlaw.report.explorer import explorer
from synthlaw.report.facts import facts
from synthlaw.report.heat import baseline_of, heat_table
from synthlaw.report.palette import Style, mixture_kinds, mixture_styles, type_colours
from synthlaw.report.plotly_charts import chart_palette, page_chart
from synthlaw.report.set_styles import group_styles

PLACED = (
    *("data_scaling", "model_scaling", "ratio", "generators", "rounds"),
    *("rank_frequency", "loss_by_frequency"),
)
"""Charts that a section of the page shows with its own words."""

CONTENTS = (
    ("answer", "Answer"),
    ("explore", "Ask"),
    ("data-scaling", "More tokens"),
    ("model-scaling", "Larger models"),
    ("ratio", "Synthetic share"),
    ("generators", "Generator"),
    ("rounds", "Rounds"),
    ("floors", "Floors"),
    ("claims", "Statements"),
    ("domains", "Domains"),
    ("samples", "Samples"),
    ("generation", "Generation"),
    ("mixtures", "Mixtures"),
    ("statistics", "Statistics"),
    ("more-charts", "Further charts"),
    ("limits", "Limits"),
    ("warnings", "Warnings"),
    ("laws", "Laws"),
    ("runs", "Runs"),
    ("cost", "Time and machine"),
    ("study-file", "Study file"),
)
"""The sections of the page, in order."""

EXPLORER = ("laws.js", "answer.js", "explorer.js")
"""The explorer's scripts, in the order in which they need each other."""

LEGENDS = {"g": "generators", "k": "rounds"}
"""Charts whose curves are neither mixtures nor types, by the letter of their colours' classes."""

OF_A_STUDY = ("samples", "generation", "mixtures", "statistics", "cost", "study-file")
"""Sections of which a table of runs tells nothing."""


STILLS = ("data_scaling", "model_scaling", "ratio")
"""Charts that a browser without scripts shows as pictures; more would fill the page."""


def render_page(
    study: Study,
    charts: Mapping[str, Chart],
    beside: Sequence[str],
    pictures: Mapping[str, str] = MappingProxyType({}),
    tables: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The page as HTML. beside: files that lie beside it, relative to its folder.

    pictures: addresses of pictures for browsers without scripts, by chart. tables: CSV that the
    page holds, by the name that it has beside the page.
    """
    kinds = mixture_kinds(study)
    mixtures = list(kinds)
    styles = mixture_styles(kinds)
    shown = {name: chart for name, chart in charts.items() if chart.on_page}
    drawn = {name: page_chart(chart) for name, chart in shown.items()}
    claims = claims_of(study)
    legends = {letter: _legend(charts.get(name)) for letter, name in LEGENDS.items()}
    numbers = {name: index for index, name in enumerate(mixtures)}
    asked, refused = explorer(study, numbers)
    own = ["page.js"] if asked is None else ["page.js", *EXPLORER]
    scripts = [*([_plotly()] if drawn else []), *map(_asset, own)]
    page = _environment().get_template("page.html.j2")
    return page.render(
        study=study,
        styles=_style_sheet(study, mixtures, styles, legends, _own_inks(charts)),
        generators=list(legends["g"]),
        chains=list(legends["k"]),
        scripts=[_trusted(script) for script in scripts],
        policy=_policy(scripts),
        charts=dict.fromkeys(PLACED) | drawn,
        more_charts=[name for name in drawn if name not in PLACED],
        island=island(
            {
                "charts": drawn,
                "palette": chart_palette(shown.values()),
                "explorer": asked,
                "tables": dict(tables),
            }
        ),
        explorer_refused=refused,
        mixtures=mixtures,
        number_of=numbers,
        dashes=[styles[name].dash for name in mixtures],
        files_written=dict.fromkeys(beside, False) | dict.fromkeys(tables, True),
        pictures=dict(pictures),
        version=_version(),
        claims=claims,
        contents=_contents(study, drawn, claims is not None),
        **_section_values(study, mixtures),
        **_statistics_values(study.comparison),
    )


def _legend(chart: Chart | None) -> dict[str, Style]:
    return {name: ink.style for name, ink in chart.legend} if chart else {}


def _contents(study: Study, drawn: Mapping[str, Any], claimed: bool) -> list[tuple[str, str]]:
    """The page's sections: (id, words). A table of runs has no more than it can tell."""
    absent = {"generators", "rounds"} - set(drawn)
    absent |= set() if claimed else {"claims"}
    absent |= set() if set(drawn) - set(PLACED) else {"more-charts"}
    if study.of_table:
        absent |= set(OF_A_STUDY)
        if not any(run.domains for run in study.runs):
            absent.add("domains")
        if "ratio" not in drawn:
            absent.add("ratio")
    return [entry for entry in CONTENTS if entry[0] not in absent]


def _statistics_values(found: Comparison | None) -> dict[str, Any]:
    """What the section of statistics reads."""
    if found is None:
        return {"found": None}
    styles = group_styles(found)
    return {
        "found": found,
        "set_rows": statistics_sections.set_rows(found),
        "set_dashes": {name: style.dash for name, style in styles["set"].items()},
        "model_styles": styles["model"],
        "distances": statistics_sections.distance_table(found),
        "gaps": statistics_sections.gap_lists(found),
        "overused": statistics_sections.overuse_lists(found),
        "deciles": statistics_sections.decile_rows(found),
        "explaining": statistics_sections.explaining_lists(found),
    }


def _section_values(study: Study, mixtures: Sequence[str]) -> dict[str, Any]:
    """What the sections' templates read."""
    recipes = study.generation.recipes if study.generation else ()
    level = study.level()
    bars, sources = sections.share_bars(study.largest_mixtures())
    return {
        "answer": sections.answer_table(study),
        "headline": sections.headline_parts(study.advice.headline) if study.advice else None,
        "names_its_question": sections.names_its_question(study),
        "sure": "intervals" if level is None else f"{numerals.percent(level)} intervals",
        "glance": sections.glance(study),
        "baseline": baseline_of(study),
        "floor": sections.floor_table(study),
        "heat": heat_table(study, mixtures),
        "drops": sections.drop_table(recipes) if recipes else None,
        "bars": bars,
        "sources": sources,
        "warning_groups": sections.warning_groups(study),
        "coefficient_names": sections.coefficient_names(study.laws),
        "ratio_types": ratio_types(study),
        "recipe_number": {name: i for i, name in enumerate(sections.sampled_recipes(study))},
    }


def island(value: Any) -> Markup:
    """`value` as JSON, compressed, in letters that no HTML parser reads as markup: a data block.

    Curves are digits, which gzip makes a third of; the page's script unpacks them.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    packed = gzip.compress(text.encode("ascii"), mtime=0)
    return _trusted(base64.b64encode(packed).decode("ascii"))


def _trusted(text: str) -> Markup:
    """Text that goes into the page unescaped: our own assets, our colours, and the island."""
    return Markup(text)  # noqa: S704 (nothing that the study holds comes this way unescaped)


def _policy(scripts: Sequence[str]) -> str:
    """A policy under which the given inline scripts run, and no other, and nothing is fetched."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _own_inks(charts: Mapping[str, Chart]) -> list[Ink]:
    """Inks in the legends of further charts that are no mixture's, by reference."""
    further = [chart for name, chart in charts.items() if name not in PLACED]
    found = {ink.ref: ink for chart in further for _, ink in chart.legend}
    return [ink for ref, ink in found.items() if re.fullmatch(r"[a-z]+:\d+", ref)]


def _style_sheet(
    study: Study,
    mixtures: Sequence[str],
    styles: Mapping[str, Style],
    legends: Mapping[str, Mapping[str, Style]],
    inks: Sequence[Ink],
) -> Markup:
    """The page's styles, then a colour variable for every mixture, type, source and curve, and for
    inks of a chart's own."""
    lines = [
        f".m{index}{{--c:light-dark({styles[name].light},{styles[name].dark})}}"
        for index, name in enumerate(mixtures)
    ]
    lines += [
        f".{letter}{index}{{--c:light-dark({style.light},{style.dark})}}"
        for letter, named in legends.items()
        for index, style in enumerate(named.values())
    ]
    lines += [
        f".{ink.ref.replace(':', '-')}{{--c:light-dark({ink.style.light},{ink.style.dark})}}"
        for ink in inks
    ]
    own = [kind.synthetic_type for kind in mixture_kinds(study).values()]
    recipes = sections.sampled_recipes(study)
    types = type_colours([*own, *ratio_types(study), *recipes])
    for group, names in (("t", ratio_types(study)), ("r", recipes)):
        lines += [
            f".{group}{index}{{--c:light-dark({types[name]['light']},{types[name]['dark']})}}"
            for index, name in enumerate(names)
        ]
    _, sources = sections.share_bars(study.largest_mixtures())
    natural = sections.natural_sources(study)
    shown = ["" if source in natural else source for source in sources]
    source_colours = type_colours(shown)
    for index, name in enumerate(shown):
        pair = source_colours[name]
        lines.append(f".s{index}{{--c:light-dark({pair['light']},{pair['dark']})}}")
    groups = group_styles(study.comparison) if study.comparison else {}
    for letter, group in (("u", "set"), ("v", "model")):
        lines += [
            f".{letter}{index}{{--c:light-dark({style.light},{style.dark})}}"
            for index, style in enumerate(groups.get(group, {}).values())
        ]
    return _trusted(_asset("page.css") + "\n".join(lines))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("synthlaw.report", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("number", "signed", "interval", "percent", "times", "times_interval"):
        environment.filters[name] = getattr(numerals, name)
    for name in ("significant", "count", "whole"):
        environment.filters[name] = getattr(numerals, name)
    environment.filters["seconds"] = format_seconds
    environment.filters["at_text"] = sections.at_text
    environment.filters["facts"] = facts
    environment.filters["columns"] = sections.sample_columns
    environment.filters["finding_text"] = finding_text
    environment.globals["verdict_marks"] = MARKS
    environment.globals["makers"] = sections.MAKERS
    return environment


def _asset(name: str) -> str:
    return files("synthlaw.report").joinpath("assets", name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    """plotly's script in its basic bundle, which ships with this package: see assets/plotly."""
    script = _asset("plotly/plotly-basic.min.js")
    if "</script" in script.lower() or "<!--" in script:
        raise SynthlawError("plotly's script holds markup that would end it; it cannot be inlined")
    return script


def _version() -> str:
    try:
        return version("synthlaw")
    except PackageNotFoundError:
        return ""
