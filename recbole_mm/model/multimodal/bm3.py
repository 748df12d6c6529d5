"""BM3: users, movies and their content predict each other from two views, without negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.content import Projection
from recbole_mm.model.layers import Dropout
from recbole_mm.model.multimodal.ranker import MultimodalRanker
from recbole_mm.model.tasks.base import Batch


class BM3(MultimodalRanker):
    """u = LGN_L(e)_u,  i = LGN_L(e)_i + e_i,  h_m = W_m x_m;  score(u, i) = f(u) · f(i) with f linear

        x' = dropout_ρ(x) without gradient                                    the other view
        pair     2 - cos(f(u), i') - cos(f(i), u')
        content  c Σ_m [2 - cos(f(h_m), i') - cos(f(h_m), h_m')]              over pairs whose movie has vector m
        norm     λ (‖u‖ + ‖i‖) / B                                            Frobenius norms of the batch's [B, d]
        loss     means of pair and content over the B pairs of the batch, and norm

    A movie without training ratings has no i. The mean of its h_m over present m stands for it, since the loss turns
    f(h_m) to i and to h_m. It gets the mean length of i: cosines do not teach the length of h_m. In the paper such
    movies are not ranked.

    Args:
        config: ``n_layers`` (L), ``dropout_prob`` (ρ), ``content_weight`` (c) and ``reg_weight`` (λ), beside those of
            `MultimodalRanker`.
        dataset: the **training** part, with `modalities`.

    Source: Zhou et al., "Bootstrap Latent Representations for Multi-modal Recommendation", WWW 2023, arXiv 2207.05969,
    equations 2 to 11.
    """

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.n_layers, self.dropout = config["n_layers"], Dropout(config["dropout_prob"])
        self.content_weight, self.reg_weight = config["content_weight"], config["reg_weight"]
        self.projection = Projection(self.content, self.size)  # W
        self.predictor = nn.Linear(self.size, self.size)  # f

    def online(self) -> tuple[Tensor, Tensor]:
        """u [U, d] and i [N, d]."""
        users, items = self.convolved(self.graph, self.n_layers)
        return users, items + self.item_embeddings()

    def forward(self) -> tuple[Tensor, Tensor]:
        users, items = self.online()
        present = self.content.present()[..., None].float()  # [M, N, 1]
        of_content = (self.projection(self.content) * present).sum(dim=0) / present.sum(dim=0).clamp_min(1)  # [N, d]
        length = items[self.trained].norm(dim=1).mean()
        items = torch.where(self.trained[:, None], items, length * F.normalize(of_content, dim=1))
        return self.predictor(users), self.predictor(items)

    def calculate_loss(self, interaction: Batch) -> Tensor:
        users, items = self.online()
        u, i = users[interaction[self.USER_ID]], items[interaction[self.ITEM_ID]]  # [B, d]
        pair = 2 - cosine(self.predictor(u), self.other_view(i)) - cosine(self.predictor(i), self.other_view(u))
        loss = pair.mean() + self.reg_weight * (u.norm() + i.norm()) / len(u)
        # A movie of several pairs is projected once and counts as often as it stands there.
        movies, pairs = interaction[self.ITEM_ID].unique(return_counts=True)  # [I]
        h = self.projection(self.content, movies)  # [M, I, d]
        predicted = self.predictor(h)
        content = (
            2 - cosine(predicted, self.other_view(items[movies])) - cosine(predicted, self.other_view(h))
        )  # [M, I]
        weights = pairs * self.content.present()[:, movies]
        means = (content * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)  # [M]
        return loss + self.content_weight * means.sum()

    def other_view(self, x: Tensor) -> Tensor:
        """x', the same shape."""
        return self.dropout(x.detach())


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """Cosines along the last dimension."""
    return (F.normalize(x, dim=-1) * F.normalize(y, dim=-1)).sum(dim=-1)
