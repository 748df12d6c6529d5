"""SVD++ of scikit-surprise, the classical strong predictor of ratings, under our protocols."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import ModelType
from torch import Tensor

from recbole_mm.errors import InputError
from recbole_mm.model.baselines.rating_regressors import RatingRegressor


class SVDpp(RatingRegressor, GeneralRecommender):
    """y(u, m) = mu + b_u + b_m + q_m · (p_u + Σ_{j in R(u)} y_j / √|R(u)|), fitted by scikit-surprise

    R(u) are the training movies of u. There is no early stopping: ``sgd_epochs`` passes over the training ratings.

    Args:
        config: ``factors``, ``sgd_epochs``, ``sgd_learning_rate`` and ``sgd_penalty``, which are
            scikit-surprise's n_factors, n_epochs, lr_all and reg_all.
        dataset: the **training** part.

    Raises:
        InputError: scikit-surprise is not installed, or no ratings.

    Source: Koren, "Factorization Meets the Neighborhood", KDD 2008, equation 15.
    """

    type = ModelType.TRADITIONAL  # fitted at once

    user_factors: Tensor
    user_bias: Tensor
    item_factors: Tensor
    item_bias: Tensor

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        try:
            import surprise
        except ImportError as error:
            raise InputError(
                "model 'SVDpp' needs scikit-surprise; type: pip install 'recbole-mm[benchmark]'"
            ) from error
        self.nothing = torch.nn.Parameter(torch.zeros(1))  # RecBole's trainers need a parameter
        rows = dataset.inter_feat
        table = pd.DataFrame({name: rows[name].numpy() for name in (self.USER_ID, self.ITEM_ID, self.LABEL)})
        reader = surprise.Reader(rating_scale=tuple(self.rating_scale.tolist()))
        training = surprise.Dataset.load_from_df(table, reader).build_full_trainset()
        fitted = surprise.SVDpp(
            n_factors=config["factors"],
            n_epochs=config["sgd_epochs"],
            lr_all=config["sgd_learning_rate"],
            reg_all=config["sgd_penalty"],
            random_state=config["seed"],
            cache_ratings=True,
        ).fit(training)
        implicit = np.stack(
            [
                fitted.yj[[j for j, _ in training.ur[u]]].sum(axis=0) / np.sqrt(len(training.ur[u]))
                for u in range(training.n_users)
            ]
        )
        users = np.array([training.to_raw_uid(u) for u in range(training.n_users)])
        items = np.array([training.to_raw_iid(i) for i in range(training.n_items)])
        for name, size, ids, values in (
            ("user", self.n_users, users, np.column_stack([fitted.pu + implicit, fitted.bu])),
            ("item", self.n_items, items, np.column_stack([fitted.qi, fitted.bi])),
        ):
            table = np.zeros((size, values.shape[1]), np.float32)  # zeros for users and movies without training ratings
            table[ids] = values
            self.register_buffer(f"{name}_factors", torch.from_numpy(table[:, :-1].copy()))
            self.register_buffer(f"{name}_bias", torch.from_numpy(table[:, -1].copy()))

    def calculate_loss(self, interaction) -> Tensor:
        """Zero: the model is fitted when it is created."""
        return self.nothing.sum() * 0

    def predict(self, interaction) -> Tensor:
        """Unclipped ratings of the pairs, [B]."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        factors = (self.user_factors[users] * self.item_factors[items]).sum(dim=1)
        return self.sigmoid(self.user_bias[users] + self.item_bias[items] + factors)

    def full_sort_predict(self, interaction) -> Tensor:
        """Unclipped ratings of all items for each user of the batch, flat [B * N]."""
        users = interaction[self.USER_ID]
        factors = self.user_factors[users] @ self.item_factors.T  # [B, N]
        return self.sigmoid(factors + self.user_bias[users, None] + self.item_bias).view(-1)
