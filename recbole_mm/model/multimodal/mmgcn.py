"""MMGCN: in each modality users and movies pass what they have along the training pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.content import Projection
from recbole_mm.model.multimodal.graphs import Graph, both_ways, mean_of_neighbours
from recbole_mm.model.multimodal.ranker import MultimodalRanker
from recbole_mm.model.tasks.base import Batch

ROUNDS = 3


class MMGCN(MultimodalRanker):
    """(u, i) = mean over m of z^m after three rounds

        z⁰ = rows of [t_u ; W_m x_m] divided by their lengths                                     [U + N, d]
        h  = leaky(mean over neighbours of z Q_l)
        z  = leaky(G_l [h ; leaky(U_l z) + e])                                round l = 1 … 3
        loss = BPR + μ (‖e_u‖² + Σ_m ‖t^m_u‖² + ‖e_i‖² + ‖e_j‖²) / 2

    Each modality has its own t, Q, U and G; e is common to all. A missing vector is the learned one of `Projection`.

    Args:
        config: ``reg_weight`` (μ), beside those of `MultimodalRanker`.
        dataset: the **training** part, with `modalities`.

    Source: Wei et al., "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of Micro-video",
    MM 2019, doi 10.1145/3343031.3351034, equations 1 to 8.
    """

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.reg_weight, number = config["reg_weight"], len(self.content.widths)
        self.neighbours = Graph(mean_of_neighbours(both_ways(self.rated)))
        self.projection = Projection(self.content, self.size)  # W
        self.tastes = nn.Parameter(torch.empty(number, self.n_users, self.size))  # t
        self.messages = nn.Parameter(torch.empty(ROUNDS, number, self.size, self.size))  # Q
        self.own = nn.Parameter(torch.empty(ROUNDS, number, self.size, self.size))  # U
        self.combined = nn.Parameter(torch.empty(ROUNDS, number, 2 * self.size, self.size))  # G
        for weights in (self.tastes, self.messages, self.own, self.combined):
            for matrix in weights.data.flatten(0, -3):
                nn.init.xavier_normal_(matrix)

    def forward(self) -> tuple[Tensor, Tensor]:
        e = torch.cat([self.user.weight, self.item_embeddings()])  # [U + N, d]
        z = F.normalize(torch.cat([self.tastes, self.projection(self.content)], dim=1), dim=2)  # [M, U + N, d]
        for message, own, combined in zip(self.messages, self.own, self.combined):
            h = F.leaky_relu(self.averaged(z @ message))
            z = F.leaky_relu(torch.cat([h, F.leaky_relu(z @ own) + e], dim=2) @ combined)
        return self.split(z.mean(dim=0))

    def averaged(self, z: Tensor) -> Tensor:
        """Mean over the neighbours in each modality, [M, U + N, d]."""
        number, nodes, size = z.shape
        side_by_side = z.transpose(0, 1).reshape(nodes, -1)  # [U + N, M·d]: one product for all modalities
        return self.neighbours(side_by_side).view(nodes, number, size).transpose(0, 1)

    def calculate_loss(self, interaction: Batch) -> Tensor:
        users, items = self.forward()
        penalty = self.penalty(interaction, self.user.weight, *self.tastes)
        return self.bpr(interaction, users, items) + self.reg_weight * penalty
