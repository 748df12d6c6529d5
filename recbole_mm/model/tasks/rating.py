"""Rating prediction: how a user rates a movie, from the user's profile and the movie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.evaluation.families import RATING
from recbole_mm.model.catalogue import Catalogue
from recbole_mm.model.closed_form.inputs import ContentInputs, TrainingLabels
from recbole_mm.model.closed_form.user_regression import RegressionState, TrainingRows, UserRegression
from recbole_mm.model.layers import Dropout
from recbole_mm.model.losses import rating_loss
from recbole_mm.model.sharing import shared_copy, without_rows
from recbole_mm.model.tasks.base import Batch, EncodedCatalogue, Requirement, Task
from recbole_mm.model.tasks.implicit import ImplicitState, TwoWayImplicit
from recbole_mm.model.users import UserProfiles


class RatingState(NamedTuple):
    """P of every user, [U, m]; what the implicit term and the regression need, where the model has them.

    ``weight`` is the weight of the regression for each movie, [N].
    """

    profiles: Tensor
    implicit: ImplicitState | None
    regression: RegressionState | None
    weight: Tensor


class RatingTask(Task):
    """y(u, m) = mu + b_u + MLP[P(u); z(m); P(u)⊙z(m)]        loss: mean squared error on the raw scale

        y + ⟨p_u, q_m⟩ + l_u + l_m                            the same, of the last terms alone: no gradient into y,
                                                              but with ``implicit_joint``, where this is the only loss

    P(u) is the user's profile (`recbole_mm.model.users.UserProfiles`), in training without the target movie. There is
    no bias of a movie: its representation says how good it is, for a cold movie too. The terms of the second line are
    there with ``implicit_size`` (`TwoWayImplicit`).

    A prediction is the sum, clipped to the scale; for a movie without training ratings it is (1 - w) y + w (mu + r),
    with w = ``regression_weight`` and the closed form r of `UserRegression`, which has no loss.

    Attributes:
        mean_rating: mu, of the training rows.
        rating_scale: lowest and highest rating, [2].
    """

    name, family, ranks = "rating", RATING, True

    mean_rating: Tensor
    rating_scale: Tensor

    def __init__(
        self, size: int, catalogue: Catalogue, dataset: MultimodalDataset, config, learned_size: int = 0
    ) -> None:
        super().__init__()
        self.fields = (dataset.uid_field, dataset.iid_field, config["RATING_FIELD"])
        self.loss_weight = self.weight(config)
        ratings = dataset.inter_feat[config["RATING_FIELD"]].numpy()
        low, high = config["rating_scale"] or (ratings.min(), ratings.max())
        self.register_buffer("mean_rating", torch.tensor(float(ratings.mean())))
        self.register_buffer("rating_scale", torch.tensor([float(low), float(high)]))
        self.profiles = UserProfiles(size, config["disliked_profile"])
        self.head = RatingHead(size, config["rating_hidden_size"], config["dropout_prob"])
        # Zero at the start, so a user without training ratings keeps the bias 0.
        self.user_bias = nn.Parameter(torch.zeros(dataset.user_num)) if config["rating_bias"] else None
        users, items = (dataset.inter_feat[field].numpy() for field in self.fields[:2])
        self.regression_weight: float = config["regression_weight"]
        self.regression = None
        if self.regression_weight:
            centred, is_liked = ratings.astype(np.float64) - ratings.mean(), ratings >= config["like_threshold"]
            components, labels = config["regression_components"], _training_labels(dataset)
            inputs = ContentInputs(catalogue.content(), catalogue.has_ratings, components, labels)
            self.regression = UserRegression(TrainingRows(users, items, centred, is_liked), inputs, dataset.user_num)
        self.implicit, self.implicit_joint = None, config["implicit_joint"]
        if config["implicit_size"]:
            sizes = dataset.user_num, dataset.item_num, config["implicit_size"]
            self.implicit = TwoWayImplicit(users, items, *sizes, config["implicit_dropout"], config["implicit_pairs"])

    @classmethod
    def requires(cls) -> tuple[Requirement, ...]:
        return (Requirement("RATING_FIELD", "inter"),)

    def draw(self, batch: Batch) -> Tensor:
        """The movies of the batch: drawn from rating rows, so by popularity."""
        return batch[self.fields[1]]

    def losses(self, encoded: EncodedCatalogue, batch: Batch, drawn: Tensor | None) -> dict[str, Tensor]:
        users, items, rating = (batch[field] for field in self.fields)
        z = encoded.movies.of_task[self.name]  # [N, m]
        targets = F.embedding(items, z)  # [B, m]
        profiles = self.profiles.leave_one_out(encoded.users, z, targets, users, items)  # [B, m]
        predicted = self._baseline(users) + self.head(profiles, targets)
        if self.implicit is None:
            return {self.name: self.loss_weight * rating_loss(predicted, rating)}
        term = self.implicit(users, items, encoded.has_identity)
        if self.implicit_joint:
            return {self.name: self.loss_weight * rating_loss(predicted + term, rating)}
        # The term learns what the rest leaves over. The rest learns as if there were no term: cold movies have none.
        return {
            self.name: self.loss_weight * rating_loss(predicted, rating),
            "implicit": self.loss_weight * rating_loss(predicted.detach() + term, rating),
        }

    def state(self, encoded: EncodedCatalogue) -> RatingState:
        implicit, regression = self.implicit, self.regression
        return RatingState(
            self.profiles(encoded.users, encoded.movies.of_task[self.name]),
            None if implicit is None else implicit.state(encoded.users, encoded.has_identity),
            None if regression is None else regression.state(encoded.users),
            self.regression_weight * ~encoded.catalogue.has_ratings,
        )

    def with_candidates(self, state: RatingState, other: RatingState) -> RatingState:
        implicit, regression = state.implicit, state.regression
        if implicit is not None and other.implicit is not None:
            implicit = other.implicit._replace(users=implicit.users)
        if regression is not None and other.regression is not None:
            regression = other.regression._replace(users=regression.users)
        return RatingState(state.profiles, implicit, regression, other.weight)

    def predict(self, encoded: EncodedCatalogue, users: Tensor, items: Tensor) -> Tensor:
        """Predicted rating of each pair, clipped to the rating scale, [B]."""
        return self.score(encoded, users, items).clamp(*self.rating_scale.tolist())

    def score(self, encoded: EncodedCatalogue, users: Tensor, items: Tensor) -> Tensor:
        """Predicted rating of each pair, not clipped, [B], so that ranking has no ties at the ends of the scale."""
        state, z = encoded.states[self.name], encoded.movies.of_task[self.name]
        rating = self._baseline(users) + self.head(state.profiles[users], z[items])
        if self.implicit is not None:
            rating = rating + self.implicit.score(state.implicit, users, items)
        if self.regression is None:
            return rating
        closed_form = self.mean_rating + self.regression.score(state.regression, users, items)
        return torch.lerp(rating, closed_form, state.weight[items])

    def score_catalogue(self, encoded: EncodedCatalogue, users: Tensor) -> Tensor:
        """`score` of every movie for each user, [R, N], as matrix products."""
        state, z = encoded.states[self.name], encoded.movies.of_task[self.name]
        ratings = self.head.score_catalogue(state.profiles[users], z) + self._baseline(users)[:, None]
        if self.implicit is not None:
            ratings = ratings + self.implicit.score_catalogue(state.implicit, users)
        if self.regression is None:
            return ratings
        closed_form = self.mean_rating + self.regression.score_catalogue(state.regression, users)
        return torch.lerp(ratings, closed_form, state.weight)

    def _baseline(self, users: Tensor) -> Tensor:
        """mu + b_u, [B]."""
        if self.user_bias is None:
            return self.mean_rating.expand(len(users))
        return self.mean_rating + self.user_bias[users]

    def with_people(self, number: int) -> RatingTask:
        others = shared_copy(self)
        if self.user_bias is not None:
            others.user_bias = without_rows(self.user_bias, number)
        if self.implicit is not None:
            others.implicit = self.implicit.with_people(number)
        if self.regression is not None:
            others.regression = self.regression.with_people(number)
        return others

    def with_catalogue(self, catalogue: Catalogue) -> RatingTask:
        larger = shared_copy(self)
        if self.implicit is not None:
            larger.implicit = self.implicit.with_movies(len(catalogue) - len(self.implicit.item))
        if self.regression is not None:
            larger.regression = self.regression.with_catalogue(catalogue.content(), len(catalogue))
        return larger

    def without_raters(self) -> RatingTask:
        if self.implicit is None:
            return self
        other = shared_copy(self)
        other.implicit = self.implicit.without_raters()
        return other


def _training_labels(dataset: MultimodalDataset) -> TrainingLabels | None:
    """Labels that other tasks learn, side by side, and the movies that all of them train on; None: no such task."""
    if not dataset.labels:
        return None
    movies, *others = (dataset.label_items[task].train for task in dataset.labels)
    for ids in others:
        movies = movies[torch.isin(movies, ids)]
    return TrainingLabels(torch.cat([labels.targets for labels in dataset.labels.values()], dim=1), movies)


class RatingHead(nn.Module):
    """MLP[P; z; P⊙z] -> one number for each pair.

    The first layer is kept as three blocks (profile, movie, product), so that the same weights score B pairs
    or, as one matrix computation, every movie of the catalogue for every user.

    Args:
        movie_size: length of z, which is also the length of a profile.
        hidden_size: units of the hidden layer.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(self, movie_size: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.profile = nn.Linear(movie_size, hidden_size)
        self.movie = nn.Linear(movie_size, hidden_size, bias=False)
        self.product = nn.Linear(movie_size, hidden_size, bias=False)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, profiles: Tensor, movies: Tensor) -> Tensor:
        """Score of each pair, [B], from profiles [B, m] and movies [B, m]."""
        hidden = self.profile(profiles) + self.movie(movies) + self.product(profiles * movies)
        return self.output(self.dropout(F.leaky_relu_(hidden))).squeeze(-1)

    @torch.no_grad()
    def score_catalogue(self, profiles: Tensor, movies: Tensor) -> Tensor:
        """Score of every movie for every user, [U, N], from profiles [U, m] and movies [N, m].

        For hidden unit j the product block is (P ⊙ w_j) zᵀ: H matrix products instead of U·N small ones.
        """
        by_user, by_movie = self.profile(profiles), self.movie(movies)  # [U, H], [N, H]
        scores = self.output.bias.detach().expand(len(profiles), len(movies)).clone()
        for unit, weight in enumerate(self.output.weight[0].tolist()):
            hidden = torch.addmm(by_movie[:, unit], profiles * self.product.weight[unit], movies.T)  # [U, N]
            hidden += by_user[:, unit, None]
            scores.add_(F.leaky_relu_(hidden), alpha=weight)
        return scores
