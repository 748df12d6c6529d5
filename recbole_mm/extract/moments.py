"""Mean and standard deviation of a stream."""

from __future__ import annotations

import numpy as np


class Moments:
    """Mean and standard deviation of vectors [d] that come in blocks, in constant memory.

    Blocks are merged by the update of Chan, Golub and LeVeque (The American Statistician 1983), which avoids the
    difference of two large sums.
    """

    def __init__(self) -> None:
        self.n_rows = 0
        self.mean: np.ndarray | float = 0.0
        self._squares: np.ndarray | float = 0.0

    def add(self, block: np.ndarray) -> None:
        """Add the rows of ``block`` [n, d]; n may be 0."""
        if not len(block):
            return
        block = np.asarray(block, np.float64)
        mean = block.mean(axis=0)
        shift, total = mean - self.mean, self.n_rows + len(block)
        self._squares = (
            self._squares + ((block - mean) ** 2).sum(axis=0) + shift**2 * (self.n_rows * len(block) / total)
        )
        self.mean = self.mean + shift * (len(block) / total)
        self.n_rows = total

    @property
    def deviation(self) -> np.ndarray:
        """Population standard deviation [d]; 0 before the first block."""
        return np.sqrt(self._squares / max(self.n_rows, 1))
