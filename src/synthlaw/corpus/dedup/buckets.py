"""Numbers of a whole corpus, spread over files so that each can be worked on alone.

What compares every item with every other is done bucket by bucket: items whose keys begin alike
are brought together in one file. Memory is the buffer and one bucket, whatever the corpus; a
bucket that holds very many equal keys is as large as they are.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Records = NDArray[np.uint64]

AT_ONCE = 1 << 19
"""Records that a bucket holds on average, at most: sorting them takes about 100 bytes each."""

BUFFER_BYTES = 1 << 25


def bits_for(total: int) -> int:
    """Leading bits that tell the buckets of `total` records apart."""
    return max(0, (total // AT_ONCE).bit_length())


def leading(keys: Records, bits: int) -> Numbers:
    """The bucket of each key: its first `bits` bits."""
    if not bits:
        return np.zeros(len(keys), np.int64)
    return (keys >> np.uint64(64 - bits)).astype(np.int64)


class Scatter:
    """Records of `width` 64-bit numbers in one file for each bucket, in the order of their coming.

    What an earlier run left in `folder` goes away.
    """

    def __init__(self, folder: Path, width: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.width = folder, width
        self._waiting: list[tuple[Numbers, Records]] = []
        self._bytes = 0
        self.records = 0

    def add(self, buckets: Numbers, records: Records) -> None:
        """Put each row of `records` [n, width] into the bucket at its place in `buckets` [n]."""
        if not len(records):
            return
        self._waiting.append((buckets, records))
        self._bytes += records.nbytes + buckets.nbytes
        self.records += len(records)
        if self._bytes >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        buckets = np.concatenate([waiting[0] for waiting in self._waiting])
        records = np.concatenate([waiting[1] for waiting in self._waiting])
        self._waiting, self._bytes = [], 0
        order = np.argsort(buckets, kind="stable")
        buckets, records = buckets[order], records[order]
        starts = np.flatnonzero(np.concatenate([[True], buckets[1:] != buckets[:-1]]))
        for start, end in zip(starts, [*starts[1:], len(buckets)], strict=True):
            with self.path(int(buckets[start])).open("ab") as stream:
                stream.write(np.ascontiguousarray(records[start:end]).data)

    def path(self, bucket: int) -> Path:
        """The file of one bucket; it is not there when the bucket is empty."""
        return self.folder / f"{bucket:07d}.bin"

    def read(self, bucket: int) -> Records:
        """The records of one bucket: uint64 [n, width]."""
        self.flush()
        return read_records(self.path(bucket), self.width)

    def each(self) -> Iterator[Records]:
        """The records of every bucket that has some, in the buckets' order."""
        self.flush()
        for path in sorted(self.folder.iterdir()):
            yield read_records(path, self.width)

    def remove(self) -> None:
        """Remove all files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def read_records(path: Path | str, width: int) -> Records:
    """The records in one file of a `Scatter`: uint64 [n, width]; of no file, none."""
    if not Path(path).exists():
        return np.zeros((0, width), np.uint64)
    return np.fromfile(path, np.uint64).reshape(-1, width)


class RowScatter:
    """JSON values by bucket, in the order of their coming."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._waiting: defaultdict[int, list[str]] = defaultdict(list)
        self._bytes = 0

    def add(self, bucket: int, value: Any) -> None:
        """Put a value into a bucket."""
        line = json.dumps(value) + "\n"
        self._waiting[bucket].append(line)
        self._bytes += len(line)
        if self._bytes >= BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        for bucket, lines in self._waiting.items():
            with (self._folder / f"{bucket:07d}.jsonl").open("a", encoding="utf-8") as stream:
                stream.writelines(lines)
        self._waiting.clear()
        self._bytes = 0

    def read(self, bucket: int) -> list[Any]:
        """The values of one bucket."""
        self._flush()
        path = self._folder / f"{bucket:07d}.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
