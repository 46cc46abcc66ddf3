"""The figures of a statistics folder: SVG and PNG through matplotlib, on white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.report.comparison import Comparison, read_comparison
from synthlaw.report.drawing import (
    DASHES,
    LEGEND_HEIGHT,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    add_legend,
    drawing,
    logarithmic,
    new_figure,
    short_name,
    write_drawn,
)
from synthlaw.report.palette import INK, NATURAL, Style
from synthlaw.report.set_styles import group_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 4


def draw_statistics(tables: Path, folder: Path) -> list[str]:
    """Draw what the tables in `tables` hold into `folder`; gives the files' names."""
    found = read_comparison(tables)
    return [] if found is None else write_comparison(found, folder)


def write_comparison(found: Comparison, folder: Path) -> list[str]:
    """Write every figure that there are numbers for; gives their file names."""
    with drawing():
        drawn = {
            "rank_frequency": _ranks(found),
            "growth": _growth(found),
            "divergence": _divergence(found),
            "test_frequencies": _frequencies(found),
            "loss_by_frequency": _loss_by_frequency(found),
            "loss_curve": _loss_curve(found),
        }
        return write_drawn(drawn, folder)


def _ranks(found: Comparison) -> Figure | None:
    """Frequency against rank with the Zipf-Mandelbrot law: training sets, test sets."""
    if not found.rows("ranks"):
        return None
    groups = [("training sets", found.trained, group_styles(found)["set"], {"training", "mixture"})]
    if found.tests:
        groups.append(("test sets", found.tests, group_styles(found)["test"], {"test"}))
    figure = new_figure(4.2 * len(groups) + 0.4, PANEL_HEIGHT + LEGEND_HEIGHT + 0.5)
    panels = figure.subplots(1, len(groups), sharey=True, sharex=True, squeeze=False)[0]
    for panel, (title, names, styles, roles) in zip(panels, groups, strict=True):
        for name in names:
            rows = [r for r in found.rows("ranks", set=name) if r["role"] in roles]
            x = [row["rank"] for row in rows]
            style = styles[name]
            dash = DASHES[style.dash]
            y = [row["per_million"] for row in rows]
            panel.plot(x, y, color=style.light, linestyle=dash, lw=1.3, label=short_name(name))
            law = [row["law_per_million"] or float("nan") for row in rows]
            panel.plot(x, law, color=style.light, lw=0.6, alpha=0.6)
        logarithmic(panel, "x", "y")
        panel.set_title(title, fontsize=9, loc="left")
        panel.set_xlabel("rank")
        panel.legend(fontsize=6.5, frameon=False, loc="lower left", labelspacing=0.25)
    panels[0].set_ylabel("tokens per million")
    return figure


def _growth(found: Comparison) -> Figure | None:
    """Types against tokens of the training sets, drawn one by one, and of whole documents."""
    if not found.rows("growth"):
        return None
    styles = group_styles(found)["set"]
    names = list(found.facts.training)
    figure = new_figure(5.2, PANEL_HEIGHT + LEGEND_HEIGHT)
    panel = figure.subplots()
    for name in names:
        for unit, width, alpha in (("tokens", 1.5, 1.0), ("documents", 1.0, 0.6)):
            rows = found.rows("growth", set=name, role="training", drawn=unit)
            x, y = [row["tokens"] for row in rows], [row["types"] for row in rows]
            mark = "." if unit == "documents" else ""
            panel.plot(
                x,
                y,
                color=styles[name].light,
                lw=width,
                alpha=alpha,
                marker=mark,
                ms=3,
                linestyle=DASHES[styles[name].dash] if unit == "tokens" else "none",
            )
    panel.axvline(found.facts.training_tokens, color=NATURAL["light"], lw=0.8, linestyle=":")
    logarithmic(panel, "x", "y")
    panel.set_xlabel("tokens (dots: whole documents; dotted line: the common size)")
    panel.set_ylabel("different tokens")
    add_legend(figure, [(name, styles[name].light, styles[name].dash) for name in names])
    return figure


def _divergence(found: Comparison) -> Figure | None:
    """KL of every test set (rows) from every training set (columns), the least of a row bold."""
    rows = found.rows("divergence", smoothing=found.facts.smoothing)
    if not rows:
        return None
    values = {(row["training"], row["test"]): float(row["kl"]) for row in rows}
    columns, tests = found.trained, found.tests
    grid = [[values[name, test] for name in columns] for test in tests]
    width, height = 2.2 + 0.62 * len(columns), 1.4 + 0.27 * len(tests)
    figure = new_figure(width, height)
    # Room for the longest name, which the automatic layout would cut.
    figure.set_layout_engine("none")
    left, bottom = 1.7 / width, 1.05 / height
    panel = figure.add_axes((left, bottom, 0.99 - left, 1 - 0.3 / height - bottom))
    panel.imshow(grid, cmap="Blues", aspect="auto")
    panel.grid(visible=False)
    middle = (max(map(max, grid)) + min(map(min, grid))) / 2
    for row, line in enumerate(grid):
        for column, value in enumerate(line):
            panel.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                fontweight="bold" if value == min(line) else "normal",
                color="#ffffff" if value > middle else INK["light"],
            )
    panel.set_xticks(
        range(len(columns)),
        [short_name(name) for name in columns],
        rotation=35,
        ha="right",
        fontsize=7.5,
    )
    panel.set_yticks(range(len(tests)), [short_name(name) for name in tests], fontsize=7.5)
    panel.set_title(
        "KL(test ‖ training), nats; the least of a row is bold", fontsize=8.5, loc="left"
    )
    return figure


