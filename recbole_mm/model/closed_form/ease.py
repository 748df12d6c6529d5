"""EASE: item-to-item weights from who rated what, in closed form."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.user_sets import UserSets
from recbole_mm.model.sharing import shared_copy


class EASE(nn.Module):
    """score(u, m) = Σ_i B_im over u's training movies i

        B = I - P diag(P)⁻¹,   P = (XᵀX + λI)⁻¹          X: 0/1, who rated what

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8. B is fitted on all
    training rows, so it has seen the target half of the ranking loss, and only predictions may use it. A movie
    without training ratings has no influence and no score: its row and column are zero.

    B is not saved in a checkpoint: it is solved again from the training rows, in O(N³).

    Args:
        users, items: ids of the training rows, integer [n]; a pair may be there twice.
        user_num, item_num: sizes of the id spaces, [PAD] included.
    """

    # λ, the middle of the paper's values on its three data sets (200, 500, 1000). On validation 250 did as well.
    REGULARISATION = 500.0

    weights: Tensor

    def __init__(self, users: np.ndarray, items: np.ndarray, user_num: int, item_num: int) -> None:
        super().__init__()
        if not items.any():  # nothing but [PAD] is rated, and solving takes minutes for tens of thousands of movies
            self.register_buffer("weights", torch.zeros(item_num, item_num), persistent=False)
            return
        rated = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(user_num, item_num))
        rated.data[:] = 1.0  # a movie rated twice counts once
        gram = torch.from_numpy((rated.T @ rated).toarray())
        gram.diagonal().add_(self.REGULARISATION)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = (inverse / -inverse.diagonal()).fill_diagonal_(0.0)
        # The inverse is stored by columns, where sums of rows take ten times longer.
        self.register_buffer("weights", weights.contiguous(), persistent=False)

    def forward(self, *sets: UserSets) -> Tensor:
        """Scores of all movies, [R, N], for R users; each of ``sets`` has a part of their movies."""
        first, *others = (part.sums(self.weights) for part in sets)
        return sum(others, first)

    def with_movies(self, number: int) -> EASE:
        """The weights of a catalogue with more movies at its end, which nobody has rated: their weights are zero."""
        larger = shared_copy(self)
        larger.weights = F.pad(self.weights, (0, number, 0, number))
        return larger

    def without_ratings(self) -> EASE:
        """The weights as if nobody had rated any movie: all are zero."""
        other = shared_copy(self)
        other.weights = torch.zeros_like(self.weights)
        return other
