"""VBPR, the reference of multimodal ranking, on the vectors of any number of modalities."""

from __future__ import annotations

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.model.loss import BPRLoss
from recbole.utils import InputType
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.capabilities import Capabilities
from recbole_mm.model.content import CatalogueContent, ReadsContent
from recbole_mm.model.tasks.base import Batch


class VBPR(ReadsContent, GeneralRecommender):
    """score(u, m) = b_m + γ_u · γ_m + θ_u · E x_m + β · x_m, learned from pairs of a rated and an unrated movie.

    x_m holds the standardised vectors of all modalities side by side, with a flag for each that is missing. The
    loss is BPR's with an L2 penalty on the vectors of the batch; ``weight_decay`` regularises E and β too.

    Args:
        config: ``embedding_size`` (of γ), ``content_size`` (of θ) and ``reg_weight``.
        dataset: the **training** part, with `modalities`.

    Source: He and McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016, equation 4.
    """

    input_type = InputType.PAIRWISE
    capabilities = Capabilities(reads_vectors=True)

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.content = CatalogueContent(dataset)
        width, size, content_size = sum(self.content.widths.values()), config["embedding_size"], config["content_size"]
        self.user = nn.Embedding(self.n_users, size + content_size)  # [γ_u; θ_u]
        self.item = nn.Embedding(self.n_items, size)  # γ_m
        self.item_bias = nn.Parameter(torch.zeros(self.n_items))
        self.projection = nn.Linear(width, content_size, bias=False)  # E
        self.content_bias = nn.Linear(width, 1, bias=False)  # β
        self.reg_weight = config["reg_weight"]
        self.loss = BPRLoss()
        for embedding in (self.user, self.item):
            nn.init.xavier_normal_(embedding.weight)
        nn.init.zeros_(self.content_bias.weight)

    def _movies(self) -> tuple[Tensor, Tensor]:
        """[γ_m; E x_m], [N, size + content_size], and b_m + β · x_m, [N]."""
        content = self.content()
        vectors = torch.cat([self.item.weight, self.projection(content)], dim=1)
        return vectors, self.item_bias + self.content_bias(content).squeeze(1)

    def calculate_loss(self, interaction: Batch) -> Tensor:
        """-log sigmoid(score of the rated movie - score of the other), mean over pairs, plus the penalty."""
        vectors, biases = self._movies()
        users = self.user(interaction[self.USER_ID])  # [B, size + content_size]
        rated, other = (F.embedding(interaction[field], vectors) for field in (self.ITEM_ID, self.NEG_ITEM_ID))
        difference = (users * (rated - other)).sum(dim=1)
        difference = difference + biases[interaction[self.ITEM_ID]] - biases[interaction[self.NEG_ITEM_ID]]
        penalty = sum(x.square().sum(dim=1).mean() for x in (users, rated, other))
        return self.loss(difference, torch.zeros_like(difference)) + self.reg_weight * penalty

    def predict(self, interaction: Batch) -> Tensor:
        """Score of each pair, [B]."""
        vectors, biases = self._movies()
        items = interaction[self.ITEM_ID]
        return (self.user(interaction[self.USER_ID]) * vectors[items]).sum(dim=1) + biases[items]

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """Score of every movie for each user of the batch, flat [B * N]."""
        vectors, biases = self._movies()
        return torch.addmm(biases, self.user(interaction[self.USER_ID]), vectors.T).view(-1)
