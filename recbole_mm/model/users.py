"""Users: the movies they liked and disliked in training, and their profiles.

Shapes: N movies and U users ([PAD] included), B pairs, m = length of the representation z that profiles average.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.row_groups import places_of_runs
from recbole_mm.data.user_sets import UserSets


class Users(nn.Module):
    """L(u) and D(u): the movies that each user rated at or above the like threshold, and below it.

    Args:
        liked, disliked: one set of movies for each user. Data without ratings have liked movies only.
        raters: users with at least two training rows, ids; one row cannot be split into an input half and a target
            half.
    """

    liked: UserHistories
    disliked: UserHistories
    raters: Tensor

    def __init__(self, liked: UserHistories, disliked: UserHistories, raters: Tensor) -> None:
        super().__init__()
        self.liked, self.disliked = liked, disliked
        self.register_buffer("raters", raters, persistent=False)

    @classmethod
    def from_rows(cls, users: np.ndarray, items: np.ndarray, is_liked: np.ndarray, user_num: int, item_num: int):
        """The users of the training rows.

        Args:
            users, items: ids of the rows, integer [n].
            is_liked: whether the user likes the movie of the row, bool [n].
            user_num, item_num: U and N.
        """
        liked, disliked = (
            UserHistories(users[rows], items[rows], user_num, item_num) for rows in (is_liked, ~is_liked)
        )
        raters = np.flatnonzero(np.bincount(users, minlength=user_num) > 1)
        return cls(liked, disliked, torch.from_numpy(raters))

    @classmethod
    def of_people(cls, liked: Sequence[Sequence[int]], disliked: Sequence[Sequence[int]], item_num: int):
        """Other people, with ids 0 to R - 1, from the ids of the movies that each likes and does not like."""
        histories = (UserHistories.of_people(sets, item_num) for sets in (liked, disliked))
        return cls(*histories, raters=torch.empty(0, dtype=torch.long))

    def __len__(self) -> int:
        """Number of users U."""
        return len(self.liked)

    def with_catalogue(self, item_num: int) -> Users:
        """The same users with a catalogue that has more movies."""
        liked, disliked = (histories.with_catalogue(item_num) for histories in (self.liked, self.disliked))
        return Users(liked, disliked, self.raters)


class UserProfiles(nn.Module):
    """P(u) = mean of z over L(u) + mean of V z over D(u); a learned vector replaces the mean over an empty L(u).

    Args:
        size: m.
        with_disliked: add the term of D(u). V starts at zero: at the start a profile is the mean of the liked movies.
    """

    def __init__(self, size: int, with_disliked: bool) -> None:
        super().__init__()
        self.empty = nn.Parameter(torch.zeros(size))
        self.dislike = None
        if with_disliked:
            self.dislike = nn.Linear(size, size, bias=False)
            nn.init.zeros_(self.dislike.weight)

    def forward(self, users: Users, z: Tensor) -> Tensor:
        """P of every user, [U, m], from z of the catalogue [N, m]."""
        profiles = users.liked.averages(z, self.empty)
        if self.dislike is not None:
            profiles = profiles + users.disliked.averages(self.dislike(z))
        return profiles

    def leave_one_out(self, users: Users, z: Tensor, targets: Tensor, user_ids: Tensor, items: Tensor) -> Tensor:
        """P of each pair's user from all training movies of the user except the pair's own movie, [B, m].

        Args:
            z: of the catalogue, [N, m].
            targets: z of each pair's movie, ``z[items]``, [B, m].
            user_ids, items: the pairs, ids [B].
        """
        profiles = users.liked.leave_one_out(z, targets, user_ids, items, self.empty)
        if self.dislike is not None:
            disliked = self.dislike(z)
            targets = F.embedding(items, disliked)
            profiles = profiles + users.disliked.leave_one_out(disliked, targets, user_ids, items)
        return profiles


class UserHistories(nn.Module):
    """Mean of z(m) over a set of movies for each user: for P(u), the training movies L(u) that u liked.

    Args:
        users, items: ids of the (user, movie) pairs in the sets, integer [R]; a pair may be there twice.
        user_num, item_num: sizes of the id spaces, [PAD] included.

    The tensors are not saved in a checkpoint: they are rebuilt from the training rows.
    """

    matrix: Tensor
    matrix_transposed: Tensor
    pairs: Tensor
    counts: Tensor
    item_counts: Tensor

    def __init__(self, users: np.ndarray, items: np.ndarray, user_num: int, item_num: int) -> None:
        super().__init__()
        matrix = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(user_num, item_num))
        matrix.sum_duplicates()  # and sorts
        matrix.data[:] = 1.0  # a movie rated twice counts once
        counts = np.diff(matrix.indptr)
        self.item_num = item_num
        for name, tensor in {
            "matrix": _to_torch(matrix),
            "matrix_transposed": _to_torch(matrix.T.tocsr()),
            "pairs": torch.from_numpy(np.repeat(np.arange(user_num), counts) * item_num + matrix.indices),
            "counts": torch.from_numpy(counts.astype(np.float32)),
            "item_counts": torch.from_numpy(np.bincount(matrix.indices, minlength=item_num).astype(np.float32)),
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    @classmethod
    def of_people(cls, sets: Sequence[Sequence[int]], item_num: int) -> UserHistories:
        """One user for each of R lists of movie ids."""
        users = np.repeat(np.arange(len(sets)), [len(movies) for movies in sets])
        movies = np.concatenate([np.asarray(movies, dtype=np.int64) for movies in sets]) if len(sets) else users
        return cls(users, movies, len(sets), item_num)

    def with_catalogue(self, item_num: int) -> UserHistories:
        """The same sets over a catalogue of ``item_num`` movies, which is larger."""
        pairs = self.pairs.cpu().numpy()
        larger = UserHistories(pairs // self.item_num, pairs % self.item_num, len(self), item_num)
        return larger.to(self.counts.device)

    def __len__(self) -> int:
        """Number of users."""
        return len(self.counts)

    def sums(self, movies: Tensor) -> Tensor:
        """Sum of z over each user's set, [user_num, m], from z of the catalogue [item_num, m]."""
        with torch.autocast(movies.device.type, enabled=False):  # there is no sparse product in half precision
            return _SparseSum.apply(self.matrix, self.matrix_transposed, movies.float())

    def sums_over_users(self, rows: Tensor) -> Tensor:
        """Sum over the users who have a movie in their set, [item_num, a], from a row of each user [user_num, a]."""
        with torch.autocast(rows.device.type, enabled=False):
            return _SparseSum.apply(self.matrix_transposed, self.matrix, rows.float())

    def of(self, users: Tensor) -> UserSets:
        """The sets of these users, [R]."""
        starts, ends = self.matrix.crow_indices()[users], self.matrix.crow_indices()[users + 1]
        movies = self.matrix.col_indices()[places_of_runs(starts, ends - starts)]
        return UserSets(torch.repeat_interleave(ends - starts), movies, len(users))

    def movies_of(self, user: int) -> list[int]:
        """Ids of the movies in the set of one user."""
        start, end = self.matrix.crow_indices()[user : user + 2].tolist()
        return self.matrix.col_indices()[start:end].tolist()

    def __deepcopy__(self, memo: dict) -> UserHistories:
        """A copy that shares the constant tensors; torch cannot copy sparse ones."""
        copied = UserHistories.__new__(UserHistories)
        nn.Module.__init__(copied)
        copied.item_num = self.item_num
        for name, tensor in self.named_buffers():
            copied.register_buffer(name, tensor, persistent=False)
        return copied

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether each movie is in its user's set, bool [B]."""
        if not len(self.pairs):
            return torch.zeros_like(users, dtype=torch.bool)
        pairs = users * self.item_num + items
        position = torch.searchsorted(self.pairs, pairs).clamp_max(len(self.pairs) - 1)
        return self.pairs[position] == pairs

    def averages(self, movies: Tensor, empty: Tensor | None = None) -> Tensor:
        """Average of every user, [user_num, m]; ``empty`` [m] (zeros by default) where the set is empty."""
        return _mean_or_empty(self.sums(movies), self.counts[:, None], empty)

    def leave_one_out(
        self, movies: Tensor, targets: Tensor, users: Tensor, items: Tensor, empty: Tensor | None = None
    ) -> Tensor:
        """Average of each pair's user without the pair's own movie: (sum - z_m) / (n - 1), [B, m].

        Training uses this form, because a profile that contains the target rating would reveal it.

        Args:
            movies: z of the catalogue, [item_num, m].
            targets: z of each pair's movie, ``movies[items]``, [B, m].
            users, items: the pairs, ids [B].
            empty: the average where no movie is left, [m]; zeros by default.
        """
        own = self.contains(users, items).to(movies.dtype)[:, None]
        sums = torch.addcmul(self.sums_of(movies, users), targets, own, value=-1)
        return _mean_or_empty(sums, self.counts[users][:, None] - own, empty)

    def sums_of(self, movies: Tensor, users: Tensor) -> Tensor:
        """Sum of z over the set of each pair's user, [B, m]; sums only the sets of these users if that is less work."""
        runs, place = users.unique_consecutive(return_inverse=True)
        if self.counts[runs].sum() >= len(self.pairs):
            return F.embedding(users, self.sums(movies))
        return F.embedding(place, self.of(runs).sums(movies))


class _SparseSum(torch.autograd.Function):
    """matrix @ movies for a constant 0/1 matrix: the backward pass uses its stored transpose."""

    @staticmethod
    def forward(ctx, matrix: Tensor, matrix_transposed: Tensor, movies: Tensor) -> Tensor:
        ctx.matrix_transposed = matrix_transposed
        return matrix @ movies

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.matrix_transposed @ gradient.contiguous()


def _mean_or_empty(sums: Tensor, counts: Tensor, empty: Tensor | None) -> Tensor:
    """sums / counts [B, m], and ``empty`` [m] where a count [B, 1] is 0 (the sum is exactly 0 there)."""
    if empty is None:
        return sums / counts.clamp_min(1)
    return torch.addmm(sums / counts.clamp_min(1), (counts == 0).to(sums.dtype), empty[None])


def _to_torch(matrix: csr_matrix) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data),
            size=matrix.shape,
            check_invariants=True,
        )
