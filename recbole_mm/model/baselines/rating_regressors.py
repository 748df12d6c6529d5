"""RecBole's own models as rating regressors, to compare with on RMSE and MAE.

No model of RecBole predicts a rating on its scale: context models and NeuMF put a sigmoid and a cross-entropy on their
raw score, BPR orders pairs. Here the raw score s is what the model adds to the mean rating, and the loss is the mean
squared error:

    y(u, m) = mu + s(u, m)        mu: mean of the training ratings

The classes keep RecBole's names, because its property files, and some of its code, look for these names.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from recbole.model.context_aware_recommender import (
    afm,
    autoint,
    dcn,
    dcnv2,
    deepfm,
    fm,
    fnn,
    lr,
    nfm,
    pnn,
    widedeep,
    xdeepfm,
)
from recbole.model.general_recommender import bpr, lightgcn, neumf
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_mm.errors import InputError
from recbole_mm.model.baselines.vector_fields import VectorFields
from recbole_mm.model.capabilities import Capabilities

if TYPE_CHECKING:
    from recbole.model.abstract_recommender import GeneralRecommender as _Model  # its fields are those used below
else:
    _Model = object  # the model of RecBole comes after the mixin among the bases of each class


class RatingRegressor(_Model):
    """Mixin before a RecBole model: trained on ratings by squared error.

    Args:
        config: options of the run; ``LABEL_FIELD`` is the rating field and ``rating_scale`` the range of predictions
            (None: the range of the training ratings).
        dataset: the **training** part; mean and scale are taken from its ratings only.

    Raises:
        InputError: the training part has no ratings.
    """

    input_type = InputType.POINTWISE
    capabilities = Capabilities(predicts_ratings=True, is_rating_form=True)

    mean_rating: Tensor
    rating_scale: Tensor

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        field = config["RATING_FIELD"]
        if field not in dataset.inter_feat.columns:
            raise InputError(
                f"{dataset.dataset_name}.inter: no field '{field}' is loaded; name the ratings' column with "
                f"RATING_FIELD and add it to load_col"
            )
        ratings = torch.as_tensor(dataset.inter_feat[field], dtype=torch.float64)
        low, high = config["rating_scale"] or (ratings.min(), ratings.max())
        self.register_buffer("mean_rating", ratings.mean().float())
        self.register_buffer("rating_scale", torch.tensor([float(low), float(high)]))
        self.LABEL = field
        self._regress()

    def _regress(self) -> None:
        """``sigmoid(output)`` becomes mu + output; ``loss(output, label)`` becomes the squared error of mu + output."""
        self.sigmoid = AddMean(self)
        self.loss = SquaredError(self)

    def predict_rating(self, interaction) -> Tensor:
        """Ratings of the pairs of an interaction, [B], clipped to the rating scale.

        ``predict`` is the same without clipping, so that ranking by it has no ties at the ends of the scale.
        """
        return torch.clamp(self.predict(interaction).view(-1), *self.rating_scale.tolist())


class AddMean(nn.Module):
    """s -> mu + s, in the place of a model's sigmoid."""

    mean: Tensor

    def __init__(self, model: RatingRegressor) -> None:
        super().__init__()
        self.register_buffer("mean", model.mean_rating.clone())

    def forward(self, score: Tensor) -> Tensor:
        """Any shape."""
        return self.mean + score


class SquaredError(AddMean):
    """Mean of (mu + s - rating)^2, in the place of a model's cross-entropy on its raw score."""

    def forward(self, score: Tensor, rating: Tensor) -> Tensor:
        """Scores and ratings [B] -> scalar."""
        return nn.functional.mse_loss(super().forward(score), rating)


class AFM(RatingRegressor, afm.AFM, VectorFields):
    """Xiao et al., "Attentional Factorization Machines", IJCAI 2017."""


class AutoInt(RatingRegressor, autoint.AutoInt, VectorFields):
    """Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks", CIKM 2019."""


class DCN(RatingRegressor, dcn.DCN, VectorFields):
    """Wang et al., "Deep & Cross Network for Ad Click Predictions", ADKDD 2017."""


