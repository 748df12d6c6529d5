"""Operations on groups of rows (such as all rows of a user), fast for any number of ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor


def rows_by_ratio(keys: np.ndarray, cuts: Callable[[int], Sequence[int]]) -> list[np.ndarray]:
    """Split each group of rows like RecBole's `split_by_ratio`: groups are in the order of their first rows.

    Args:
        keys: group of each row, integer [n].
        cuts: size of a group -> start positions of its second part and of each later part.

    Returns:
        Row numbers of each part.
    """
    _, first, group, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    by_appearance = np.argsort(first)
    rank = np.empty_like(by_appearance)
    rank[by_appearance] = np.arange(len(rank))
    rows = np.argsort(rank[group], kind="stable")
    sizes = sizes[by_appearance]
    place = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    distinct_sizes, index = np.unique(sizes, return_inverse=True)
    starts = np.array([cuts(int(size)) for size in distinct_sizes]).reshape(len(distinct_sizes), -1)[index]
    part = (place[:, None] >= np.repeat(starts, sizes, axis=0)).sum(axis=1)
    return [rows[part == number] for number in range(starts.shape[1] + 1)]


def places_of_runs(starts: Tensor, sizes: Tensor) -> Tensor:
    """Positions in all runs, [sum of sizes]: starts[0], starts[0] + 1, … (sizes[0] numbers), then starts[1], …"""
    before = sizes.cumsum(0) - sizes  # total size of earlier runs
    return torch.arange(int(sizes.sum()), device=sizes.device) + (starts - before).repeat_interleave(sizes)
