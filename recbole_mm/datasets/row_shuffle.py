"""A random order for more rows than memory should hold."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

PARTS = 64


class RowShuffle:
    """Puts rows of numbers into a random order. The same rows and seed give the same order, whatever the block sizes.

    Each row goes to one of 64 temporary files at random; then each file is shuffled in memory. A context manager,
    which removes the files.

    Args:
        folder: of the temporary files, which have no name.
        columns: length of a row.
    """

    def __init__(self, folder: Path, columns: int, seed: int) -> None:
        self._columns = columns
        self._random = np.random.default_rng(seed)
        self._files = ExitStack()
        self._parts = [
            self._files.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - closed by __exit__
            for _ in range(PARTS)
        ]

    def __enter__(self) -> RowShuffle:
        return self

    def __exit__(self, *exception) -> None:
        self._files.close()

    def add(self, rows: np.ndarray) -> None:
        """Add rows [n, columns], kept as float64."""
        part = (self._random.random(len(rows)) * PARTS).astype(int)
        order = np.argsort(part, kind="stable")
        blocks = np.split(np.asarray(rows, np.float64)[order], np.searchsorted(part[order], np.arange(1, PARTS)))
        for file, block in zip(self._parts, blocks):
            file.write(block.tobytes())

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows in their random order, in blocks [n, columns]."""
        for file in self._parts:
            file.seek(0)
            rows = np.frombuffer(file.read(), np.float64).reshape(-1, self._columns)
            yield self._random.permutation(rows)
