"""Rankings of the catalogue in closed form from movie-to-movie weights that read the vectors of the movies."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType, ModelType
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_mm.model.capabilities import Capabilities
from recbole_mm.model.closed_form.kernels import check_size, content_kernel, rated_matrix
from recbole_mm.model.content import CatalogueContent


class ContentRanking(GeneralRecommender):
    """score(u, m) = Σ_i x_ui B_im over the training movies of u; a subclass says what B is.

    B is not saved in a checkpoint: it is solved again from the training rows.

    Args:
        config: ``dense_limit`` and the subclass's options.
        dataset: the **training** part, with `modalities`.

    Raises:
        InputError: more movies than ``dense_limit``.
    """

    input_type = InputType.POINTWISE
    type = ModelType.TRADITIONAL  # nothing to train: one epoch
    capabilities = Capabilities(reads_vectors=True)

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        check_size(self.n_items, config["dense_limit"], type(self).__name__)
        self.nothing = torch.nn.Parameter(torch.zeros(1))  # RecBole's trainers want a parameter
        users, items = (dataset.inter_feat[field].numpy() for field in (self.USER_ID, self.ITEM_ID))
        self.rated = rated_matrix(users, items, self.n_users, self.n_items)
        self.weights = self.solve(CatalogueContent(dataset), config).astype(np.float32)  # B [N, N]

    @abstractmethod
    def solve(self, content: CatalogueContent, config) -> np.ndarray:
        """B, [N, N]."""

    def calculate_loss(self, interaction) -> Tensor:
        """Zero: the weights are there from the start."""
        return self.nothing.sum() * 0

    def _scores(self, users: Tensor) -> Tensor:
        """[R, N]."""
        rows = self.rated[users.cpu().numpy()].astype(np.float32)
        return torch.from_numpy(np.asarray(rows @ self.weights)).to(users.device)

    def predict(self, interaction) -> Tensor:
        """Score of each pair, [B]."""
        users, place = interaction[self.USER_ID].unique(return_inverse=True)
        return self._scores(users)[place, interaction[self.ITEM_ID]]

    def full_sort_predict(self, interaction) -> Tensor:
        """Score of every movie for each user of the batch, flat [B * N]."""
        return self._scores(interaction[self.USER_ID]).view(-1)


class KernelRidge(ContentRanking):
    """B = (K_WW + λI)⁻¹ K_W·, each user's regression of 0/1 on content over the movies W that have training ratings

    K is the mean RBF kernel. The scores are divided by nothing: a factor of a user changes no order.

    Args:
        config: ``kernel_penalty`` (λ) beside those of `ContentRanking`.

    Source: kernel ridge regression (Saunders, Gammerman and Vovk, ICML 1998).
    """

    def solve(self, content: CatalogueContent, config) -> np.ndarray:
        kernel = content_kernel(content)
        warm = np.flatnonzero(np.diff(csr_matrix(self.rated.T).indptr))
        weights = np.zeros_like(kernel)
        penalised = kernel[np.ix_(warm, warm)] + config["kernel_penalty"] * np.eye(len(warm))
        weights[warm] = np.linalg.solve(penalised, kernel[warm])
        return weights


class ContentEASE(ContentRanking):
    """B = I - P diag(P)⁻¹,  P = (XᵀX + w·K + λI)⁻¹, with the mean RBF kernel K of content in EASE's Gram matrix

    Args:
        config: ``content_weight`` (w) and ``ease_penalty`` (λ) beside those of `ContentRanking`.

    Source: Jeunen, Van Balen and Goethals, "Closed-Form Models for Collaborative Filtering with Side-Information",
    RecSys 2020, section 3, with a kernel in the place of tag counts.
    """

    def solve(self, content: CatalogueContent, config) -> np.ndarray:
        gram = (self.rated.T @ self.rated).toarray() + config["content_weight"] * content_kernel(content)
        inverse = np.linalg.inv(gram + config["ease_penalty"] * np.eye(len(gram)))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        return weights


class ContentKNN(ContentRanking):
    """B_im = cosine of the contents of i and m if i is among the ``neighbours`` nearest training movies of m, else 0

    The cosine is the mean over the modalities, of standardised vectors.

    Args:
        config: ``neighbours`` beside those of `ContentRanking`.

    Source: Deshpande and Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004, on content.
    """

    def solve(self, content: CatalogueContent, config) -> np.ndarray:
        cosine = content_kernel(content, "cosine")
        np.fill_diagonal(cosine, 0.0)
        cosine[np.diff(csr_matrix(self.rated.T).indptr) == 0] = 0.0  # a movie without ratings is nobody's neighbour
        if config["neighbours"] < len(cosine):
            least = -np.partition(-cosine, config["neighbours"] - 1, axis=0)[config["neighbours"] - 1]
            cosine[cosine < least] = 0.0
        return np.maximum(cosine, 0.0)
