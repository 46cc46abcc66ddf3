"""Laws and advice as text for a terminal."""

from __future__ import annotations

from typing import Any

from synthlaw.common.numbers import format_count


def fit_text(result: dict[str, Any]) -> str:
    """The answer of `fit`: one block per law, then rows left out and groups skipped."""
    blocks = [_law_block(law) for law in result["laws"]]
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
    return "\n\n".join(blocks)


def _law_block(law: dict[str, Any]) -> str:
    at = ", ".join(f"{name} = {value:.4g}" for name, value in law["at"].items())
    lines = [
        f"{law['mixture']}: {law['law']} law"
        + (f" at {at}" if at else "")
        + f", {law['points']} points, {law['objective']} {law['value']:.6g} ({law['form']})"
    ]
    for name, value in law["coefficients"].items():
        lines.append(f"  {name:6s} {value:12.6g}{_bounds(law['intervals'].get(name))}")
    for name, pair in law.get("profile_intervals", {}).items():
        lines.append(f"  profile {name:6s}{_bounds(pair)}")
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
    text = f"{row['mixture']}: predicted loss {row['loss']:.4f}{_bounds(row['interval'])}"
    return text + (f" ({far})" if far else "")


def _bounds(pair: list[float | None] | None) -> str:
    if not pair:
        return ""
    low, high = ("inf" if value is None else f"{value:.6g}" for value in pair)
    return f"   [{low}, {high}]"


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
                f"  {name}: speed-up {found['speedup']:.2f}{_bounds(found['interval'])} at {where}"
            )
        for variable, crossed in row["crossings"].items():
            places = ", ".join(
                f"{format_count(c['at'], 4)}{_bounds(c['interval'])}" for c in crossed
            )
            lines.append(
                f"    crosses in {variable} at {places}"
                if crossed
                else f"    does not cross in {variable}"
            )
    return "\n".join(lines)


def advice_text(result: dict[str, Any]) -> str:
    """The answer of `recommend`: the advice, a table of options, the account, warnings."""
    lines = [result["advice"], f"(from {result['source']})", ""]
    lines.append(
        f"{'mixture':12s} {'share':>6s} {'loss':>7s} {'90% interval':>18s} "
        f"{'best':>5s} {'speed-up':>9s}"
    )
    for row in [*result["options"]]:
        pair = row["interval"]
        interval = f"[{pair[0]:.3f}, {pair[1]:.3f}]" if pair and None not in pair else ""
        share = "" if row["synthetic_ratio"] is None else f"{row['synthetic_ratio']:.0%}"
        best = "" if row["probability_best"] is None else f"{row['probability_best']:.2f}"
        speedup = "" if row["speedup"] is None else f"{row['speedup']:.2f}"
        lines.append(
            f"{row['mixture']:12s} {share:>6s} {row['loss']:7.3f} {interval:>18s} "
            f"{best:>5s} {speedup:>9s}"
        )
    base = result["baseline"]
    lines.append(f"{base['mixture']:12s} {'0%':>6s} {base['loss']:7.3f}   (baseline)")
    if result["best"]:
        lines += ["", *_account(result["best"])]
    if result["repetition"]:
        lines += ["", *_repetition(result["repetition"])]
    lines += ["", *[f"! {w['code']}: {w['message']}" for w in result["warnings"]]]
    return "\n".join(lines).rstrip()


def _account(best: dict[str, Any]) -> list[str]:
    lines = [f"Tokens to generate for the full budget: {format_count(best['tokens_to_generate'])}"]
    equal = best["equal_loss"]
    if equal is None:
        return lines
    lines.append(
        f"Equal loss: {format_count(best['tokens_to_baseline_loss'])} tokens do, "
        f"{format_count(equal['tokens_generated'])} of them generated; "
        f"{equal['training_flops_saved']:.3g} FLOP of training saved"
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
        f"  {text}: {equal[k]:,.2f}" for k, text in labels.items() if equal.get(k) is not None
    ]
    if best["break_even_tokens"]:
        lines.append(f"  pays for itself from {format_count(best['break_even_tokens'])} tokens on")
    return lines


def _repetition(found: dict[str, Any]) -> list[str]:
    return [
        f"Natural tokens would repeat {found['epochs']:.2f} times: worth "
        f"{format_count(found['fresh_token_worth'])} fresh ones, loss "
        f"{found['loss_repeating_natural']:.3f}; with '{found['mixture']}' "
        f"{found['loss_adding_synthetic']:.3f}"
    ]
