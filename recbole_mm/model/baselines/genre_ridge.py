"""A content baseline for cold movies: each user's own regression of ratings on genres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import ModelType
from torch import Tensor

from recbole_mm.data.labels import read_genres
from recbole_mm.model.baselines.rating_regressors import RatingRegressor


class GenreRidge(RatingRegressor, GeneralRecommender):
    """y(u, m) = a_u + w_u · g_m, where w_u minimises Σ (r - a_u - w_u · g_m)² + genre_penalty ‖w_u - w‖²

    over the training ratings of u. g_m are the genres of the movie, 0/1 and divided by the root of their number; a_u is
    the user's mean, shrunk to the mean of all by ``user_damping`` ratings at that mean; w is the same regression over
    all users together. The genres are an **input** here; the models of this package do not use them as an input.

    Args:
        config: ``genre_penalty``, ``user_damping`` and ``genre_field``.
        dataset: the **training** part.

    Raises:
        InputError: no genres, or no ratings.

    Source: ridge regression (Hoerl and Kennard, Technometrics 1970) with the weights of all users as its prior.
    """

    type = ModelType.TRADITIONAL  # nothing to train: one epoch
    capabilities = replace(RatingRegressor.capabilities, reads_genres=True)

    genres: Tensor
    user_bias: Tensor
    weights: Tensor

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        self.nothing = torch.nn.Parameter(torch.zeros(1))  # RecBole's trainers need a parameter
        genres = read_genres(dataset).targets.double().numpy()
        genres /= np.sqrt(np.maximum(genres.sum(axis=1, keepdims=True), 1))
        users, items = (dataset.inter_feat[field].numpy() for field in (self.USER_ID, self.ITEM_ID))
        mean = float(self.mean_rating)
        centred = dataset.inter_feat[self.LABEL].double().numpy() - mean
        counts = np.bincount(users, minlength=self.n_users)
        means = np.bincount(users, centred, minlength=self.n_users) / np.maximum(counts + config["user_damping"], 1)
        left, penalty = centred - means[users], config["genre_penalty"] * np.eye(genres.shape[1])
        inputs = genres[items]
        common = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ left)
        weights = np.tile(common, (self.n_users, 1))
        for user in np.flatnonzero(counts):
            rows = users == user
            x, y = inputs[rows], left[rows] - inputs[rows] @ common
            weights[user] += np.linalg.solve(x.T @ x + penalty, x.T @ y)
        for name, values in {"genres": genres, "user_bias": means, "weights": weights}.items():
            self.register_buffer(name, torch.from_numpy(values).float())

    def calculate_loss(self, interaction) -> Tensor:
        """Zero: the regressions are solved when the model is created."""
        return self.nothing.sum() * 0

    def predict(self, interaction) -> Tensor:
        """Unclipped ratings of the pairs, [B]."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        return self.sigmoid(self.user_bias[users] + (self.weights[users] * self.genres[items]).sum(dim=1))

    def full_sort_predict(self, interaction) -> Tensor:
        """Unclipped ratings of all items for each user of the batch, flat [B * N]."""
        users = interaction[self.USER_ID]
        return self.sigmoid(self.user_bias[users, None] + self.weights[users] @ self.genres.T).view(-1)
