"""The lowest rows of rating tables: ratings from means of users and movies, without personal taste."""

from __future__ import annotations

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import ModelType
from torch import Tensor

from recbole_mm.errors import InputError, nearest
from recbole_mm.model.baselines.rating_regressors import RatingRegressor

BIASES = ("item", "user")
ROUNDS = 10


class Bias(RatingRegressor, GeneralRecommender):
    """y(u, m) = mu + b_m + b_u that minimises Σ (r - y)² + item_damping Σ b_m² + user_damping Σ b_u²

    The sum is over the training ratings. Solved in turn for b_m = Σ (r - mu - b_u) / (n_m + item_damping) and, in
    the same way, b_u. ``biases: []`` is the global mean, ``[user]`` with ``user_damping: 0`` the mean of the user. A
    user or movie without training ratings has the bias 0.

    Args:
        config: ``biases`` (which of item and user), ``item_damping`` and ``user_damping``.
        dataset: the **training** part.

    Raises:
        InputError: a bias that is neither item nor user, or no ratings.

    Source: Koren, "Factor in the Neighbors", ACM TKDD 2010, section 2.1; damping and rounds of scikit-surprise's
    BaselineOnly.
    """

    type = ModelType.TRADITIONAL  # nothing to train: one epoch

    item_bias: Tensor
    user_bias: Tensor

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        self.nothing = torch.nn.Parameter(torch.zeros(1))  # RecBole's trainers need a parameter
        chosen = config["biases"]
        if unknown := [name for name in chosen if name not in BIASES]:
            raise InputError(f"option 'biases': '{unknown[0]}' is not a bias.{nearest(unknown[0], BIASES)}")
        rows = dataset.inter_feat
        ids = {"item": rows[self.ITEM_ID], "user": rows[self.USER_ID]}
        sizes = {"item": self.n_items, "user": self.n_users}
        counts = {name: torch.bincount(ids[name], minlength=sizes[name]) + config[f"{name}_damping"] for name in BIASES}
        biases = {name: torch.zeros(size, dtype=torch.float64) for name, size in sizes.items()}
        centred = rows[self.LABEL].double() - self.mean_rating
        for name in [name for name in BIASES if name in chosen] * ROUNDS:
            other = "user" if name == "item" else "item"
            left = centred - biases[other][ids[other]]
            biases[name] = torch.bincount(ids[name], left, minlength=sizes[name]) / counts[name].clamp_min(1)
        for name, bias in biases.items():
            self.register_buffer(f"{name}_bias", bias.float())

    def calculate_loss(self, interaction) -> Tensor:
        """Zero: the biases are computed when the model is created."""
        return self.nothing.sum() * 0

    def predict(self, interaction) -> Tensor:
        """Unclipped ratings of the pairs, [B]."""
        return self.mean_rating + self.item_bias[interaction[self.ITEM_ID]] + self.user_bias[interaction[self.USER_ID]]

    def full_sort_predict(self, interaction) -> Tensor:
        """Unclipped ratings of all items for each user of the batch, flat [B * N]."""
        return (self.mean_rating + self.item_bias + self.user_bias[interaction[self.USER_ID], None]).view(-1)
