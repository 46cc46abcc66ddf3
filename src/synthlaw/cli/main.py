"""The program `synthlaw`: its commands, and how errors leave it.

Exit status: 0 done; 1 the work failed or is incomplete; 2 wrong use or a bad file; 130 Ctrl-C;
143 stopped by SIGTERM, as a scheduler sends it: run the same command again to go on.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import NoReturn

import click

from synthlaw import __version__
from synthlaw.common.errors import SynthlawError

COMMANDS = {
    "demo": ("synthlaw.cli.study", "demo", "The whole study on embedded text and model."),
    "init": ("synthlaw.cli.study", "init", "Write an annotated study file."),
    "schema": ("synthlaw.cli.schema", "schema", "What a study or recipe file may hold."),
    "plan": ("synthlaw.cli.study", "plan", "What a study will cost, before anything is spent."),
    "run": ("synthlaw.cli.study", "run", "Run a study; resumable."),
    "status": ("synthlaw.cli.study", "status", "What is done, failed and left in a study folder."),
    "watch": ("synthlaw.cli.watch", "watch", "The live page of a running study."),
    "prepare": ("synthlaw.cli.prepare", "prepare", "Natural text to training documents."),
    "generate": ("synthlaw.cli.generate", "generate", "Documents to synthetic documents."),
    "work": ("synthlaw.cli.work", "work", "Help to generate the text of a running study."),
    "tokenize": ("synthlaw.cli.tokens", "tokenize", "Documents to a token set."),
    "check": ("synthlaw.cli.tokens", "check", "Whether a token set is as it was written."),
    "mix": ("synthlaw.cli.tokens", "mix", "Realised shares and epochs of a mixture."),
    "train": ("synthlaw.cli.models", "train", "Train one model on one mixture."),
    "tune": ("synthlaw.cli.tune", "tune", "Which peak rate suits a small model."),
    "evaluate": ("synthlaw.cli.evaluate", "evaluate", "Score a model on documents and tasks."),
    "compare": ("synthlaw.cli.compare", "compare", "Scores of models on the same documents."),
    "stats": ("synthlaw.cli.stats", "stats", "What tells token sets apart; loss by token."),
    "export": ("synthlaw.cli.models", "export", "A trained model as a Hugging Face folder."),
    "fit": ("synthlaw.cli.laws", "fit", "Fit scaling laws to a table of runs."),
    "design": ("synthlaw.cli.design", "design", "The runs to train next."),
    "sources": ("synthlaw.cli.sources", "sources", "The best mixture of several sources."),
    "recommend": ("synthlaw.cli.laws", "recommend", "Which synthetic type, what share, how sure."),
    "report": ("synthlaw.cli.report", "report", "Draw the page of a study folder."),
}


class _Commands(click.Group):
    """Loads a command's module when it is called: `fit` never waits for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"expected {', '.join(COMMANDS)}"
            raise click.UsageError(f"found no command '{args[0]}'; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="synthlaw")
def cli() -> None:
    """Measure, before you pay for it, what synthetic data will do to your pre-training run.

    \b
    Start here:
      synthlaw demo                     a whole study on this machine, in minutes
      synthlaw init study.yaml          a study file of your own
      synthlaw plan study.yaml          its cost
      synthlaw run study.yaml           run it
      synthlaw fit runs.csv --law data  laws for runs from any trainer
    """


def _interrupt(number: int, frame: object) -> None:
    """A scheduler's or a lost terminal's signal ends the work as Ctrl-C does."""
    # Sent again (`timeout` signals the process, then its group) it must not break off the ending.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def _leads() -> bool:
    """Whether we speak for all: of the processes that torchrun starts for a run, the first does."""
    return int(os.environ.get("RANK", "0")) == 0


def _be_silent() -> None:
    from synthlaw.common.progress import console

    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as we live
    console.quiet = True


def _failed(error: SynthlawError) -> NoReturn:
    if os.environ.get("SYNTHLAW_DEBUG"):
        raise error
    if "TORCHELASTIC_ERROR_FILE" in os.environ:
        from synthlaw.training.launch import LAUNCHED, record_error

        record_error(error)
        told = LAUNCHED not in os.environ and _leads()
    else:
        told = True
    if told:
        print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_status)


def main() -> None:
    """Entry point: runs the program; as one process of a training run it ends at once."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return _run()
    from synthlaw.training.launch import ending_at_once

    with ending_at_once():
        _run()


def _run() -> None:
    """Run a command and turn errors into exit statuses, never tracebacks."""
    if not _leads():
        _be_silent()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if not os.environ.get("SYNTHLAW_DEBUG"):
        warnings.simplefilter("ignore")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt) as stop:
        print("stopped; what is finished is kept, run again to go on", file=sys.stderr)
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    except SynthlawError as error:
        _failed(error)
    except BrokenPipeError:
        os._exit(141)  # the reader went away; nothing is left to say
    except OSError as error:
        if os.environ.get("SYNTHLAW_DEBUG"):
            raise
        print(f"error: {error}; what is finished is kept", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
