"""An HTTP client for one server: aiohttp, narrowed to what an engine needs.

Added here: a body has a largest size; redirects keep the method and never leave the host, since the
key and the documents would go along; proxies of the environment are looked up once, not with every
request; errors are told apart by what the user can do about them.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from synthlaw.common.errors import UsageError
from synthlaw.common.payload import PayloadError, TooLargeError, decoded
from synthlaw.generate.engines.address import ServerAddress

LARGEST_BODY = 1 << 25
"""Bytes of an answer that are read: 32 MiB, some thousand times a long answer."""

_LARGEST_HEADER = 1 << 16
_MOST_REDIRECTS = 5
_KEEPS_METHOD = frozenset({301, 302, 307, 308})
_UNKNOWN_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class ConnectError(Exception):
    """No connection could be made: nothing was sent."""


class WrongAddressError(ConnectError):
    """No connection to this address can ever be made: unknown host, bad certificate."""


class ExchangeError(Exception):
    """The connection broke, or what came back is no HTTP answer. reason: a name for counting."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True)
class Response:
    """Status, headers (names in any case), and the whole body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY).

    None where there is none or NO_PROXY names the host. Raises UsageError for a proxy of a kind
    that is not spoken here.
    """
    target = URL(url)
    named = getproxies()
    proxy = named.get(target.scheme) or named.get("all")
    if not proxy or proxy_bypass(f"{target.host}:{target.port}") or _in_a_network(target.host):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        scheme, host = URL(proxy).scheme, URL(proxy).host
    except ValueError:
        scheme, host = "", None
    if scheme not in ("http", "https") or not host:
        raise UsageError(
            f"{target.scheme.upper()}_PROXY or ALL_PROXY: found a proxy of the kind {scheme!r} for "
            f"{target.host}; expected http://HOST:PORT (or name the host in NO_PROXY)"
        )
    return proxy


def _in_a_network(host: str | None) -> bool:
    """Whether NO_PROXY names a network, such as 10.0.0.0/8, that the address lies in."""
    for one in getproxies().get("no", "").split(","):
        try:
            if ip_address(host or "") in ip_network(one.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


class HttpClient:
    """Requests to one server over kept connections. Used within `async with`."""

    def __init__(
        self,
        address: ServerAddress,
        *,
        timeout: float,
        connect_timeout: float,
        direct: bool = False,
    ) -> None:
        """timeout, connect_timeout: seconds for a whole exchange, and for connecting.

        direct: leave the environment's proxies out. Raises UsageError for an unusable proxy.
        """
        self._address = address
        self._proxy = None if direct else proxy_for(address.url)
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._urls: dict[str, URL] = {}
        self._limit = cache(self._new_limit)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Asking for compression would cost both sides time; an answer that is compressed is read.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {"Content-Type": "application/json"} | self._address.headers
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=self._limit(self._timeout),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # ours is bounded, and goes by the bytes where headers are wrong
            max_line_size=_LARGEST_HEADER,
            max_field_size=_LARGEST_HEADER,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; exchanges under way break."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, path: str, body: bytes) -> Response:
        """POST JSON. path: below the address, or from the root with `//`.

        Raises ConnectError, ExchangeError.
        """
        return await self._exchange("POST", path, body, self._timeout)

    async def get(self, path: str, timeout: float) -> Response:
        """GET; otherwise as `post`."""
        return await self._exchange("GET", path, None, timeout)

    def _new_limit(self, seconds: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=seconds, connect=self._connect_timeout)

    async def _exchange(
        self, method: str, path: str, body: bytes | None, timeout: float
    ) -> Response:
        url = self._urls.get(path)
        try:
            if url is None:
                url = self._urls[path] = URL(self._address.join(path))
            for _ in range(_MOST_REDIRECTS):
                response = await self._once(method, url, body, timeout)
                onward = _redirect(url, response)
                if onward is None:
                    return response
                url = onward
        except Exception as error:
            raise self._told(error, timeout) from error
        raise ExchangeError("redirects", f"more than {_MOST_REDIRECTS} redirects")

    async def _once(self, method: str, url: URL, body: bytes | None, timeout: float) -> Response:
        assert self._session is not None, "the client is not entered"
        limit = self._limit(timeout)
        async with self._session.request(
            method, url, data=body, proxy=self._proxy, timeout=limit, allow_redirects=False
        ) as response:
            if (response.content_length or 0) > LARGEST_BODY:
                raise ExchangeError("too-large", f"a body of {response.content_length} bytes")
            parts, size = [], 0
            while part := await response.content.readany():
                parts.append(part)
                size += len(part)
                if size > LARGEST_BODY:
                    raise ExchangeError("too-large", f"a body of more than {LARGEST_BODY} bytes")
            body = _plain(b"".join(parts), response)
            return Response(response.status, response.headers, body)

    def _told(self, error: Exception, timeout: float) -> Exception:
        """The error as one of this module's; unforeseen ones of the library included."""
        if isinstance(error, ConnectError | ExchangeError):
            return error
        # Before the kinds that they are subclasses of.
        if isinstance(error, aiohttp.ClientConnectorError):
            return _connect_error(error)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return ConnectError(f"no connection in {self._connect_timeout:g} s")
        if isinstance(error, TimeoutError):
            return ExchangeError("timeout", f"no answer in {timeout:g} s")
        return _exchange_error(error)


def _plain(body: bytes, response: aiohttp.ClientResponse) -> bytes:
    """A body without its encoding, in UTF-8 where the header names another character set.

    Raises ExchangeError.
    """
    try:
        encoding = response.headers.get("Content-Encoding", "")
        body = decoded(body, {"content-encoding": encoding}, LARGEST_BODY)
    except PayloadError as error:
        reason = "too-large" if isinstance(error, TooLargeError) else "unreadable-body"
        raise ExchangeError(reason, str(error)) from error
    charset = response.charset
    if charset and charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        with contextlib.suppress(LookupError, ValueError):
            return body.decode(charset).encode()
    return body


def _exchange_error(error: Exception) -> Exception:
    """What broke after there was a connection."""
    if isinstance(error, aiohttp.InvalidURL | UnicodeError):
        return WrongAddressError(f"no URL that can be asked ({_words(str(error))})")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return WrongAddressError(f"the proxy answers {error.status} {error.message}")
    for kind, reason in _BROKEN:
        if isinstance(error, kind):
            words = str(error.__cause__ or error) or type(error).__name__
            return ExchangeError(reason, _words(words))
    return error


_BROKEN: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientResponseError, "not-http"),
    (aiohttp.ClientPayloadError, "broken-body"),
    (aiohttp.ClientError, "connection-dropped"),
    (OSError, "connection-dropped"),
    (ValueError, "not-http"),
)
"""What the library raises, from special to general, and its short name."""


