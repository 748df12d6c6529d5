"""Rows by user, for as many ratings as there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor


def rows_by_ratio(keys: np.ndarray, cuts: Callable[[int], Sequence[int]]) -> list[np.ndarray]:
    """Split each group of rows, as RecBole's `split_by_ratio` does: groups in the order of their first rows.

    Args:
        keys: group of each row, integer [n].
        cuts: from the size of a group, where its second and each further part starts.

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
    several, which = np.unique(sizes, return_inverse=True)
    starts = np.array([cuts(int(size)) for size in several]).reshape(len(several), -1)[which]
    part = (place[:, None] >= np.repeat(starts, sizes, axis=0)).sum(axis=1)
    return [rows[part == number] for number in range(starts.shape[1] + 1)]


def places_of_runs(starts: Tensor, sizes: Tensor) -> Tensor:
    """Places of runs one after the other, [sum of sizes]: starts[0], starts[0] + 1, …, then those of starts[1], …"""
    before = sizes.cumsum(0) - sizes
    return torch.arange(int(sizes.sum()), device=sizes.device) + (starts - before).repeat_interleave(sizes)
