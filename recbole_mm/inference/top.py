"""The best movies of each user by ranking scores, a chunk of users at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_mm.errors import InputError

_SCORES_AT_ONCE = 1 << 22  # 16 MB; it limits the number of users in a chunk


@torch.no_grad()
def best_movies(
    scores_of: Callable[[np.ndarray], Tensor],
    users: np.ndarray,
    k: int,
    hidden: csr_matrix | None = None,
    allowed: np.ndarray | None = None,
    item_num: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions in ``users``, movies and scores, each [n]: for each user in turn at most k movies, best first.

    Args:
        scores_of: ranking scores [B, N] of a chunk of the users.
        users: internal ids.
        hidden: movies that a user does not get, [len(users), N].
        allowed: ids of movies that users may get; all by default. Movie 0, [PAD], is never among them.
        item_num: N.
    """
    step = max(1, _SCORES_AT_ONCE // item_num)
    found = []
    for start in range(0, len(users), step):
        scores = scores_of(users[start : start + step])
        if hidden is not None:
            row, item = (torch.from_numpy(ids).long() for ids in hidden[start : start + step].nonzero())
            scores[row.to(scores.device), item.to(scores.device)] = -torch.inf
        excluded = torch.zeros(item_num, dtype=torch.bool, device=scores.device)
        if allowed is not None:
            excluded[:] = True
            excluded[torch.from_numpy(allowed)] = False
        excluded[0] = True
        scores[:, excluded] = -torch.inf
        best = scores.topk(min(k, item_num), dim=1)
        row, place = (best.values > -torch.inf).nonzero(as_tuple=True)
        found.append((row + start, best.indices[row, place], best.values[row, place]))
    empty = (torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    return tuple(torch.cat(parts).cpu().numpy() for parts in zip(*(found or [empty])))


def check_k(k: int) -> None:
    """Raise InputError unless k is a whole number of at least 1."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"k: {k!r}, but must be a whole number of movies, 1 or more")
