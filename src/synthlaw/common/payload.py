"""Payloads of HTTP responses, chunks put together, encodings undone.

Headers cannot be trusted, least of all in archives: some crawlers keep a payload as it was
transferred, some decoded with the headers left as they were. So the bytes decide where they can:
gzip and zstd say so themselves. Of deflate and Brotli only the header can tell, and only of what is
no text as it is.
"""

from __future__ import annotations

import re
import zlib

_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,4096})?\r?\n")
_MOST_ENCODINGS = 6
_TOKEN = re.compile(r"[a-z0-9-]+")
_CONTROLS = bytes([*range(9), 11, *range(14, 27), *range(28, 32), 127])
_SAMPLE = 1 << 16


class PayloadError(Exception):
    """A payload that cannot be used: what is wrong with it."""


class TooLargeError(PayloadError):
    """A payload that unpacks to more than is wanted."""


class _BrokenError(PayloadError):
    """An encoding that is not the one it is said to be, or broken."""


def controls_share(body: bytes) -> float:
    """The share of control characters that text has not in the beginning of `body`."""
    sample = body[:_SAMPLE]
    return (len(sample) - len(sample.translate(None, _CONTROLS))) / max(1, len(sample))


def decoded(body: bytes, http: dict[str, str], limit: int) -> bytes:
    """The payload without its transfer and content encodings; at most `limit` bytes.

    Raises PayloadError for one that is broken, larger, or encoded in a way that is not known.
    """
    transfer = _TOKEN.findall(http.get("transfer-encoding", "").lower())
    labels = {*transfer, *_TOKEN.findall(http.get("content-encoding", "").lower())}
    if "chunked" in transfer:
        body = unchunked(body)
    for _ in range(_MOST_ENCODINGS):
        found = _undone(body, labels, limit)
        if found is None:
            return body
        body = found
    raise PayloadError(f"encoded more than {_MOST_ENCODINGS} times")


def _undone(body: bytes, labels: set[str], limit: int) -> bytes | None:
    """The payload with one encoding less; None when it has none."""
    if body[:3] == b"\x1f\x8b\x08":
        return _inflated(body, 31, limit)
    if body[:4] == b"\x28\xb5\x2f\xfd":
        return _unzstd(body, limit)
    if not labels & {"br", "deflate", "x-deflate", "compress", "x-compress"} or _is_text(body):
        return None
    if labels & {"deflate", "x-deflate"}:
        for window in (15, -15):
            try:
                return _inflated(body, window, limit, whole=True)
            except _BrokenError:
                continue
    if "br" in labels and (found := _unbrotli(body, limit)) is not None:
        return found
    if body[:2] == b"\x1f\x9d":
        raise PayloadError("its content encoding, compress, is not known")
    return None


def _is_text(body: bytes) -> bool:
    """Whether the payload is text as it is."""
    sample = body[:_SAMPLE]
    if controls_share(sample) > 0:
        return False
    try:
        sample[: max(0, len(sample) - 3)].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(sample) - 8
    return True


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"unpacks to more than {limit} bytes")


def _inflated(body: bytes, window: int, limit: int, *, whole: bool = False) -> bytes:
    """What zlib unpacks of the body; a cut one gives what it holds, unless it must be whole."""
    unpacker = zlib.decompressobj(window)
    try:
        found = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise _BrokenError(f"its content encoding is broken ({error})") from None
    if len(found) > limit:
        raise _too_large(limit)
    if not found or (whole and window < 0 and not unpacker.eof):
        raise _BrokenError("its content encoding is broken (nothing to unpack)")
    return found


def _unzstd(body: bytes, limit: int) -> bytes:
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    try:
        with unpacker.stream_reader(body, read_across_frames=True) as reader:
            found = bytes(reader.read(limit + 1))
    except zstandard.ZstdError as error:
        raise _BrokenError(f"its content encoding is broken ({error})") from None
    if len(found) > limit:
        raise _too_large(limit)
    if not found:
        raise _BrokenError("its content encoding is broken (nothing to unpack)")
    return found


def _unbrotli(body: bytes, limit: int) -> bytes | None:
    """What Brotli unpacks; None when the body is no Brotli: decoded already."""
    import brotli

    unpacker = brotli.Decompressor()
    try:
        found = bytes(unpacker.process(body, output_buffer_limit=limit + 1))
    except brotli.error:
        return None
    if len(found) > limit:
        raise _too_large(limit)
    return found or None


def unchunked(body: bytes) -> bytes:
    """A chunked body put together; as it is when it is not chunked.

    What stands behind a malformed size is not read: a page may be cut.
    """
    parts: list[bytes] = []
    place = 0
    while (size := _CHUNK_SIZE.match(body, place)) is not None:
        length = int(size[1], 16)
        if length == 0:
            break
        start, place = size.end(), size.end() + length
        parts.append(body[start:place])
        if body.startswith(b"\r\n", place):
            place += 2
        elif body.startswith(b"\n", place):
            place += 1
        elif place < len(body):
            if len(parts) == 1:
                return body  # no chunks, but text that happens to begin like one
            break
    return b"".join(parts) if parts or size is not None else body
