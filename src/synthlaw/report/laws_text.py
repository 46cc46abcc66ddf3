"""Laws and advice as text for a terminal."""

from __future__ import annotations

from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.wording import bounded, counted, decimals, money, plain, times


def fit_text(result: dict[str, Any]) -> str:
    """The answer of `fit`: one block per law, then rows left out and groups skipped."""
    return "\n\n".join([*map(_law_block, result["laws"]), *beside_laws(result)])


def beside_laws(result: dict[str, Any]) -> list[str]:
    """What `fit` says besides its laws: comparisons, predictions, groups and rows left out."""
    blocks = []
    if "comparison" in result:
        blocks.append(_comparison_block(result["comparison"]))
    if "predictions" in result:
        blocks.append("\n".join(_prediction(row) for row in result["predictions"]))
    for row in result["skipped"]:
        blocks.append(f"skipped '{row['mixture']}': {row['reason']}")
    blocks += [f"note: {note}" for note in result["notes"]]
    left = result["left_out"]
    if left:
        shown = "\n".join(f"  line {row['row']}: {row['reason']}" for row in left[:20])
        more = f"\n  and {len(left) - 20} more" if len(left) > 20 else ""
        blocks.append(f"{len(left)} rows left out:\n{shown}{more}")
    return blocks


def _law_block(law: dict[str, Any]) -> str:
    at = ", ".join(f"{name} = {value:.4g}" for name, value in law["at"].items())
    lines = [
        f"{law['mixture']}: {law['law']} law"
        + (f" at {at}" if at else "")
        + f", {law['points']} points, {law['objective']} {law['value']:.6g} ({law['form']})"
    ]
    for name, value in law["coefficients"].items():
        lines.append(f"  {name:6s} {_number(value, law['intervals'].get(name))}")
    for name, pair in law.get("profile_intervals", {}).items():
        lines.append(f"  profile {name:6s} {_number(law['coefficients'][name], pair)}")
    held = law["holdout"]
    if held and held["points"]:
        lines.append(f"  held out: {held['points']} runs, RMABE {held['rmabe']:.2%}")
    for row in law.get("rolling", []):
        lines.append(
            f"  fitted up to {format_count(row['fitted_to'])} {row['variable']}: "
            f"RMABE {row['rmabe']:.2%} on {row['points']} runs up to "
            f"{row['farthest_factor']:.1f} times farther"
        )
    for row in law.get("good_ratio", []):
        sizes = ", ".join(
            f"{format_count(row[name])} {name}" for name in ("params", "tokens") if name in row
        )
        lines.append(
            f"  good share at {sizes or 'the runs'}: {row['ratio']:.1%}{_percents(row['interval'])}"
        )
    lines += [f"  ! {w['code']}: {w['message']}" for w in law["warnings"]]
    return "\n".join(lines)


def _prediction(row: dict[str, Any]) -> str:
    far = ", ".join(
        f"{factor:.1f} times outside the {name} of the runs"
        for name, factor in row["extrapolation"].items()
        if factor > 1
    )
    text = f"{row['mixture']}: predicted loss {_number(row['loss'], row['interval'])}"
    return text + (f" ({far})" if far else "")


def _number(value: float, pair: list[float | None] | None) -> str:
    """A number one digit finer than its interval's width; six digits without an interval."""
    if not pair:
        return f"{value:.6g}"
    places = decimals(pair, value) + 1
    low, high = ("inf" if end is None else plain(end, places) for end in pair)
    return f"{plain(value, places)}   [{low}, {high}]"


def _percents(pair: list[float] | None) -> str:
    return f" [{pair[0]:.1%}, {pair[1]:.1%}]" if pair else ""


