"""Users as averages of movies, from training rows only."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.row_groups import places_of_runs
from recbole_mm.data.user_sets import UserSets


class _SparseSum(torch.autograd.Function):
    """members @ movies for a constant 0/1 matrix: the backward pass uses its stored transpose."""

    @staticmethod
    def forward(ctx, members: Tensor, members_transposed: Tensor, movies: Tensor) -> Tensor:
        ctx.members_transposed = members_transposed
        return members @ movies

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.members_transposed @ gradient.contiguous()


class UserHistories(nn.Module):
    """Mean of z(m) over a set of movies for each user: for P(u), the training movies L(u) that u liked.

    Args:
        users, items: ids of the (user, movie) pairs in the sets, integer [R]; a pair may stand twice.
        user_num, item_num: sizes of the id spaces, [PAD] included.

    The tensors are not saved in a checkpoint: they are rebuilt from the training rows.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray, user_num: int, item_num: int) -> None:
        super().__init__()
        members = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(user_num, item_num))
        members.sum_duplicates()  # and sorts
        members.data[:] = 1.0  # a movie rated twice counts once
        counts = np.diff(members.indptr)
        self.item_num = item_num
        for name, tensor in {
            "members": _to_torch(members),
            "members_transposed": _to_torch(members.T.tocsr()),
            "pairs": torch.from_numpy(np.repeat(np.arange(user_num), counts) * item_num + members.indices),
            "counts": torch.from_numpy(counts.astype(np.float32)),
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    def sums(self, movies: Tensor) -> Tensor:
        """Sum of z over each user's set, [user_num, m], from z of the catalogue [item_num, m]."""
        with torch.autocast(movies.device.type, enabled=False):  # there is no sparse product in half precision
            return _SparseSum.apply(self.members, self.members_transposed, movies.float())

    def of(self, users: Tensor) -> UserSets:
        """The sets of these users, [R]."""
        starts, ends = self.members.crow_indices()[users], self.members.crow_indices()[users + 1]
        movies = self.members.col_indices()[places_of_runs(starts, ends - starts)]
        return UserSets(torch.repeat_interleave(ends - starts), movies, len(users))

    def movies_of(self, user: int) -> list[int]:
        """Ids of the movies in the set of one user."""
        start, end = self.members.crow_indices()[user : user + 2].tolist()
        return self.members.col_indices()[start:end].tolist()

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
        wanted = users * self.item_num + items
        position = torch.searchsorted(self.pairs, wanted).clamp_max(len(self.pairs) - 1)
        return self.pairs[position] == wanted

    def averages(self, movies: Tensor, empty: Tensor | None = None) -> Tensor:
        """Average of every user, [user_num, m]; ``empty`` [m] (zeros by default) stands in where the set is empty."""
        return _mean_or_empty(self.sums(movies), self.counts[:, None], empty)

    def leave_one_out(
        self, movies: Tensor, targets: Tensor, users: Tensor, items: Tensor, empty: Tensor | None = None
    ) -> Tensor:
        """Average of each pair's user without the pair's own movie: (sum - z_m) / (n - 1), [B, m].

        Training uses this form: a rating must not be read off the profile that it helped to make.

        Args:
            movies: z of the catalogue, [item_num, m].
            targets: z of each pair's movie, ``movies[items]``, [B, m].
            users, items: the pairs, ids [B].
            empty: stands in where nothing is left, [m]; zeros by default.
        """
        own = self.contains(users, items).to(movies.dtype)[:, None]
        sums = torch.addcmul(self._sums_of(movies, users), targets, own, value=-1)
        return _mean_or_empty(sums, self.counts[users][:, None] - own, empty)

    def _sums_of(self, movies: Tensor, users: Tensor) -> Tensor:
        """Sum of z over the set of each pair's user, [B, m]: over the sets of these users alone where that is less."""
        runs, place = users.unique_consecutive(return_inverse=True)
        if self.counts[runs].sum() >= len(self.pairs):
            return F.embedding(users, self.sums(movies))
        return F.embedding(place, self.of(runs).sums(movies))


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