class DCNV2(RatingRegressor, dcnv2.DCNV2, VectorFields):
    """Wang et al., "DCN V2: Improved Deep & Cross Network", WWW 2021. Its forward ends in the sigmoid, here mu + s."""

    def _regress(self) -> None:
        super()._regress()
        self.loss = nn.MSELoss()


class DeepFM(RatingRegressor, deepfm.DeepFM, VectorFields):
    """Guo et al., "DeepFM: A Factorization-Machine based Neural Network", IJCAI 2017."""


class FM(RatingRegressor, fm.FM, VectorFields):
    """Rendle, "Factorization Machines", ICDM 2010."""


class FNN(RatingRegressor, fnn.FNN, VectorFields):
    """Zhang et al., "Deep Learning over Multi-field Categorical Data", ECIR 2016."""


class LR(RatingRegressor, lr.LR, VectorFields):
    """Linear regression on the fields (RecBole's logistic regression without the sigmoid)."""


class NFM(RatingRegressor, nfm.NFM, VectorFields):
    """He and Chua, "Neural Factorization Machines for Sparse Predictive Analytics", SIGIR 2017."""


class PNN(RatingRegressor, pnn.PNN, VectorFields):
    """Qu et al., "Product-based Neural Networks for User Response Prediction", ICDM 2016."""


class WideDeep(RatingRegressor, widedeep.WideDeep, VectorFields):
    """Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016."""


class xDeepFM(RatingRegressor, xdeepfm.xDeepFM, VectorFields):
    """Lian et al., "xDeepFM: Combining Explicit and Implicit Feature Interactions", KDD 2018."""


class NeuMF(RatingRegressor, neumf.NeuMF):
    """He et al., "Neural Collaborative Filtering", WWW 2017."""


class Factorization(RatingRegressor):
    """Matrix factorisation with biases (Koren et al., Computer 42(8), 2009) on the vectors of a model of RecBole.

    y = mu + b_u + b_m + p_u . q_m
    """

    def _regress(self) -> None:
        super()._regress()
        # Zero at the start: a user or movie without training ratings has no bias.
        self.user_bias = nn.Parameter(torch.zeros(self.n_users))
        self.item_bias = nn.Parameter(torch.zeros(self.n_items))

    @abstractmethod
    def _factors(self) -> tuple[Tensor, Tensor]:
        """p of all users [U, size] and q of all movies [N, size]."""

    def _scores(self, interaction) -> Tensor:
        user, item = interaction[self.USER_ID], interaction[self.ITEM_ID]
        users, items = self._factors()
        return self.user_bias[user] + self.item_bias[item] + (users[user] * items[item]).sum(dim=1)

    def calculate_loss(self, interaction) -> Tensor:
        """Mean squared error of the batch."""
        return self.loss(self._scores(interaction), interaction[self.LABEL])

    def predict(self, interaction) -> Tensor:
        """Unclipped ratings of the pairs, [B]."""
        return self.sigmoid(self._scores(interaction))

    def full_sort_predict(self, interaction) -> Tensor:
        """Unclipped ratings of all items for each user of the batch, flat [B * N]."""
        user = interaction[self.USER_ID]
        users, items = self._factors()
        return self.sigmoid(users[user] @ items.T + self.user_bias[user, None] + self.item_bias).view(-1)


class BPR(Factorization, bpr.BPR):
    """Matrix factorisation with biases: p and q are the embeddings of RecBole's BPR."""

    def _factors(self) -> tuple[Tensor, Tensor]:
        return self.user_embedding.weight, self.item_embedding.weight


class LightGCN(Factorization, lightgcn.LightGCN):
    """The same with embeddings spread over the graph of training rows.

    He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020.
    """

    def _factors(self) -> tuple[Tensor, Tensor]:
        return self.forward()


RATING_FORMS: dict[str, type] = {
    form.__name__: form
    for form in (AFM, AutoInt, BPR, DCN, DCNV2, DeepFM, FM, FNN, LightGCN, LR, NFM, NeuMF, PNN, WideDeep, xDeepFM)
}
"""Models that can be trained on ratings, by RecBole's name.

Not among them: DSSM, whose score is a cosine, and FwFM, whose field weights RecBole neither trains nor saves.
"""
