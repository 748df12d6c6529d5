"""Genre classification: which genres a movie has."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.data.labels import MovieLabels, read_genres
from recbole_mm.evaluation.families import GENRE
from recbole_mm.model.catalogue import Catalogue
from recbole_mm.model.closed_form.kernels import rated_matrix
from recbole_mm.model.closed_form.labels import LabelRegression
from recbole_mm.model.losses import genre_loss
from recbole_mm.model.sharing import shared_copy
from recbole_mm.model.tasks.base import Batch, EncodedCatalogue, Requirement
from recbole_mm.model.tasks.labels import MovieLabelTask


class GenreTask(MovieLabelTask):
    """p(m) = sigmoid(W c(m) + b)        loss: multi-label binary cross-entropy on movies drawn uniformly

    With ``genre_linear`` genres are predicted by `LinearGenres` instead, which has a loss of its own. The head on c
    then only trains the shared representation.

    A prediction is (1 - w) p + w r, with w = ``genre_regression_weight`` and the closed form r of `LabelRegression`,
    which has no loss.

    Attributes:
        linear: None with ``genre_linear: false``.
        regression: None with ``genre_regression_weight: 0`` or without vectors.
    """

    name, family = "genre", GENRE

    linear: LinearGenres | None
    regression: LabelRegression | None

    def __init__(
        self, size: int, catalogue: Catalogue, dataset: MultimodalDataset, config, learned_size: int = 0
    ) -> None:
        super().__init__(size, catalogue, dataset, config, learned_size)
        self.linear = None
        if config["genre_linear"]:
            self.linear = LinearGenres(catalogue.vector_size, learned_size, self.targets.shape[1])
        self.regression, self.regression_weight = None, config["genre_regression_weight"]
        if self.regression_weight and catalogue.fields():
            users, items = (dataset.inter_feat[field].numpy() for field in (dataset.uid_field, dataset.iid_field))
            rated = rated_matrix(users, items, dataset.user_num, dataset.item_num)
            self.regression = LabelRegression(catalogue.content(), rated, self.targets, self.training_movies)

    @classmethod
    def requires(cls) -> tuple[Requirement, ...]:
        return (Requirement("genre_field", "item"),)

    @classmethod
    def read_labels(cls, dataset: MultimodalDataset) -> MovieLabels:
        return read_genres(dataset)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return genre_loss(logits, targets)

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)

    def losses(self, encoded: EncodedCatalogue, batch: Batch, drawn: Tensor | None) -> dict[str, Tensor]:
        losses = super().losses(encoded, batch, drawn)
        if self.linear is not None:
            assert drawn is not None  # `draw` gives movies
            logits = _linear_logits(self.linear, encoded, drawn)
            loss = genre_loss(logits, self.targets[drawn]) + self.linear.penalty()
            losses["genre_linear"] = self.loss_weight * loss
        return losses

    def logits(self, encoded: EncodedCatalogue, items: Tensor) -> Tensor:
        return super().logits(encoded, items) if self.linear is None else _linear_logits(self.linear, encoded, items)

    def predict(self, encoded: EncodedCatalogue, items: Tensor) -> Tensor:
        probability = super().predict(encoded, items)
        if self.regression is None:
            return probability
        catalogue = encoded.catalogue
        closed_form = self.regression(catalogue.content(), catalogue.has_ratings, items)
        return torch.lerp(probability, closed_form, self.regression_weight)

    def with_catalogue(self, catalogue: Catalogue) -> GenreTask:
        if self.regression is None:
            return self
        larger = shared_copy(self)
        larger.regression = self.regression.with_movies(len(catalogue) - len(self.regression.from_raters))
        return larger


class LinearGenres(nn.Module):
    """Genre logits without an encoder: W [x_1; …; x_K; a] + b, with an L2 penalty of its own.

    x_k are the standardised vectors (zeros where missing). a is the vector that the ranking task has learned of the
    movie beside its content, scaled to unit size (zeros where there is none). No gradient goes into either. A few
    thousand movies are too few for encoders, which overfit their genres; a linear map does not.

    Args:
        vector_size: length of the vectors side by side.
        ranking_size: length of a; 0 without the ranking task.
        genre_num: G.
    """

    # Of the mean cross-entropy, as in a logistic regression of 1,200 movies and 18 genres with C = 0.003.
    PENALTY = 0.008

    def __init__(self, vector_size: int, ranking_size: int, genre_num: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vector_size + ranking_size, genre_num))
        self.bias = nn.Parameter(torch.zeros(genre_num))

    def forward(self, vectors: Tensor, ranking: Tensor | None) -> Tensor:
        """Logits [B, G] from vectors [B, vector_size] and a [B, ranking_size]."""
        inputs = vectors if ranking is None else torch.cat([vectors, ranking], dim=1)
        return torch.addmm(self.bias, inputs, self.weight)

    def penalty(self) -> Tensor:
        """PENALTY · ‖W‖², to be added to the loss."""
        return self.PENALTY * self.weight.square().sum()


def _linear_logits(linear: LinearGenres, encoded: EncodedCatalogue, items: Tensor) -> Tensor:
    learned = encoded.learned()
    return linear(encoded.catalogue.vectors_of(items), None if learned is None else F.embedding(items, learned))
