"""Sets of movies of some users, as flat tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class UserSets(NamedTuple):
    """Sets of movies, one for each of R users, as P pairs (row, movie) in the order of the users.

    Attributes:
        row: number of the user, 0 to R - 1, [P].
        movie: a movie in the user's set, [P].
        user_num: R.
    """

    row: Tensor
    movie: Tensor
    user_num: int

    def where(self, kept: Tensor) -> UserSets:
        """The pairs where ``kept``, bool [P], is true."""
        return UserSets(self.row[kept], self.movie[kept], self.user_num)

    def counts(self) -> Tensor:
        """Size of each set, [R]."""
        return torch.bincount(self.row, minlength=self.user_num)

    def sums(self, movies: Tensor) -> Tensor:
        """Sum of the rows of ``movies`` [N, a] over each set, [R, a]."""
        ends = self.counts().cumsum(dim=0)
        return F.embedding_bag(self.movie, movies, ends - self.counts(), mode="sum")
