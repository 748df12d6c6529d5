"""Base of rating models that are solved at once for all users and movies."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import ModelType
from torch import Tensor

from recbole_mm.model.baselines.rating_regressors import RatingRegressor
from recbole_mm.model.closed_form.kernels import check_size


class RatingTable(RatingRegressor, GeneralRecommender):
    """y(u, m) is an element of a table [U, N], which a subclass computes from the training part.

    Args:
        config: ``dense_limit``, and options of the subclass.
        dataset: the **training** part.

    Raises:
        InputError: more users or movies than ``dense_limit``, or no ratings.
    """

    table: Tensor

    type = ModelType.TRADITIONAL  # nothing to train: one epoch

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        self.nothing = torch.nn.Parameter(torch.zeros(1))  # RecBole's trainers want a parameter
        check_size(max(self.n_users, self.n_items), config["dense_limit"], type(self).__name__)
        rows = dataset.inter_feat
        users, items = rows[self.USER_ID].numpy(), rows[self.ITEM_ID].numpy()
        centred = rows[self.LABEL].double().numpy() - float(self.mean_rating)
        table = self.solve(users, items, centred, dataset, config)
        self.register_buffer("table", torch.from_numpy(np.ascontiguousarray(table, np.float32)))

    @abstractmethod
    def solve(self, users: np.ndarray, items: np.ndarray, centred: np.ndarray, dataset, config) -> np.ndarray:
        """Ratings minus their mean, [U, N].

        Args:
            users, items: ids of the training rows, [n].
            centred: their ratings minus the mean, [n].
        """

    def calculate_loss(self, interaction) -> Tensor:
        """Zero: the table is there from the start."""
        return self.nothing.sum() * 0

    def predict(self, interaction) -> Tensor:
        """Unclipped ratings of the pairs, [B]."""
        return self.sigmoid(self.table[interaction[self.USER_ID], interaction[self.ITEM_ID]])

    def full_sort_predict(self, interaction) -> Tensor:
        """Unclipped ratings of all items for each user of the batch, flat [B * N]."""
        return self.sigmoid(self.table[interaction[self.USER_ID]]).view(-1)