def _frequencies(found: Comparison) -> Figure | None:
    """Training frequencies of a test set's tokens, in the order of their test frequency."""
    shown = [test for test in found.tests if found.rows("frequencies", test=test)][:MOST_PANELS]
    if not shown:
        return None
    styles = group_styles(found)["set"]
    figure = new_figure(PANEL_WIDTH * len(shown) + 0.4, PANEL_HEIGHT + LEGEND_HEIGHT)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for panel, test in zip(panels, shown, strict=True):
        for name in found.trained:
            rows = found.rows("frequencies", test=test, training=name)
            x = [row["rank"] for row in rows]
            panel.plot(
                x,
                [row["training_per_million"] or float("nan") for row in rows],
                color=styles[name].light,
                linestyle=DASHES[styles[name].dash],
                lw=1.2,
            )
        own = found.rows("frequencies", test=test, training=found.trained[0])
        panel.plot(
            [row["rank"] for row in own],
            [row["test_per_million"] for row in own],
            color=INK["light"],
            lw=1.8,
            alpha=0.5,
        )
        panel.set_title(short_name(test), fontsize=9, loc="left")
        logarithmic(panel, "x", "y")
        panel.set_xlabel("rank in the test set")
    panels[0].set_ylabel("tokens per million")
    entries = [(name, styles[name].light, styles[name].dash) for name in found.trained]
    add_legend(figure, [*entries, ("the test set itself", INK["light"], "solid")])
    return figure


def _loss_by_frequency(found: Comparison) -> Figure | None:
    """Loss against training frequency, one panel per test set, one line per model."""
    models = found.models()
    tests = _tests_with_losses(found)[:MOST_PANELS]
    if not tests:
        return None
    styles = group_styles(found)["model"]
    figure = new_figure(PANEL_WIDTH * len(tests) + 0.4, PANEL_HEIGHT + LEGEND_HEIGHT)
    panels = figure.subplots(1, len(tests), sharey=True, squeeze=False)[0]
    for panel, test in zip(panels, tests, strict=True):
        for model in models:
            rows = found.rows("loss_by_frequency", model=model, test=test, grouping="frequency")
            _draw_groups(panel, rows, styles[model])
        panel.set_title(short_name(test), fontsize=9, loc="left")
        panel.set_xlabel("training frequency (per million)")
    panels[0].set_ylabel("loss (nats per token)")
    add_legend(figure, [(model, styles[model].light, styles[model].dash) for model in models])
    return figure


def _tests_with_losses(found: Comparison) -> list[str]:
    return list(dict.fromkeys(str(row["test"]) for row in found.rows("loss_by_frequency")))


def _draw_groups(panel: Axes, rows: Sequence[object], style: Style) -> None:
    """A line over the groups of training frequency, unseen tokens first."""
    groups = [row for row in rows if isinstance(row, dict)]
    names = [group_name(row["per_million_low"], row["per_million_high"]) for row in groups]
    x = [GROUP_NAMES.index(name) for name in names]
    panel.plot(
        x,
        [row["loss"] for row in groups],
        color=style.light,
        marker="o",
        ms=3.5,
        linestyle=DASHES[style.dash],
        lw=1.3,
    )
    for place, row in zip(x, groups, strict=True):
        if row["loss_low"] is not None:
            ends = [row["loss_low"], row["loss_high"]]
            panel.plot([place, place], ends, color=style.light, lw=2, alpha=0.4)
    panel.set_xticks(range(len(GROUP_NAMES)), GROUP_NAMES, fontsize=7, rotation=45)


GROUP_NAMES = ["unseen", "<0.01", ">0.01", ">0.1", ">1", ">10", ">100", ">1k", ">10k", ">100k"]
"""Names of the groups of training frequency, rarest first."""


def group_name(low: float, high: float | None) -> str:
    """The name of a group of training frequencies per million."""
    if high == 0:
        return GROUP_NAMES[0]
    if low == 0:
        return GROUP_NAMES[1]
    names = {0.01: 2, 0.1: 3, 1.0: 4, 10.0: 5, 100.0: 6, 1000.0: 7, 10_000.0: 8, 100_000.0: 9}
    return GROUP_NAMES[min(names.items(), key=lambda item: abs(item[0] / low - 1))[1]]


def _loss_curve(found: Comparison) -> Figure | None:
    """Figure 10: losses along one document and their rolling mean, a panel per model."""
    tests = list(dict.fromkeys(str(row["test"]) for row in found.rows("loss_curve")))
    if not tests:
        return None
    models = found.models()[:MOST_PANELS]
    styles = group_styles(found)["model"]
    figure = new_figure(7.2, 0.5 + 1.5 * len(models))
    panels = figure.subplots(len(models), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for panel, model in zip(panels, models, strict=True):
        rows = found.rows("loss_curve", model=model, test=tests[0])
        x = [row["position"] for row in rows]
        loss = [float("nan") if row["loss"] is None else row["loss"] for row in rows]
        mean = [float("nan") if row["rolling"] is None else row["rolling"] for row in rows]
        panel.plot(x, loss, color=styles[model].light, lw=0.4, alpha=0.6)
        panel.plot(x, mean, color=INK["light"], lw=1.4)
        panel.set_title(f"{short_name(model)} on {short_name(tests[0])}", fontsize=8.5, loc="left")
        panel.set_ylabel("nats")
    panels[-1].set_xlabel("position in the document (thick: mean of the last 100 tokens)")
    return figure
