"""KL of every test set (rows) from every training set (columns); the page has a table."""

from __future__ import annotations

from synthlaw.report.chart import AxisSpec, Chart, Grid, Panel
from synthlaw.report.comparison import Comparison


def of_statistics(found: Comparison) -> Chart | None:
    """A grid of numbers."""
    rows = found.rows("divergence", smoothing=found.facts.smoothing)
    if not rows:
        return None
    values = {(row["training"], row["test"]): float(row["kl"]) for row in rows}
    cells = [[values[name, test] for name in found.trained] for test in found.tests]
    title = "KL(test ‖ training), nats; the least of a row is bold"
    grid = Grid(cells, found.trained, found.tests)
    return Chart([Panel(AxisSpec(""), AxisSpec(""), [grid], title=title)], on_page=False)
