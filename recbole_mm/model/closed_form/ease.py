"""Item-to-item weights in closed form, from who rated what and from content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.user_sets import UserSets
from recbole_mm.model.closed_form.kernels import LANDMARKS, Landmarks, rated_matrix, rbf_kernel, ridge_weights
from recbole_mm.model.content import ContentVectors, presence
from recbole_mm.model.sharing import shared_copy

# Rows of the kernel computed at once: a whole matrix of it would double the memory.
BLOCK = 1024


class EASE(nn.Module):
    """score(u, m) = Σ_i B_im over u's training movies i

        m with training ratings:     B = I - P diag(P)⁻¹,   P = (XᵀX + w K + λI)⁻¹       X: 0/1, who rated what
        m without:                   B = (K + κI)⁻¹ K_m                                  K: a kernel of content

    Both are regressions of the 0/1 matrix, so that their scores have one scale. The first gives similar movies similar
    weights; the second is each user's regression on content (`ContentRegression`). Movies without training ratings
    have no influence: their rows are zero.

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8; with content Jeunen, Van
    Balen and Goethals, RecSys 2020, section 3. B is fitted on all training rows, so it has seen the target half of the
    ranking loss, and only predictions may use it.

    B is not saved in a checkpoint: it is solved again from the training rows, in O(N³).

    Args:
        users, items: ids of the training rows, integer [n]; a pair may be there twice.
        user_num: number of users, [PAD] included.
        content: vectors of all N movies by modality; none: EASE of ratings alone.
        has_ratings: movies with training rows, bool [N].
        content_weight: w; 0: EASE of ratings alone.
    """

    # λ, near the smallest of the paper's values on its three data sets (200, 500, 1000). On validation 150 to 500 are
    # alike.
    REGULARISATION = 300.0

    weights: Tensor
    has_ratings: Tensor
    present: Tensor
    content: ContentRegression | None

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        user_num: int,
        content: Sequence[ContentVectors],
        has_ratings: Tensor,
        content_weight: float,
    ) -> None:
        super().__init__()
        rated = torch.nonzero(has_ratings).squeeze(1)
        x = rated_matrix(users, items, user_num, len(has_ratings))[:, rated.numpy()]
        gram = torch.from_numpy((x.T @ x).toarray())
        gram.diagonal().add_(self.REGULARISATION)
        self.content = None
        if content_weight and content:
            of_rated = [field.of(rated) for field in content]
            for start in range(0, len(rated), BLOCK):
                block = slice(start, start + BLOCK)
                rows = [ContentVectors(field.values[block], field.present[block]) for field in of_rated]
                gram[block] += content_weight * rbf_kernel(rows, of_rated)
            self.content = ContentRegression(content, has_ratings)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        solved = (inverse / -inverse.diagonal()).fill_diagonal_(0.0)
        weights = solved.new_zeros(len(has_ratings), len(has_ratings))
        weights[rated[:, None], rated] = solved
        if has_ratings[1:].any():  # without any rated movie all weights are zero
            self._solve_columns(weights, ~has_ratings, content)
        self.register_buffer("weights", weights, persistent=False)
        # What the columns were solved for.
        self.register_buffer("has_ratings", has_ratings.clone(), persistent=False)
        self.register_buffer("present", presence(content, has_ratings), persistent=False)

    def forward(self, *sets: UserSets) -> Tensor:
        """Scores of all movies, [R, N], for R users; each of ``sets`` has a part of their movies."""
        first, *others = (part.sums(self.weights) for part in sets)
        return sum(others, first)

    def with_catalogue(self, content: Sequence[ContentVectors], has_ratings: Tensor) -> EASE:
        """The weights of another catalogue, which may have more movies at its end and other vectors.

        Args:
            content: vectors of its movies.
            has_ratings: movies of the training rows that keep their ratings, bool.
        """
        other = shared_copy(self)
        more = len(has_ratings) - len(self.weights)
        if more and self.content is not None:
            other.content = self.content.with_movies(more)
        other.weights = F.pad(self.weights, (0, more, 0, more))
        other.has_ratings, other.present = has_ratings.clone(), presence(content, has_ratings)
        # A movie for which nothing has changed keeps its column to the last bit.
        changed = torch.ones_like(has_ratings)
        changed[: len(self.has_ratings)] = other.has_ratings[: len(self.has_ratings)] != self.has_ratings
        changed[: len(self.has_ratings)] |= (other.present[: len(self.present)] != self.present).any(dim=1)
        cold = changed & ~has_ratings
        if cold.any():
            other.weights = other.weights.clone()
            other._solve_columns(other.weights, cold, content)
        return other

    def _solve_columns(self, weights: Tensor, cold: Tensor, content: Sequence[ContentVectors]) -> None:
        """Write the columns of movies without ratings, bool [N], into ``weights``: from content, or zero without it."""
        weights[:, cold] = 0.0
        if self.content is not None and cold.any():
            weights[:, cold] = self.content.columns([field.of(cold) for field in content])


class ContentRegression(nn.Module):
    """B_·m = (K + κI)⁻¹ K_m        kernel ridge regression of 0/1 on content over the rated movies

    Above ``landmarks`` rated movies K is replaced by its Nyström form (`ridge_weights`).

    Args:
        content: vectors of all N movies by modality.
        has_ratings: the rated movies, bool [N].
        landmarks: most rated movies for which the dense form is used.
    """

    # κ: 1 was best, or close to it, on the validation parts of ml-100k-mm and mmtf-14k-small.
    PENALTY = 1.0

    solved: Tensor

    def __init__(self, content: Sequence[ContentVectors], has_ratings: Tensor, landmarks: int = LANDMARKS) -> None:
        super().__init__()
        rated = torch.nonzero(has_ratings).squeeze(1)
        self.landmarks = Landmarks(content, rated, len(has_ratings), landmarks)
        chosen = len(self.landmarks.ids)
        fields = self.landmarks.fields()
        towards = rbf_kernel([field.of(rated) for field in content], fields).double()[:, :chosen]  # [W, L]
        among = None if chosen == len(rated) else rbf_kernel(fields, fields).double()[:chosen, :chosen]
        solved = torch.zeros(len(has_ratings), len(self.landmarks), dtype=torch.double)
        solved[rated, :chosen] = ridge_weights(towards, among, self.PENALTY).T
        self.register_buffer("solved", solved.float(), persistent=False)  # [N, L]

    def columns(self, movies: Sequence[ContentVectors]) -> Tensor:
        """B of other movies, [N, m], from their vectors by modality."""
        return self.solved @ rbf_kernel(self.landmarks.fields(), movies)

    def with_movies(self, number: int) -> ContentRegression:
        """The same for a catalogue with more movies at its end, which nobody has rated."""
        larger = shared_copy(self)
        larger.landmarks = self.landmarks.for_catalogue(len(self.solved) + number)
        larger.solved = F.pad(self.solved, (0, len(larger.landmarks) - len(self.landmarks), 0, number))
        return larger
