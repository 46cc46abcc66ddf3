"""A read-only server on the loopback interface: the live page, its state, files of the report.

It answers GET and HEAD of four kinds of address and nothing else, and only to a browser that asks
for this machine by a name of its own: a page of another site cannot read it through the browser.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import sys
import urllib.parse
from base64 import b64encode
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.laws.plain import without_infinities
from synthlaw.study.live.page import LivePage

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost", "[::1]")
"""How a browser of this machine may call it."""

SHELVES = ("figures", "tables")
"""Folders of a report whose files are served."""


class Server(ThreadingHTTPServer):
    """Serves one study folder."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.page = LivePage(folder)
        self.report = folder / "report"
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"--port: found {port}, which cannot be listened on ({error.strerror}); expected a "
                "free port, or 0 for any"
            ) from None

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle of an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "synthlaw", ""
    timeout = 30

    def do_GET(self) -> None:
        """The page, its state, or a file of the report."""
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if host not in NAMES:
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"this page is of this machine alone\n")
            return
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        try:
            self._answer(path)
        except SynthlawError as error:
            text = f"{error}\n".encode("utf-8", "replace")
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text)

    do_HEAD = do_GET  # noqa: N815 (the name that the handler is asked by)

    def _answer(self, path: str) -> None:
        if path == "/":
            html, policy = _shell()
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", html, policy)
        elif path == "/page":
            html = self.server.page.html().encode()
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", html)
        elif path == "/state.json":
            # Another trainer's log may hold what JSON does not.
            state = json.dumps(without_infinities(self.server.page.state()), allow_nan=False)
            self._send(HTTPStatus.OK, "application/json", state.encode())
        elif (file := self._file(path)) is not None:
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            # A figure is never a page of this origin.
            policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
            self._send(HTTPStatus.OK, kind, file.read_bytes(), policy)
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n")

    def _file(self, path: str) -> Path | None:
        """The report's file of this very name: names are compared, never joined to a folder."""
        shelf, _, name = path.removeprefix("/").partition("/")
        if shelf not in SHELVES or not (self.server.report / shelf).is_dir():
            return None
        for file in (self.server.report / shelf).iterdir():
            if file.name == name and file.is_file() and not file.is_symlink():
                return file
        return None

    def _send(self, status: HTTPStatus, kind: str, body: bytes, policy: str = "") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if policy:
            headers["Content-Security-Policy"] = policy
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a browser that asks every two seconds is no news."""


def _shell() -> tuple[bytes, str]:
    """The frame around the page, which asks for the state, and its policy."""
    room = files("synthlaw.study.live")
    script = room.joinpath("watch.js").read_text(encoding="utf-8")
    html = room.joinpath("watch.html").read_text(encoding="utf-8").replace("/*script*/", script)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return html.encode(), policy
