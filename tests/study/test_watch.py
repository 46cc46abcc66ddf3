"""`synthlaw watch`: a read-only page of a running study, of this machine alone."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthlaw.cli.study import init
from synthlaw.cli.watch import watch
from synthlaw.common.errors import UsageError
from synthlaw.study.grid import runs_of
from synthlaw.study.live.page import LivePage
from synthlaw.study.live.runs import curves_now, finished_runs, live_study
from synthlaw.study.live.server import Server
from synthlaw.study.load import load_study
from synthlaw.study.store import MARKER
from synthlaw.training.presets import LLAMA3_VOCAB

HOSTILE = "<img src=x onerror=alert(1)>"


def finish(folder: Path, place: int, loss: float, status: str = "done") -> str:
    """Leave the artifacts of one of the study's runs, as the pipeline does."""
    run = runs_of(load_study(folder / "study.yaml"), LLAMA3_VOCAB)[place]
    result = {"status": status, "tokens": 1000 * (place + 1), "flops": 1e9}
    files = {"training": ("result.json", result)}
    if status == "done":
        scores = {"news": {"loss": loss}, "prose": {"loss": loss + 0.2}}
        files["evaluation"] = ("scores.json", scores)
    for stage, (name, content) in files.items():
        artifact = folder / "artifacts" / stage / f"{run.name}-0123456789abcdef"
        artifact.mkdir(parents=True)
        (artifact / name).write_text(json.dumps(content), encoding="utf-8")
        (artifact / MARKER).write_text("{}", encoding="utf-8")
    return str(run.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "results"
    place.mkdir()
    done = CliRunner().invoke(init, [str(place / "study.yaml")])
    assert done.exit_code == 0, done.output
    (place / "report" / "tables").mkdir(parents=True)
    (place / "report" / "tables" / "answer.csv").write_text("a,b\n", encoding="utf-8")
    (place / "secret.txt").write_text("secret", encoding="utf-8")
    (place / "report" / "tables" / "link.csv").symlink_to(place / "secret.txt")
    return place


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with Server(folder, 0) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.05,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(
    server: Server, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], str]:
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def test_finished_runs_are_those_of_runs_csv_to_be(folder: Path) -> None:
    assert finished_runs(folder) == []
    first, second = finish(folder, 0, 5.0), finish(folder, 1, 0.0, "diverged")
    rows = {row.run: row for row in finished_runs(folder)}
    assert set(rows) == {first, second}
    assert rows[first].loss == pytest.approx(5.1) and rows[first].domains["prose"] == 5.2
    assert rows[second].loss is None and rows[second].status == "diverged"
    assert "runs.csv" not in live_study(folder).missing


def test_a_run_trained_but_not_scored_waits(folder: Path) -> None:
    name = finish(folder, 0, 5.0)
    for path in (folder / "artifacts" / "evaluation").glob("*/*"):
        path.unlink()
    assert name and finished_runs(folder) == []


def test_the_page_grows_with_the_runs(server: Server, folder: Path) -> None:
    before = json.loads(ask(server, "/state.json")[2])
    assert before["runs"]["done"] == 0
    name = finish(folder, 0, 5.0)
    after = json.loads(ask(server, "/state.json")[2])
    assert after["runs"]["done"] == 1 and after["version"] != before["version"]
    assert after["queue_said"] == []
    status, _, page = ask(server, "/page")
    assert status == 200 and name in page
    assert "connect-src 'self'" in ask(server, "/")[1]["Content-Security-Policy"]


def test_curves_of_runs_in_training(folder: Path) -> None:
    log = folder / "work" / "training" / "CC-1M-0123" / "metrics.jsonl"
    log.parent.mkdir(parents=True)
    rows = [{"step": s, "tokens": 100 * s, "loss": 9.0 - 0.01 * s} for s in range(1, 301)]
    log.write_text(
        "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 30', encoding="utf-8"
    )
    # Another trainer's log, in which a loss is no number that JSON knows.
    other = folder / "work" / "training" / "QA-1M-0456" / "metrics.jsonl"
    other.parent.mkdir()
    other.write_text('{"step": 1, "tokens": 100, "loss": NaN}\n{"loss": null}\n', encoding="utf-8")
    [curve] = curves_now(folder)
    assert curve["run"] == "CC-1M" and curve["tokens"][-1] == 30_000
    assert len(curve["tokens"]) < 70


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/study.yaml",
        "/../secret.txt",
        "/tables/../../secret.txt",
        "/tables/%2e%2e/%2e%2e/secret.txt",
        "/tables/..%2f..%2fsecret.txt",
        "/tables/link.csv",
        "/tables/",
        "/tables",
        "//etc/passwd",
        "/tables/answer.csv%00.html",
    ],
)
def test_nothing_else_is_served(path: str, server: Server) -> None:
    status, _, text = ask(server, path)
    assert status == 404 and "secret" not in text


def test_a_log_of_another_trainer_may_hold_no_numbers(server: Server, folder: Path) -> None:
    log = folder / "work" / "training" / "CC-1M-0123" / "metrics.jsonl"
    log.parent.mkdir(parents=True)
    row = '{"step": 1, "tokens": 100, "loss": 9.5, "tokens_per_second": NaN}'
    log.write_text(row + "\n", encoding="utf-8")
    status, _, text = ask(server, "/state.json")
    assert status == 200 and "NaN" not in text
    assert json.loads(text)["curves"][0]["tokens_per_second"] is None


def test_a_browser_that_leaves_in_the_middle_is_no_error(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    address = server.server_address[:2]
    with socket.create_connection(address) as gone:
        gone.sendall(f"GET /page HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\n\r\n".encode())
        gone.recv(1)
        # Closed at once, with a megabyte on its way.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ask(server, "/state.json")[0] == 200
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(5)
    assert "Traceback" not in capfd.readouterr().err


def test_files_of_the_report_are_served_without_powers(server: Server) -> None:
    status, headers, text = ask(server, "/tables/answer.csv")
    assert status == 200 and text == "a,b\n"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(server, "/tables/answer.csv", "HEAD")[2] == ""


def test_other_names_and_methods_are_refused(server: Server) -> None:
    assert ask(server, "/page", host="evil.example:80")[0] == 403
    assert ask(server, "/page", host="evil.example")[0] == 403
    assert ask(server, "/page", host="localhost:1")[0] == 200
    assert ask(server, "/page", method="POST")[0] == 501
    assert server.server_address[0] == "127.0.0.1"


def test_a_broken_file_is_told_not_a_crash(server: Server, folder: Path) -> None:
    (folder / "laws.json").write_text(f'{{"laws": [{json.dumps(HOSTILE)}]}}', encoding="utf-8")
    status, headers, text = ask(server, "/page")
    assert status == 503 and "laws.json" in text
    assert headers["Content-Type"].startswith("text/plain")
    (folder / "laws.json").unlink()
    assert ask(server, "/page")[0] == 200


def test_the_page_is_drawn_once_for_one_state(folder: Path) -> None:
    page = LivePage(folder)
    assert page.html() is page.html()
    finish(folder, 0, 5.0)
    version = page.version()
    assert page.html() and page.version() == version


def test_a_folder_without_a_study_and_a_taken_port(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(watch, [str(tmp_path)])
    assert isinstance(done.exception, UsageError) and "study.yaml" in str(done.exception)
    with Server(folder, 0) as first, pytest.raises(UsageError, match="free port"):
        Server(folder, first.server_address[1])
