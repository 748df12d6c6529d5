"""Who rated what, as tensors of a file: for each user the movies, and in which parts each was rated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_mm.errors import InputError
from recbole_mm.model.users import Users

NAMES = ("users.starts", "users.movies", "users.parts")
# A movie rated twice can be in several parts.
LIKED, DISLIKED, SEEN, SEEN_ALL = 1, 2, 4, 8
_LARGEST = LIKED | DISLIKED | SEEN | SEEN_ALL


def tensors_of(users: Users, seen: Mapping[bool | str, csr_matrix]) -> dict[str, Tensor]:
    """The tensors of all users.

    Args:
        users: movies liked and disliked in training.
        seen: for ``exclude_seen=True`` and ``"all"``, which user has rated which movie, [U, N or fewer].
    """
    of_part = {LIKED: _pairs(users.liked), DISLIKED: _pairs(users.disliked)}
    of_part |= {SEEN: seen[True].nonzero(), SEEN_ALL: seen["all"].nonzero()}
    user = np.concatenate([pairs[0] for pairs in of_part.values()])
    item = np.concatenate([pairs[1] for pairs in of_part.values()])
    part = np.concatenate([np.full(len(pairs[0]), flag, np.int64) for flag, pairs in of_part.items()])
    # Equal pairs are added: a pair is in each part once, so that the sum has the flags of its parts.
    matrix = csr_matrix((part, (user, item)), shape=(len(users), users.liked.item_num))
    return {
        "users.starts": torch.from_numpy(matrix.indptr.astype(np.int64)),
        "users.movies": torch.from_numpy(matrix.indices.astype(np.int64)),
        "users.parts": torch.from_numpy(matrix.data.astype(np.uint8)),
    }


def read(
    path: str | Path, tensors: Mapping[str, Tensor], sizes: tuple[int, int]
) -> tuple[Users, dict[bool | str, csr_matrix]]:
    """Users and what they have seen, as given to `tensors_of`.

    Args:
        path: the file, for messages.
        sizes: numbers of users and movies, [PAD] included.

    Raises:
        InputError: a tensor is missing or of another type, or an id is out of range.
    """
    for name, dtype in zip(NAMES, (torch.int64, torch.int64, torch.uint8)):
        if name not in tensors or tensors[name].dtype != dtype or tensors[name].ndim != 1:
            raise InputError(f"{path}: '{name}' is missing or of another type; save the model again")
    starts, movies, parts = (tensors[name].numpy() for name in NAMES)
    user_num, item_num = sizes
    right = len(starts) == user_num + 1 and starts[0] == 0 and starts[-1] == len(movies) == len(parts)
    if not right or (np.diff(starts) < 0).any():
        raise InputError(f"{path}: 'users.starts' does not fit the users and their movies; save the model again")
    user = np.repeat(np.arange(user_num), np.diff(starts))
    in_range = (movies > 0) & (movies < item_num) & (parts > 0) & (parts <= _LARGEST)
    if not in_range.all():
        raise InputError(f"{path}: 'users.movies' or 'users.parts' has a number out of range; save the model again")
    rated = {flag: parts & flag > 0 for flag in (LIKED, DISLIKED, SEEN, SEEN_ALL)}
    trained = np.concatenate([user[rated[LIKED]], user[rated[DISLIKED]]])
    items = np.concatenate([movies[rated[LIKED]], movies[rated[DISLIKED]]])
    is_liked = np.arange(len(trained)) < rated[LIKED].sum()
    seen = {
        key: csr_matrix((np.ones(rated[flag].sum(), bool), (user[rated[flag]], movies[rated[flag]])), shape=sizes)
        for key, flag in ((True, SEEN), ("all", SEEN_ALL))
    }
    return Users.from_rows(trained, items, is_liked, user_num, item_num), seen


def _pairs(of_users) -> tuple[np.ndarray, np.ndarray]:
    pairs = of_users.pairs.cpu().numpy()
    return pairs // of_users.item_num, pairs % of_users.item_num
