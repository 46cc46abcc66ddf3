"""Files for reading, local or in an object store, by one name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from synthlaw.common.errors import MissingExtraError, UsageError

_STORES = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "hf": ("huggingface_hub", "hub"),
}
"""By scheme: the package that fsspec needs, and our extra that brings it."""


def is_remote(path: str) -> bool:
    """Whether `path` is a URL."""
    return "://" in path


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for `url`, and the path in it.

    Raises MissingExtraError when its package is not installed, UsageError for an unknown scheme.
    """
    import fsspec

    scheme = url.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError:
        package, extra = _STORES.get(scheme, (f"of fsspec for {scheme}", scheme))
        raise MissingExtraError(package, extra, f"{scheme}://") from None
    except ValueError as error:
        known = ", ".join(("http", "https", *_STORES))
        raise UsageError(f"{url}: {error}; expected {known} before '://'") from None
    return system, path


def open_binary(path: str, on_read: Callable[[int], object] | None = None) -> BinaryIO:
    """A file for reading, seekable: local, or remote through fsspec.

    on_read: told of every number of bytes that is read.
    Raises UsageError when it cannot be opened.
    """
    try:
        if is_remote(path):
            system, inner = file_system(path)
            stream: BinaryIO = system.open(inner, "rb")
        else:
            stream = Path(path).open("rb")  # noqa: SIM115  the caller closes it
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened ({error})") from error
    return stream if on_read is None else _Counted(stream, on_read)  # type: ignore[return-value]


class _Counted:
    """A stream that tells how much is read of it."""

    def __init__(self, stream: BinaryIO, on_read: Callable[[int], object]) -> None:
        self._stream, self._on_read = stream, on_read
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._on_read(len(data))
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
