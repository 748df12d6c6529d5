"""Labels of movies in closed form, from content and from who rated what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.model.closed_form.kernels import LANDMARKS, Landmarks, rbf_kernel, ridge_weights
from recbole_mm.model.content import ContentVectors
from recbole_mm.model.sharing import shared_copy


class LabelRegression(nn.Module):
    """p(m) = ȳ + Σ_n k(m, n) α_n over the movies n with labels to train on        kernel ridge regression of 0/1 labels

        m with training ratings:     k = K + w C,   α = (K + w C + κI)⁻¹ (Y - ȳ)       K: a kernel of content
        m without:                   k = K,         α = (K + κI)⁻¹ (Y - ȳ)             ȳ: share of each label

        C_mn = |R(m) ∩ R(n)| / √((|R(m)| + 5) (|R(n)| + 5))                            R(m): who rated m in training

    People who rate one film of a genre rate others of it. A movie that nobody has rated needs a regression that has
    never leaned on C. Above ``landmarks`` movies both kernels are replaced by their Nyström form (`ridge_weights`).

    Args:
        content: vectors of all N movies by modality.
        rated: who rated what in training, 0/1 [U, N].
        targets: 0/1 labels of the catalogue, [N, G].
        movies: ids of the movies whose labels are trained on; no other row of ``targets`` is read.
        landmarks: most movies for which the dense form is used.
    """

    # κ and w: on the validation parts of ml-100k-mm and mmtf-14k-small, κ .5 to 2 and w .2 to .8 are alike.
    PENALTY = 1.0
    RATERS_WEIGHT = 0.4
    DAMPING = 5.0

    mean: Tensor
    of_rated: Tensor
    of_cold: Tensor
    from_raters: Tensor

    def __init__(
        self,
        content: Sequence[ContentVectors],
        rated: csr_matrix,
        targets: Tensor,
        movies: Tensor,
        landmarks: int = LANDMARKS,
    ) -> None:
        super().__init__()
        movies = movies.sort().values  # the order of the landmarks
        self.landmarks = Landmarks(content, movies, len(targets), landmarks)
        ids = self.landmarks.ids
        fields = [field.of(ids) for field in content]
        towards = rbf_kernel([field.of(movies) for field in content], fields).double()  # [n, L]
        among = None if len(ids) == len(movies) else rbf_kernel(fields, fields).double()
        y = targets[movies].double()
        mean = y.mean(dim=0)
        raters = self.RATERS_WEIGHT * torch.from_numpy(_shared_raters(rated, ids.numpy(), self.DAMPING))  # [N, L]
        of_cold = ridge_weights(towards, among, self.PENALTY, y - mean)
        among = among if among is None else among + raters[ids]
        of_rated = ridge_weights(towards + raters[movies], among, self.PENALTY, y - mean)
        more = len(self.landmarks) - len(ids)
        self.register_buffer("mean", mean.float(), persistent=False)
        self.register_buffer("of_rated", F.pad(of_rated.float(), (0, 0, 0, more)), persistent=False)  # [L, G]
        self.register_buffer("of_cold", F.pad(of_cold.float(), (0, 0, 0, more)), persistent=False)
        # What w C adds to each movie: it does not change with the movie's vectors.
        self.register_buffer("from_raters", (raters @ of_rated).float(), persistent=False)  # [N, G]

    def forward(self, content: Sequence[ContentVectors], has_ratings: Tensor, items: Tensor) -> Tensor:
        """p of movies, in [0, 1], [B, G].

        Args:
            content: vectors of the catalogue by modality.
            has_ratings: movies of the catalogue with training ratings, bool [N].
            items: ids, [B].
        """
        kernel = rbf_kernel([field.of(items) for field in content], self.landmarks.fields())  # [B, L]
        rated = kernel @ self.of_rated + self.from_raters[items]
        values = torch.where(has_ratings[items, None], rated, kernel @ self.of_cold)
        return (self.mean + values).clamp(0, 1)

    def with_movies(self, number: int) -> LabelRegression:
        """The same for a catalogue with more movies at its end, which nobody has rated."""
        larger = shared_copy(self)
        larger.landmarks = self.landmarks.for_catalogue(len(self.from_raters) + number)
        more = len(larger.landmarks) - len(self.landmarks)
        larger.of_rated, larger.of_cold = (F.pad(weights, (0, 0, 0, more)) for weights in (self.of_rated, self.of_cold))
        larger.from_raters = F.pad(self.from_raters, (0, 0, 0, number))
        return larger


def _shared_raters(rated: csr_matrix, movies: np.ndarray, damping: float) -> np.ndarray:
    """C of all movies towards some, [N, L]."""
    counts = np.asarray(rated.sum(axis=0)).ravel().astype(float) + damping
    shared = (rated.T @ rated[:, movies]).toarray().astype(float)
    return shared / np.sqrt(counts)[:, None] / np.sqrt(counts[movies])
