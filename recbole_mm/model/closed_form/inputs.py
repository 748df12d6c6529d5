"""What a regression reads of a movie: components of its vectors, and the labels that they predict.

Shapes: N movies, D numbers of all vectors side by side, L landmarks, n movies with labels to train on, G labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.model.closed_form.kernels import LANDMARKS, Landmarks, rbf_kernel, ridge_weights
from recbole_mm.model.closed_form.regression import principal_components
from recbole_mm.model.content import ContentVectors, presence
from recbole_mm.model.sharing import shared_copy


class TrainingLabels(NamedTuple):
    """0/1 labels of the catalogue, [N, G], and the ids [n] of the movies whose labels may be read."""

    targets: Tensor
    movies: Tensor


class ContentInputs(nn.Module):
    """c_m = [1, Vᵀ x_m, ĝ_m]

    x_m are the vectors of all modalities side by side, a missing one being 0, V their first principal components, ĝ_m
    the labels that the vectors predict (`PredictedLabels`). Each of the two blocks is scaled by one number, so that
    its largest column has unit size over the movies that it was fitted on.

    Args:
        content: vectors of all N movies by modality.
        has_ratings: movies with training ratings, bool [N]; V comes from these alone.
        components: number of columns of V; those that the vectors do not have are zero.
        labels: None: there is no ĝ.

    Attributes:
        movies: c of the catalogue, [N, 1 + components + G].
    """

    loadings: Tensor
    movies: Tensor
    present: Tensor
    labels: PredictedLabels | None

    def __init__(
        self,
        content: Sequence[ContentVectors],
        has_ratings: Tensor,
        components: int,
        labels: TrainingLabels | None = None,
    ) -> None:
        super().__init__()
        self.components = components
        vectors = _side_by_side(content, len(has_ratings))
        loadings = principal_components(vectors.double().numpy(), has_ratings.numpy(), components)
        padded = np.pad(loadings, ((0, 0), (0, components - loadings.shape[1])))
        self.register_buffer("loadings", torch.from_numpy(padded).float(), persistent=False)  # [D, components]
        self.labels = PredictedLabels(content, labels) if labels is not None and content else None
        values = self._of(content, len(has_ratings))
        if labels is not None and self.labels is not None:
            values[labels.movies, 1 + components :] = self.labels.of_training
        self.register_buffer("movies", values, persistent=False)
        # Which vectors were there when `movies` was computed.
        self.register_buffer("present", presence(content, has_ratings), persistent=False)

    def views(self) -> list[list[int]]:
        """Columns of c that each of two regressions reads: the components; half of them, and the labels."""
        everything = list(range(self.movies.shape[1]))
        split = 1 + self.components
        return [everything[:split], everything[: 1 + self.components // 2] + everything[split:]]

    def with_catalogue(self, content: Sequence[ContentVectors], number: int) -> ContentInputs:
        """c of another catalogue of ``number`` movies, perhaps with more at its end and other vectors.

        A movie for which nothing has changed keeps its row to the last bit. One whose vectors have changed is read as
        a new movie: if its labels were trained on, they have a part in the labels predicted for it.
        """
        other, known = shared_copy(self), len(self.movies)
        changed = torch.ones(number, dtype=torch.bool, device=self.movies.device)
        other.present = presence(content, changed)
        changed[:known] = (other.present[:known] != self.present).any(dim=1)
        if self.labels is not None:
            other.labels = self.labels.for_catalogue(number)
        if changed.any():
            other.movies = F.pad(self.movies, (0, 0, 0, number - known)).clone()
            other.movies[changed] = other._of([field.of(changed) for field in content], int(changed.sum()))
        return other

    def _of(self, content: Sequence[ContentVectors], number: int) -> Tensor:
        """c of movies as if no label of theirs had been trained on, [number, 1 + components + G]."""
        vectors = _side_by_side(content, number).to(self.loadings.device)
        parts = [vectors.new_ones(number, 1), vectors @ self.loadings]
        return torch.cat(parts if self.labels is None else [*parts, self.labels(content)], dim=1)


class PredictedLabels(nn.Module):
    """ĝ_m = Aᵀ k_m,   A = (K + κI)⁻¹ (Y - ȳ)        kernel ridge regression of labels on content

    k_m is the kernel of the landmarks and m, ȳ the share of each label. A movie that A was fitted on has the prediction
    of the others alone (but for ȳ), y - (y - ĝ) / (1 - h) with its leverage h: a label then means the same for it and
    for a movie whose labels nobody knows.

    Source: Saunders, Gammerman and Vovk, ICML 1998; Rasmussen and Williams, "Gaussian Processes for Machine Learning",
    section 5.4.2, for the prediction without one movie. Above ``landmarks`` movies: the Nyström form (`ridge_weights`).

    Args:
        content: vectors of all N movies by modality, at least one.
        labels: to train on.
        landmarks: most movies for which the dense form is used.

    Attributes:
        of_training: of the movies that A was fitted on, [n, G].
    """

    # κ, as in `LabelRegression`.
    PENALTY = 1.0
    # Movies whose kernel is in memory at once.
    BLOCK = 4096

    weights: Tensor

    def __init__(self, content: Sequence[ContentVectors], labels: TrainingLabels, landmarks: int = LANDMARKS) -> None:
        super().__init__()
        movies, order = labels.movies.sort()  # the order of the landmarks
        self.landmarks = Landmarks(content, movies, len(labels.targets), landmarks)
        ids = self.landmarks.ids
        fields = [field.of(ids) for field in content]
        towards = rbf_kernel([field.of(movies) for field in content], fields).double()  # [n, L]
        among = None if len(ids) == len(movies) else rbf_kernel(fields, fields).double()
        y = labels.targets[movies].double()
        y = y - y.mean(dim=0)
        solved = ridge_weights(towards, among, self.PENALTY)  # [L, n]
        leverage = (towards * solved.T).sum(dim=1, keepdim=True)  # h, [n, 1]
        weights = solved @ y
        alone = y - (y - towards @ weights) / (1 - leverage)
        size = alone.square().mean(dim=0).max().sqrt().clamp_min(1e-6)
        padded = F.pad((weights / size).float(), (0, 0, 0, len(self.landmarks) - len(ids)))
        self.register_buffer("weights", padded, persistent=False)  # A, [L, G]
        self.of_training = (alone / size).float()[order.argsort()]

    def forward(self, content: Sequence[ContentVectors]) -> Tensor:
        """Aᵀ k_m of movies, [m, G], from their vectors by modality: ĝ of those that A was not fitted on."""
        fields, rows = self.landmarks.fields(), []
        for start in range(0, len(content[0].present), self.BLOCK):
            block = slice(start, start + self.BLOCK)
            kernel = rbf_kernel([ContentVectors(one.values[block], one.present[block]) for one in content], fields)
            rows.append(kernel @ self.weights)
        return torch.cat(rows)

    def for_catalogue(self, number: int) -> PredictedLabels:
        """The same for a catalogue with more movies at its end."""
        larger = shared_copy(self)
        larger.landmarks = self.landmarks.for_catalogue(number)
        larger.weights = F.pad(self.weights, (0, 0, 0, len(larger.landmarks) - len(self.landmarks)))
        return larger


def _side_by_side(content: Sequence[ContentVectors], number: int) -> Tensor:
    """[number, D]; zeros where a vector is missing."""
    parts = [field.values * field.present[:, None] for field in content]
    return torch.cat(parts, dim=1) if parts else torch.zeros(number, 0)
