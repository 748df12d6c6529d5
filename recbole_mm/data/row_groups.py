"""Operations on groups of rows (such as all rows of a user), fast for any number of ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor


def rows_by_ratio(keys: np.ndarray, cuts: Callable[[int], Sequence[int]]) -> list[np.ndarray]:
    """Split each group of rows like RecBole's `split_by_ratio`: groups are in the order of their first rows.

    Args:
        keys: group of each row, a number from 0 on, integer [n].
        cuts: size of a group -> start positions of its second part and of each later part.

    Returns:
        Row numbers of each part.
    """
    all_sizes = np.bincount(keys)
    first = np.empty(len(all_sizes), np.int64)
    first[keys[::-1]] = np.arange(len(keys))[::-1]  # of the rows of a group the first is written last
    groups = np.flatnonzero(all_sizes)
    by_appearance = groups[np.argsort(first[groups])]
    rank = np.empty(len(all_sizes), np.int64)
    rank[by_appearance] = np.arange(len(by_appearance))
    rows = stable_order(rank[keys], len(by_appearance))
    sizes = all_sizes[by_appearance]
    place = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    distinct_sizes, index = np.unique(sizes, return_inverse=True)
    starts = np.array([cuts(int(size)) for size in distinct_sizes]).reshape(len(distinct_sizes), -1)[index]
    part = (place[:, None] >= np.repeat(starts, sizes, axis=0)).sum(axis=1)
    return [rows[part == number] for number in range(starts.shape[1] + 1)]


def stable_order(keys: np.ndarray, groups: int) -> np.ndarray:
    """The rows by group, those of one group in their order: a stable argsort in linear time, int64 [n].

    Args:
        keys: group of each row, from 0 to ``groups`` - 1, integer [n].
    """
    rows = np.arange(len(keys))
    # Rows of a sparse matrix are gathered by counting.
    return csr_matrix((np.ones(len(keys), bool), (keys, rows)), (groups, len(keys))).indices.astype(np.int64)


def places_of_runs(starts: Tensor, sizes: Tensor) -> Tensor:
    """Positions in all runs, [sum of sizes]: starts[0], starts[0] + 1, … (sizes[0] numbers), then starts[1], …"""
    before = sizes.cumsum(0) - sizes  # total size of earlier runs
    return torch.arange(int(sizes.sum()), device=sizes.device) + (starts - before).repeat_interleave(sizes)
