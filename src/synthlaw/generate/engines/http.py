"""JSON over HTTP/1.1 with kept connections: just what an engine needs, at little cost per request.

A general client spends more time per request than a fast server does (its pool is searched for
every request), which would leave hundreds of server slots idle. Here one connection serves one
request at a time and the last one used is used again. No proxies, redirects or compression.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

_LARGEST_HEAD = 1 << 16
_LARGEST_BODY = 1 << 28


class ConnectError(Exception):
    """No connection could be made: nothing was sent."""


class ExchangeError(Exception):
    """The connection broke, or what came back is not HTTP. reason: a short name for counting."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True)
class Response:
    """Status, headers by lower-case name, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def usable(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())

    def close(self) -> None:
        self.writer.close()


class HttpClient:
    """Requests to one base URL. Connections are opened as needed and kept."""

    def __init__(
        self, base_url: str, headers: dict[str, str], *, timeout: float, connect_timeout: float
    ) -> None:
        """base_url: http or https. timeout: seconds for a whole exchange once connected."""
        parts = urlsplit(base_url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/")
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._tls = ssl.create_default_context() if self._secure else None
        self._idle: list[_Connection] = []
        lines = {"Host": parts.netloc.rpartition("@")[2], "Accept": "application/json"} | headers
        self._common = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    async def post(self, path: str, body: bytes) -> Response:
        """POST JSON. Raises ConnectError, ExchangeError."""
        head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return await self._exchange("POST", path, head, body, self._timeout)

    async def get(self, path: str, timeout: float) -> Response:
        """GET. Raises ConnectError, ExchangeError."""
        return await self._exchange("GET", path, "", b"", timeout)

    def close(self) -> None:
        """Close what is idle; connections in use close when their exchange is cancelled."""
        while self._idle:
            self._idle.pop().close()

    async def _exchange(
        self, method: str, path: str, head: str, body: bytes, timeout: float
    ) -> Response:
        connection = await self._connection()
        start = f"{method} {self._path}{path} HTTP/1.1\r\n{self._common}{head}\r\n"
        keep = False
        try:
            async with asyncio.timeout(timeout):
                connection.writer.write(start.encode("latin-1") + body)
                await connection.writer.drain()
                response, keep = await _read_response(connection.reader)
        except TimeoutError as error:
            raise ExchangeError("timeout", f"no answer in {timeout:g} s") from error
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ExchangeError("connection-dropped", repr(error)) from error
        finally:
            # Whatever ended the exchange early leaves an unknown rest on the wire.
            if keep and connection.usable:
                self._idle.append(connection)
            else:
                connection.close()
        return response

    async def _connection(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept.usable:
                return kept
            kept.close()
        try:
            async with asyncio.timeout(self._connect_timeout):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._tls, limit=_LARGEST_HEAD
                )
        except (OSError, TimeoutError) as error:
            raise ConnectError(repr(error)) from error
        return _Connection(reader, writer)


async def _read_response(reader: asyncio.StreamReader) -> tuple[Response, bool]:
    """A response, and whether the connection may be used again."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise ExchangeError("not-http", first[:100])
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = await _read_chunks(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(_size(headers["content-length"], 10))
    else:
        body, keep = await reader.read(_LARGEST_BODY), False
    return Response(int(rest[:3]), headers, body), keep


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _size(line.split(b";")[0].decode("latin-1").strip(), 16)
        total += size
        if total > _LARGEST_BODY:
            raise ExchangeError("not-http", "the body is too large")
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return b"".join(parts)
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if not 0 <= size <= _LARGEST_BODY:
        raise ExchangeError("not-http", f"a body of size {text[:40]!r}")
    return size
