"""Where a server is and how to show who asks: base URLs and keys as people paste them.

Secrets (the key, a password in the URL, values of its query) are sent and never shown: `url` holds
none of them, and `scrub` takes them out of what a server says.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from synthlaw.common.errors import UsageError

KEY_VARIABLES = ("SYNTHLAW_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set; it is never shown."""

_EXAMPLE = "one like http://localhost:8000/v1"
_QUOTES = "\"'“”‘’`<>"
_PASTED_ENDS = re.compile(r"/(?:chat/completions|completions|models|responses|embeddings)/?$")
_SHORTEST_SECRET = 4
_AZURE_HOSTS = (".azure.com", ".azure.us", ".azure.cn")


@dataclass(frozen=True)
class ServerAddress:
    """A server. url: base URL that may be shown. headers, query: sent, never shown."""

    url: str
    query: str = field(default="", repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def join(self, path: str) -> str:
        """The URL of a path below the base URL; `//tokenize` is below the server's root."""
        base = self.url
        if path.startswith("//"):
            base, path = re.sub(r"/v\d+[a-z0-9]*$", "", base), path[1:]
        return base + path + (f"?{self.query}" if self.query else "")

    def scrub(self, text: str) -> str:
        """`text` with every secret replaced."""
        for secret in self.secrets:
            text = text.replace(secret, "[secret]")
        return text


def server_address(text: str, key: str | None = None) -> ServerAddress:
    """A base URL as pasted: white space, quotes, `/chat/completions`, user and password, a query.

    `/v1` is added to a bare host. key: sent as bearer token, and as `api-key` to Azure. Raises
    UsageError, which shows no password, when it is no http or https URL.
    """
    bare = text.strip().strip(_QUOTES).strip()
    shown = re.sub(r"//.*@", "//[secret]@", bare).partition("?")[0][:200]
    wrong = f"base URL: found {shown!r}; expected {_EXAMPLE}"
    if "://" not in bare:
        raise UsageError(f"{wrong} (http:// or https:// is missing)")
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(wrong) from error
    if (
        parts.scheme not in ("http", "https")
        or not host
        or re.search(r"[\s\\]|[^\x21-\uffff]", bare)
    ):
        raise UsageError(wrong)
    if parts.username is not None and "@" in parts.path + parts.query + parts.fragment:
        raise UsageError(f"{wrong} (within a password write / ? # @ as %2F %3F %23 %40)")
    if port == 0:
        raise UsageError(f"{wrong} (port 0)")
    path = _PASTED_ENDS.sub("", re.sub(r"/{2,}", "/", parts.path)).rstrip("/")
    place = f"[{host}]" if ":" in host else host
    url = f"{parts.scheme}://{place}{f':{port}' if port else ''}{path or '/v1'}"
    headers = _authorization(parts, key)
    if key and (host.endswith(_AZURE_HOSTS) or "api-version" in dict(parse_qsl(parts.query))):
        headers["api-key"] = key
    return ServerAddress(url, parts.query, headers, _secrets(parts, headers, key))


def _authorization(parts: SplitResult, key: str | None) -> dict[str, str]:
    """A password in the URL was written for this server, so it goes before the key."""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return {"Authorization": f"Bearer {key}"} if key else {}


def _secrets(parts: SplitResult, headers: dict[str, str], key: str | None) -> tuple[str, ...]:
    """Everything that must not be shown, longest first."""
    alone = parts.username if parts.password is None else ""  # a token in place of a user
    values = [key, parts.password, unquote(parts.password or ""), alone, parts.query]
    values += [value for name, value in parse_qsl(parts.query) if name != "api-version"]
    values += [value.partition(" ")[2] for value in headers.values()]
    found = {value for value in values if value and len(value) >= _SHORTEST_SECRET}
    return tuple(sorted(found, key=len, reverse=True))


def api_key() -> str | None:
    """The key of the environment as pasted: white space, quotes, `Bearer` before it are taken off.

    None where there is none. Raises UsageError, without showing it, for what cannot be a key.
    """
    for variable in KEY_VARIABLES:
        key = os.environ.get(variable, "").strip().strip(_QUOTES).strip()
        key = re.sub(r"^(?:authorization:\s*)?bearer\s+", "", key, flags=re.IGNORECASE)
        key = key.strip().strip(_QUOTES)
        if not key:
            continue
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise UsageError(
                f"{variable}: found white space or letters that are not ASCII within the key; "
                "expected the key alone, on one line"
            )
        return key
    return None