def _comparison_block(comparison: dict[str, Any]) -> str:
    lines = [f"against '{comparison['baseline']}':"]
    for row in comparison["mixtures"]:
        name = row["mixture"]
        if "speedup" in row:
            found = row["speedup"]
            where = ", ".join(
                f"{format_count(found[size])} {size}"
                for size in ("params", "tokens")
                if size in found
            )
            lines.append(
                f"  {name}: speed-up {_number(found['speedup'], found['interval'])} at {where}"
            )
        for variable, crossed in row["crossings"].items():
            places = ", ".join(counted(c["at"], c["interval"]) for c in crossed)
            lines.append(
                f"    crosses in {variable} at {places}"
                if crossed
                else f"    does not cross in {variable}"
            )
    return "\n".join(lines)


def advice_text(result: dict[str, Any]) -> str:
    """The answer of `recommend`: the advice, a table of options, the account, warnings."""
    lines = [result["advice"], f"(from {result['source']})"]
    if result["options"]:
        lines += ["", *_options(result)]
    account = _account(result["best"]) if result["best"] else []
    if account:
        lines += ["", *account]
    if result["repetition"]:
        lines += ["", *_repetition(result["repetition"])]
    lines += ["", *[f"! {w['code']}: {w['message']}" for w in result["warnings"]]]
    return "\n".join(lines).rstrip()


def _options(result: dict[str, Any]) -> list[str]:
    """The table of mixtures, lowest loss first, the baseline last."""
    level = result["interval_level"]
    sure = "" if level is None else f"[{level:.0%} interval]"
    rows = [["mixture", "share", f"loss {sure}".strip(), "best", f"speed-up {sure}".strip()]]
    for row in result["options"]:
        share = "" if row["synthetic_ratio"] is None else f"{row['synthetic_ratio']:.0%}"
        best = "" if row["probability_best"] is None else f"{row['probability_best']:.2f}"
        rows.append(
            [row["mixture"], share, bounded(row["loss"], row["interval"]), best, times(row)]
        )
    base = result["baseline"]
    if base is not None:
        best = "" if base["probability_best"] is None else f"{base['probability_best']:.2f}"
        loss = bounded(base["loss"], base["interval"])
        rows.append([base["mixture"], "0%", loss, best, "(baseline)"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _account(best: dict[str, Any]) -> list[str]:
    if best["synthetic_ratio"] is None:
        return []
    lines = [f"Tokens to generate for the full budget: {format_count(best['tokens_to_generate'])}"]
    equal = best["equal_loss"]
    if equal is None or best["needs_less_than_any_run"]:
        return lines
    lines.append(
        f"Equal loss: about {format_count(best['tokens_to_baseline_loss'], 2)} tokens do, "
        f"{format_count(equal['tokens_generated'], 2)} of them generated; "
        f"{equal['training_flops_saved']:.2g} FLOP of training saved"
    )
    labels = {
        "training_money_saved": "training money saved",
        "generation_money_spent": "generation money spent",
        "net_money_saved": "net money saved",
        "break_even_generator_cost": "break-even price per million generated tokens",
        "training_gpu_hours_saved": "training GPU-hours saved",
        "generation_gpu_hours": "generation GPU-hours",
        "net_gpu_hours_saved": "net GPU-hours saved",
    }
    lines += [
        f"  {text}: {money(equal[k])}" for k, text in labels.items() if equal.get(k) is not None
    ]
    if (sure := equal.get("probability_saves_money")) is not None:
        lines.append(f"  probability that it saves money: {sure:.2f}")
    if best["break_even_tokens"]:
        pays = format_count(best["break_even_tokens"], 2)
        lines.append(f"  pays for itself from about {pays} tokens on")
    return lines


def _repetition(found: dict[str, Any]) -> list[str]:
    gap = bounded(found["difference"], found["difference_interval"], "+")
    return [
        f"Natural tokens would repeat {found['epochs']:.2g} times and be worth "
        f"{format_count(found['fresh_token_worth'])} fresh ones; '{found['mixture']}' changes the "
        f"loss by {gap} against that"
    ]
