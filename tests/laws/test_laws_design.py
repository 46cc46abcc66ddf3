"""The next runs: what the emulator knows, what it asks for, and that asking so answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import synthlaw as sl
from synthlaw.cli.main import cli
from synthlaw.laws.design.choosing import Candidates, next_runs
from synthlaw.laws.design.emulator import Emulator, Point, Seen, prior_covariance
from synthlaw.laws.design.question import Question, answer

MIDDLE = (3e8, 1e10)
SIZES, BUDGETS = ("100M", "300M", "1B"), ("1B", "5B", "20B")


def loss_of(kind: str, share: float, params: float, tokens: float) -> float:
    """A world: hq is best at 40%, qa hurts."""
    gain = -0.25 * share * (0.8 - share) if kind == "hq" else 0.3 * share
    return float(
        (2.2 + gain) + 0.45 * (params / 3e8) ** -0.4 + (0.5 + gain) * (tokens / 1e10) ** -0.5
    )


def row(
    one: dict[str, Any], generator: np.random.Generator, noise: float = 0.002
) -> dict[str, Any]:
    clean = loss_of(one["synthetic_type"], one["synthetic_ratio"], one["params"], one["tokens"])
    loss = clean * float(np.exp(0.002 * generator.standard_normal()))
    wanted = ("synthetic_type", "synthetic_ratio", "params", "tokens")
    return {**{name: one[name] for name in wanted}, "loss": loss}


def nothing() -> Seen:
    empty = np.zeros(0)
    return Seen(np.zeros(0, dtype=np.intp), empty, empty, empty)


def test_derivatives_are_those_of_the_loss() -> None:
    points = [Point("hq", 0.0), Point("hq", 0.3), Point("qa", 1.0)]
    one = Emulator(points, nothing(), MIDDLE, 0.003)
    at = np.array([0, 1, 2, 1])
    params, tokens = np.array([1e8, 3e8, 7e9, 1e9]), np.array([1e9, 2e10, 2e12, 5e9])
    start, slopes = one._evaluate(one.coefficients, at, params, tokens)
    for number in range(15):
        moved = one.coefficients.copy().reshape(-1)
        moved[number] += 1e-6
        there, _ = one._evaluate(moved.reshape(-1, 5), at, params, tokens)
        np.testing.assert_allclose(slopes[:, number], (there - start) / 1e-6, atol=1e-5)


@given(st.lists(st.tuples(st.sampled_from(["hq", "qa"]), st.floats(0, 1)), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_the_prior_is_a_covariance_in_which_natural_text_is_one(
    named: list[tuple[str, float]],
) -> None:
    points = [Point("hq", 0.0), Point("qa", 0.0), *(Point(*one) for one in named)]
    found = prior_covariance(points)
    assert np.allclose(found, found.T)
    assert np.linalg.eigvalsh(found).min() > -1e-9
    # Natural text is the same text whatever the type that is not there.
    assert np.allclose(found[:5], found[5:10])


def test_a_posterior_holds_what_it_was_not_shown_as_often_as_it_says() -> None:
    points = [Point("hq", 0.0), *(Point("hq", share) for share in (0.25, 0.5, 0.75, 1.0))]
    sizes = [(n, d) for n in (1e8, 3e8, 1e9) for d in (1e9, 5e9, 2e10)]
    held = []
    for world in range(40):
        generator = np.random.default_rng(world)
        # Truths from the prior itself: coverage is then exact but for the linearisation.
        blank = Emulator(points, nothing(), MIDDLE, 0.003)
        root = np.linalg.cholesky(prior_covariance(points) + 1e-9 * np.eye(25))
        truth = blank.coefficients + 0.5 * (root @ generator.standard_normal(25)).reshape(-1, 5)
        at = np.repeat(np.arange(5), len(sizes))
        n, d = (np.tile(column, 5) for column in np.array(sizes).T)
        clean, _ = blank._evaluate(truth, at, n, d)
        seen = Seen(at, n, d, np.exp(clean + 0.003 * generator.standard_normal(len(clean))))
        fitted = Emulator(points, seen, MIDDLE, 0.003)
        targets, far = np.arange(5), np.full(5, 3e9)
        mean, slopes = fitted.log_loss(targets, far, 20 * far)
        spread = np.sqrt(np.einsum("ij,jk,ik->i", slopes, fitted.covariance, slopes))
        true, _ = blank._evaluate(truth, targets, far, 20 * far)
        held += (np.abs(mean - true) <= 1.645 * spread).tolist()
    assert 0.8 <= np.mean(held) <= 0.98


def test_a_run_that_is_chosen_takes_away_what_it_was_said_to() -> None:
    points = [Point("hq", 0.0), Point("hq", 0.5), Point("qa", 0.5)]
    n, d = np.array([1e8, 1e8, 1e8]), np.array([1e9, 1e9, 1e9])
    seen = Seen(np.arange(3), n, d, np.array([3.4, 3.3, 3.5]))
    state = Emulator(points, seen, MIDDLE, 0.003)
    question = Question(7e9, 2e11, [0, 1, 2])
    known = answer(state, question, 0)
    rows = [(i, a, b) for i in range(3) for a in (1e8, 1e9) for b in (1e9, 2e10)]
    at, n, d = (np.array(column) for column in zip(*rows, strict=True))
    options = Candidates(at, n, d, 6 * n * d)
    chosen = next_runs(state, question, known, options, 12)
    assert len({one.candidate for one in chosen}) == 12
    assert 0 < sum(one.gain for one in chosen) < 1
    few = next_runs(state, question, known, options, 12, most=2e19, taken=[chosen[0].candidate])
    assert chosen[0].candidate not in [one.candidate for one in few]
    assert options.cost[[one.candidate for one in few]].sum() <= 2e19


def test_asking_again_and_again_answers_with_few_runs() -> None:
    generator = np.random.default_rng(4)
    rows: list[dict[str, Any]] = []
    asked = {"params": "3B", "tokens": "100B", "types": ["hq", "qa"]}
    asked |= {"sizes": SIZES, "budgets": BUDGETS, "shares": [0.1 * k for k in range(1, 11)]}
    for _ in range(24):
        told = sl.design(rows or None, **asked, count=8, noise=0.002, within=0.1)
        if told["answer"]["settled"]:
            break
        assert len(told["next"]) == 8
        rows += [row(one, generator) for one in told["next"]]
    assert told["answer"]["settled"] and told["next"] == []
    assert told["answer"]["synthetic_type"] == "hq"
    assert abs(told["answer"]["share"] - 0.4) <= 0.1 + 1e-9
    spent = sum(6 * one["params"] * one["tokens"] for one in rows)
    sizes = [(1e8, 3e8, 1e9), (1e9, 5e9, 2e10)]
    grid = 21 * sum(6 * n * d for n in sizes[0] for d in sizes[1])
    assert spent < 0.25 * grid
    again = sl.design(rows, **asked, noise=0.002, within=0.1)
    assert again["answer"] == told["answer"]  # the same runs, the same answer


def test_the_command_prints_what_python_gives(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    rows = [
        row({"synthetic_type": kind, "synthetic_ratio": share, "params": n, "tokens": d}, generator)
        for kind, share in (("", 0.0), ("hq", 0.3), ("qa", 0.3))
        for n in (1e8, 1e9)
        for d in (1e9, 2e10)
        for _ in range(2)
    ]
    place = tmp_path / "runs.jsonl"
    place.write_text("\n".join(map(json.dumps, rows)))
    asked = ["design", str(place), "--params", "7B", "--tokens", "200B", "--count", "3"]
    told = CliRunner().invoke(cli, [*asked, "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found == json.loads(json.dumps(sl.design(rows, params="7B", tokens="200B", count=3)))
    assert found["noise_known"] and 0.001 < found["noise"] < 0.004
    shown = CliRunner().invoke(cli, asked)
    assert "Next, " in shown.output and "24 runs" in shown.output
    first = CliRunner().invoke(
        cli,
        ["design", "--params", "7B", "--tokens", "200B", "--types", "hq,qa", "--sizes", "100M,1B",
         "--budgets", "1B,20B", "--most-flops", "1e20"],
    )  # fmt: skip
    assert first.exit_code == 0, first.output
    assert "Nothing is known yet" in first.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "types: found none"),
        ({"types": ["hq"]}, "sizes: found none"),
        ({"types": ["hq"], "sizes": ["1B"]}, "budgets: found none"),
        ({"types": ["hq"], "sizes": ["1B"], "budgets": ["1B"], "shares": [1.5]}, "shares: found"),
        ({"runs": [{"params": 1e9, "tokens": 1e9, "loss": 3.0}]}, "synthetic_type"),
    ],
)
def test_what_is_missing_is_told_in_one_line(more: dict[str, Any], said: str) -> None:
    with pytest.raises(sl.UsageError, match=said):
        sl.design(more.pop("runs", None), params="7B", tokens="1T", **more)
