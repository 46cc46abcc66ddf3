"""Mixture laws over several sources: what is fitted, chosen, found best, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import synthlaw as sl
from synthlaw.cli.main import cli
from synthlaw.laws.mixtures.forms import MixtureForm, forms_for
from synthlaw.laws.mixtures.reading import joined

WORTH = np.array([1.0, 0.6, 0.25])


def _rows(count: int = 60, noise: float = 0.002, sizes: bool = False) -> list[dict[str, float]]:
    """Runs of a world whose best mixture is known: E + 1 / sum_i WORTH_i w_i^0.4."""
    generator = np.random.default_rng(3)
    rows = []
    for i in range(count):
        shares = generator.dirichlet(np.ones(3))
        loss = 2 + 1 / (WORTH @ shares**0.4)
        row = dict(zip(("w_web", "w_qa", "w_book"), shares, strict=True))
        if sizes:
            row["params"] = float(10 ** (7 + i % 4 / 2))
            loss += 0.5 * (row["params"] / 1e8) ** -0.3
        rows.append({**row, "loss": float(loss * np.exp(noise * generator.standard_normal()))})
    return rows


def _truth() -> np.ndarray:
    raised = WORTH ** (1 / 0.6)  # Where the derivatives of sum_i c_i w_i^0.4 are all the same.
    return raised / raised.sum()


@pytest.mark.parametrize("form", forms_for(3, ("params", "tokens")), ids=lambda form: form.name)
def test_derivatives_are_those_of_the_loss(form: MixtureForm) -> None:
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(3), 7)
    logs = {name: generator.standard_normal(7) for name in ("params", "tokens")}
    theta = 0.3 * generator.standard_normal(form.count)
    loss, slope = form.evaluate(theta, shares, logs)
    for i in range(form.count):
        moved = theta.copy()
        moved[i] += 1e-6
        change = (form.evaluate(moved, shares, logs)[0] - loss) / 1e-6
        np.testing.assert_allclose(slope[:, i], change, rtol=1e-4, atol=1e-5)
    assert len(form.names(("a", "b", "c"))) == form.count


def test_the_form_of_the_world_is_chosen_and_its_best_mixture_found() -> None:
    laws = sl.fit_sources(_rows(), "w_*", bootstrap=60)
    assert laws.laws[0].form.name == "additive"
    best = laws.best()
    for true, share in zip(_truth(), best["shares"].values(), strict=True):
        assert abs(share["share"] - true) < 0.05
        assert share["as_good"][0] <= share["share"] <= share["as_good"][1]
    assert sum(s["share"] for s in best["shares"].values()) == pytest.approx(1)
    assert best["interval"][0] < 2 + 1 / (WORTH @ _truth() ** 0.4) < best["interval"][1]


def test_sizes_have_terms_and_are_asked_for() -> None:
    laws = sl.fit_sources(_rows(120, sizes=True), "w_*", bootstrap=0)
    assert laws.laws[0].form.sizes == ("params",)
    true = 2 + 1 / (WORTH @ _truth() ** 0.4) + 0.5 * 10**-0.3
    assert laws.best(params="1B")["loss"] == pytest.approx(true, rel=0.02)
    with pytest.raises(sl.UsageError, match="params"):
        laws.best()


def test_bounds_of_shares_supply_and_price_hold() -> None:
    laws = sl.fit_sources(_rows(), "w_*", bootstrap=0)
    shares = laws.best(most={"web": 0.3}, least={"book": 0.2})["shares"]
    assert shares["web"]["share"] <= 0.3 + 1e-6
    assert shares["book"]["share"] >= 0.2 - 1e-6
    assert laws.best(tokens="10B", supply={"web": "2B"})["shares"]["web"]["share"] <= 0.2 + 1e-6
    cheap = laws.best(price={"web": 1.0, "qa": 2.0}, highest_price=0.5)["shares"]
    assert cheap["web"]["share"] + 2 * cheap["qa"]["share"] <= 0.5 + 1e-6
    with pytest.raises(sl.UsageError, match="room"):
        laws.best(most={"web": 0.1, "qa": 0.1, "book": 0.1})
    with pytest.raises(sl.UsageError, match="'wob'"):
        laws.best(most={"wob": 0.1})


def test_two_files_are_joined_and_the_command_says_what_python_does(tmp_path: Path) -> None:
    rows = _rows(40)
    names = ["w_web", "w_qa", "w_book"]
    (tmp_path / "mixtures.csv").write_text(
        "\n".join(["index," + ",".join(names)]
                  + [f"{i}," + ",".join(str(r[n]) for n in names) for i, r in enumerate(rows)])
    )  # fmt: skip
    losses = [f"{i},{r['loss']}" for i, r in enumerate(rows)]
    (tmp_path / "losses.csv").write_text("\n".join(["index,val_loss", *losses[::-1]]))
    arguments = ["sources", str(tmp_path / "mixtures.csv"), "--join", str(tmp_path / "losses.csv"),
                 "--weights", "w_*", "--loss-column", "val_loss", "--bootstrap", "20"]  # fmt: skip
    told = CliRunner().invoke(cli, [*arguments, "--json"])
    assert told.exit_code == 0, told.output
    python = sl.fit_sources([{**r} for r in rows], "w_*", bootstrap=20)
    found = json.loads(told.stdout)["best"]["shares"]["web"]["share"]
    assert found == pytest.approx(python.best()["shares"]["web"]["share"], abs=1e-3)
    shown = CliRunner().invoke(cli, arguments)
    assert "Best mixture" in shown.output and "as good" in shown.output


def test_unusable_rows_are_named_and_bad_tables_refused() -> None:
    rows = [*_rows(40), {"w_web": 0.9, "w_qa": 0.9, "w_book": 0.0, "loss": 3.0}]
    laws = sl.fit_sources(rows, "w_*", bootstrap=0, form="exponential")
    assert laws.to_json()["left_out"][0]["row"] == 41
    assert "sum of 1.8" in laws.to_json()["left_out"][0]["reason"]
    with pytest.raises(sl.UsageError, match="expected 'v_"):
        sl.fit_sources(_rows(), "v_*")
    with pytest.raises(sl.UsageError, match="4 runs of 3 sources"):
        sl.fit_sources(_rows(4), "w_*")
    with pytest.raises(sl.UsageError, match="twice"):
        joined([{"i": 1}], [{"i": 1, "y": 2}, {"i": 1, "y": 3}], "t")
