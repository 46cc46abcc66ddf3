"""The interactive charts of the statistics: frequency against rank, loss against frequency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.report.charts import Figure, base_layout, chart_text
from synthlaw.report.comparison import Comparison
from synthlaw.report.set_styles import group_styles
from synthlaw.report.statistics_figures import GROUP_NAMES, group_name


def rank_chart(found: Comparison) -> dict[str, Any] | None:
    """Tokens per million against rank, with the Zipf-Mandelbrot law; training and test sets."""
    views = []
    for label, names, roles, group in (
        ("Training sets", found.trained, {"training", "mixture"}, "set"),
        ("Test sets", found.tests, {"test"}, "test"),
    ):
        traces: list[Figure] = []
        for number, name in enumerate(names):
            rows = [row for row in found.rows("ranks", set=name) if row["role"] in roles]
            traces += _rank_traces(rows, name, f"{group}:{number}")
        if traces:
            layout = base_layout("rank", "tokens per million")
            ticks = [10.0**power for power in range(6)]
            words = [format_count(tick) for tick in ticks]
            for axis in ("xaxis", "yaxis"):
                layout[axis] |= {"type": "log", "tickvals": ticks, "ticktext": words}
            views.append(_view(label, traces, layout))
    return {"views": views, "start": 0} if views else None


def _view(label: str, traces: list[Figure], layout: Figure) -> dict[str, Any]:
    return {"label": label, "figure": {"data": traces, "layout": layout}, "difference": None}


def _rank_traces(rows: list[Mapping[str, Any]], name: str, colour: str) -> list[Figure]:
    ranks = [row["rank"] for row in rows]
    style = {"color": f"@{colour}", "dash": f"@dash-{colour}"}
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": ranks,
            "y": [row["law_per_million"] for row in rows],
            "line": {"color": f"@{colour}", "width": 0.75},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": ranks,
            "y": [row["per_million"] for row in rows],
            "line": style | {"width": 2},
            "hovertemplate": f"{chart_text(name)}<br>rank %{{x}}: %{{y:.3s}} per million"
            "<extra></extra>",
        },
    ]


def loss_chart(found: Comparison) -> dict[str, Any] | None:
    """Loss against training frequency, a line per model, a view per test set."""
    views = []
    for test in dict.fromkeys(str(row["test"]) for row in found.rows("loss_by_frequency")):
        traces: list[Figure] = []
        for number, model in enumerate(found.models()):
            rows = found.rows("loss_by_frequency", test=test, model=model, grouping="frequency")
            names = [group_name(row["per_million_low"], row["per_million_high"]) for row in rows]
            x = [GROUP_NAMES.index(name) for name in names]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "x": x,
                    "y": [row["loss"] for row in rows],
                    "text": [_group_text(model, row) for row in rows],
                    "hovertemplate": "%{text}<extra></extra>",
                    "line": {
                        "color": f"@model:{number}",
                        "dash": f"@dash-model:{number}",
                        "width": 2,
                    },
                    "marker": {"color": f"@model:{number}", "size": 7},
                }
            )
        layout = base_layout("training frequency (per million tokens)", "loss (nats per token)")
        layout["xaxis"] |= {"tickvals": list(range(len(GROUP_NAMES))), "ticktext": GROUP_NAMES}
        views.append(_view(test, traces, layout))
    return {"views": views, "start": 0} if views else None


def _group_text(model: str, row: Mapping[str, Any]) -> str:
    return (
        f"{chart_text(model)}<br>{row['loss']:.3f} nats per token<br>"
        f"{row['tokens']:,} tokens ({row['token_share']:.1%}), {row['loss_share']:.1%} of the loss"
    )


def comparison_palette(found: Comparison) -> dict[str, dict[str, str]]:
    """What the colour references of these charts mean, by theme."""
    palettes: dict[str, dict[str, str]] = {"light": {}, "dark": {}}
    for group, styles in group_styles(found).items():
        for number, style in enumerate(styles.values()):
            for theme, palette in palettes.items():
                palette[f"@{group}:{number}"] = getattr(style, theme)
                palette[f"@dash-{group}:{number}"] = style.dash
    return palettes
