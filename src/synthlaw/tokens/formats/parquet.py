"""Windows as rows of Parquet files, in order: `window`, `source`, `input_ids`, `text`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.tokens.mixture import Mixture

FILES = ("part-*.parquet",)
ROWS = 1 << 16
"""Windows of one file; its row groups are the blocks that are added."""

SCHEMA = pa.schema(
    [
        ("window", pa.int64()),
        ("source", pa.string()),
        ("input_ids", pa.list_(pa.int32())),
        ("text", pa.string()),
    ]
)


class Writer:
    """Rows appended to one file after another. The text of a window is without its last target."""

    def __init__(self, folder: Path, mixture: Mixture) -> None:
        self._folder, self._mixture = folder, mixture
        self._file: pq.ParquetWriter | None = None
        self._windows = 0

    def add(self, sources: np.ndarray, windows: np.ndarray) -> None:
        """Append windows, int64 [n, context + 1]; sources: the number of each one's."""
        if self._file is None or self._windows % ROWS == 0:
            self.close()
            place = self._folder / f"part-{self._windows // ROWS:05d}.parquet"
            self._file = pq.ParquetWriter(place, SCHEMA, compression="zstd")
        count, width = windows.shape
        ids = pa.ListArray.from_arrays(
            pa.array(np.arange(count + 1) * width, pa.int32()),
            pa.array(windows.astype(np.int32).ravel()),
        )
        columns = [
            pa.array(np.arange(self._windows, self._windows + count)),
            pa.array([self._mixture.sources[i] for i in sources], pa.string()),
            ids,
            pa.array(self._mixture.texts(windows), pa.string()),
        ]
        self._file.write_table(pa.table(columns, schema=SCHEMA))
        self._windows += count

    def close(self) -> None:
        """End the file that is being written."""
        if self._file is not None:
            self._file.close()
            self._file = None
