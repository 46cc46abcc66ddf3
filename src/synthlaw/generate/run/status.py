"""What stands in a run's folder, read from outside without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthlaw.common.claims import busy_seconds, sessions_in
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json
from synthlaw.generate.generated import sum_counts
from synthlaw.generate.run.blocks import Blocks
from synthlaw.generate.run.folder import marked_in, read_marker
from synthlaw.generate.run.journal import held_by
from synthlaw.generate.run.standing import Standing
from synthlaw.generate.run.target import Target


def is_generation(out: Path) -> bool:
    """Whether `out` is a folder that generation has made."""
    return (out / "documents").is_symlink() and (out / "runs").is_dir()


def folder_status(out: Path) -> dict[str, Any]:
    """What is done in the newest run of `out`, what is awaited, and who is at work.

    Rollouts of unfinished blocks count when a journal holds them, whether their worker lives or
    not: nothing of them is asked for again. Raises UsageError when nothing was generated there.
    """
    if not is_generation(out):
        raise UsageError(f"{out}: found no generation run; expected a folder made by generate")
    root = (out / "documents").resolve().parent
    run, standing = read_json(root / "run.json"), _standing(out.name, root)
    rollouts, kept = _in_journals(root, standing)
    workers = sessions_in(root)
    alive = [one for one in workers if one["alive"]]
    wanted = [block for _, block in standing.wanted()]
    awaited = sum(standing.blocks.length(block) for block in wanted)
    units = (standing.documents_done + awaited) * run["rollouts"]
    done = min(units, standing.documents_done * run["rollouts"] + rollouts)
    rate = sum(one.get("documents", 0) / one["seconds"] for one in alive if one["seconds"])
    left = units - done
    return {
        "key": root.name,
        "source_documents": standing.blocks.documents,
        "units": units,
        "units_done": done,
        "blocks": len(standing.done) + len(wanted),
        "blocks_done": len(standing.done),
        "answers_kept": kept,
        "tokens_needed": standing.target.tokens,
        "tokens": standing.have,
        **sum_counts(marker.counts for marker in standing.done.values()),
        "seconds": round(busy_seconds(workers), 1),
        "seconds_left": round(left / rate, 1) if rate else (0.0 if left <= 0 else None),
        "workers": alive,
    }


def _standing(name: str, root: Path) -> Standing:
    run, target = read_json(root / "run.json"), Target(**read_json(root / "target.json"))
    each_pass = target.within(run["documents"])
    blocks = Blocks(each_pass * target.passes, run["block_size"])
    standing = Standing(name, blocks, target, each_pass)
    for block in marked_in(root):
        marker = read_marker(root, block)
        if marker is not None and (not target.tokenizer or target.tokenizer in marker.tokens):
            standing.add(block, marker)
    return standing


def _in_journals(root: Path, standing: Standing) -> tuple[int, int]:
    """Rollouts and completions that the journals of unfinished blocks hold."""
    journals: dict[int, list[Path]] = {}
    for path in (root / "journal").glob("*.jsonl"):
        journals.setdefault(int(path.name.partition(".")[0]), []).append(path)
    found = [held_by(paths) for block, paths in journals.items() if block not in standing.done]
    return sum(one[0] for one in found), sum(one[1] for one in found)