def _words(text: str) -> str:
    """An error's words on one line."""
    return " ".join(text.split())[:300]


def _connect_error(error: aiohttp.ClientConnectorError) -> ConnectError:
    """Wrong for good, or only now."""
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        words = getattr(error.certificate_error, "verify_message", "") or str(cause)
        return WrongAddressError(f"the certificate does not verify: {words}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return WrongAddressError(f"the certificate does not verify: {cause.verify_message}")
    if isinstance(cause, ssl.SSLError):
        return WrongAddressError(
            f"no TLS ({cause.reason or cause}); does the server speak http, not https?"
        )
    proxied = isinstance(error, aiohttp.ClientProxyConnectionError)
    place = f"the proxy {error.host}" if proxied else f"the host {error.host!r}"
    if isinstance(cause, socket.gaierror):
        kind = WrongAddressError if cause.errno in _UNKNOWN_HOST else ConnectError
        return kind(f"{place} is not known ({cause.strerror})")
    if cause.errno == errno.ECONNREFUSED:
        return ConnectError(f"{place}: connection refused" if proxied else "connection refused")
    return ConnectError(_words(str(cause)) or repr(cause))


def _redirect(url: URL, response: Response) -> URL | None:
    """Where a redirect leads on the same host; None when the answer is none to be followed.

    Raises ExchangeError when it leads elsewhere.
    """
    location = response.headers.get("Location")
    if response.status not in _KEEPS_METHOD or not location:
        return None
    try:
        target = url.join(URL(location))
    except ValueError:
        raise ExchangeError("redirect", f"to {location[:200]!r}") from None
    same = target.host == url.host and (
        (target.scheme, target.port) == (url.scheme, url.port)
        or (url.scheme, target.scheme) == ("http", "https")
    )
    if not same:
        shown = target.with_query(None).with_user(None)
        raise ExchangeError(
            "redirect", f"to {str(shown)[:200]}; give that as the base URL if it is right"
        )
    return target
