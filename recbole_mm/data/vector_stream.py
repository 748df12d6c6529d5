"""Writes the npz form of a field from blocks of rows, without all rows in memory."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from recbole_mm.files import writing

_COPY_BYTES = 1 << 20


class VectorStream:
    """Collects blocks of rows of one field; only the item ids stay in memory."""

    def __init__(self, rows: BinaryIO) -> None:
        self._rows = rows
        self._dimension: int | None = None
        self.item_ids: list[str] = []

    def append(self, item_ids: Sequence[str], values: np.ndarray) -> None:
        """Add n rows: item ids [n], unique over all blocks, and finite values [n, d], the same d in each block.

        Raises:
            ValueError: numbers of ids and rows differ, or d differs from earlier blocks.
        """
        if len(item_ids) != len(values) or self._dimension not in (None, values.shape[1]):
            raise ValueError(f"{len(item_ids)} ids, values {values.shape}, after rows of {self._dimension} values")
        self._dimension = values.shape[1]
        self._rows.write(np.ascontiguousarray(values, "<f4").data)
        self.item_ids += item_ids

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows so far, and their length."""
        return len(self.item_ids), self._dimension or 0


@contextmanager
def streaming_npz(path: Path) -> Iterator[VectorStream]:
    """A `VectorStream` whose rows become the npz file ``path`` when the block succeeds.

    The file equals the file that `write_vectors_npz` writes of the same rows. It appears complete or not at all;
    without rows there is no file.
    """
    path = Path(path)
    with tempfile.TemporaryFile(dir=path.parent) as rows:
        stream = VectorStream(rows)
        yield stream
        if stream.item_ids:
            with writing(path) as temporary:
                _write_npz(temporary, stream, rows)


def _write_npz(path: Path, stream: VectorStream, rows: BinaryIO) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": stream.shape}
    rows.seek(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("item_id.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.asarray(stream.item_ids, np.str_), allow_pickle=False)
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            shutil.copyfileobj(rows, member, _COPY_BYTES)
