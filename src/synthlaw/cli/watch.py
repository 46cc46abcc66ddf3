"""The command `watch`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synthlaw.cli.output import json_option

PORT = 8351


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port on this machine; 0 takes any that is free.",
)
@json_option
def watch(folder: Path, port: int, as_json: bool) -> None:
    """Serve the live page of the study in FOLDER to this machine's browsers, until Ctrl-C.

    Runs that finish appear on the page; runs in training, what is left and what failed stand above
    it. It only reads, and listens on the loopback interface alone: on another machine, forward the
    port (ssh -L 8351:127.0.0.1:8351 HOST).

    \b
    Examples:
      synthlaw watch results
      synthlaw watch results --port 0 --json
    """
    from synthlaw.study.live.server import Server
    from synthlaw.study.status import study_status

    study_status(folder)  # no study, no server
    with Server(folder, port) as server:
        click.echo(json.dumps({"address": server.address}) if as_json else server.address)
        server.serve_forever(poll_interval=0.2)
