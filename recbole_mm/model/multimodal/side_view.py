"""What MGCN and SMORE share: a view of behaviour, a side view of content, and a loss that brings them together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from scipy import sparse
from torch import Tensor, nn

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.content import Projection
from recbole_mm.model.losses import info_nce
from recbole_mm.model.multimodal.graphs import Graph, content_graphs, normalized_pairs
from recbole_mm.model.multimodal.ranker import MultimodalRanker
from recbole_mm.model.tasks.base import Batch


class SideViewRanker(MultimodalRanker):
    """(u, i) = c + side, c = LGN_L(e); a subclass says what side is.

        loss = BPR + γ [InfoNCE(side_i, c_i) + InfoNCE(side_u, c_u)] + μ (‖e_u‖² + ‖e_i‖² + ‖e_j‖²) / 2

    Each user and each movie of a batch stands once in InfoNCE: a second time it would be its own wrong answer.

    Args:
        config: ``n_layers`` (L), ``neighbours`` (k), ``contrast_weight`` (γ), ``temperature`` and ``reg_weight`` (μ),
            beside those of `MultimodalRanker`.
        dataset: the **training** part, with `modalities`.

    Attributes:
        present: modalities that a movie has, or that a movie of the user has, bool [M, U + N, 1].
    """

    present: Tensor

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.n_layers, self.reg_weight = config["n_layers"], config["reg_weight"]
        self.contrast_weight, self.temperature = config["contrast_weight"], config["temperature"]
        self.neighbours = config["neighbours"]
        self.pairs = Graph(normalized_pairs(self.rated))  # R̂ [U, N]
        self.register_buffer("present", torch.empty(0), persistent=False)
        self.projection = Projection(self.content, self.size)  # W
        self.read_content()

    def read_content(self) -> None:
        """The graphs of movies, and who has which modality."""
        graphs = self.graphs_of_movies(content_graphs(self.content, self.trained, self.neighbours))  # S̃^m
        self.item_graphs = Graph(sparse.csr_matrix(sparse.block_diag(graphs))).to(self.trained.device)
        of_items = self.content.present()  # [M, N]
        of_users = torch.from_numpy((self.rated @ of_items.cpu().numpy().T).T > 0).to(of_items.device)  # [M, U]
        self.present = torch.cat([of_users, of_items], dim=1)[..., None]

    def graphs_of_movies(self, graphs: list[sparse.csr_matrix]) -> list[sparse.csr_matrix]:
        """The graphs that `propagated` uses, in this order; by default that of each modality."""
        return graphs

    @abstractmethod
    def side(self, c: Tensor) -> Tensor:
        """The side view of users and movies, [U + N, d], beside that of behaviour c [U + N, d]."""

    def propagated(self, a: Sequence[Tensor]) -> Tensor:
        """b = [R̂ S̃ a ; S̃ a] for the a [N, d] of each graph of `graphs_of_movies`, [graphs, U + N, d]."""
        of_items = self.item_graphs(torch.cat(list(a))).view(len(a), self.n_items, self.size)
        side_by_side = of_items.transpose(0, 1).reshape(self.n_items, -1)  # [N, graphs·d]: one product for all
        of_users = self.pairs(side_by_side).view(self.n_users, len(a), self.size).transpose(0, 1)
        return torch.cat([of_users, of_items], dim=1)

    def views(self) -> tuple[Tensor, Tensor]:
        """c and side, both [U + N, d]."""
        c = torch.cat(self.convolved(self.graph, self.n_layers))
        return c, self.side(c)

    def forward(self) -> tuple[Tensor, Tensor]:
        c, side = self.views()
        return self.split(c + side)

    def calculate_loss(self, interaction: Batch) -> Tensor:
        c, side = self.views()
        users, items = self.split(c + side)
        loss = self.bpr(interaction, users, items) + self.reg_weight * self.penalty(interaction)
        for rows in (interaction[self.USER_ID].unique(), self.n_users + interaction[self.ITEM_ID].unique()):
            loss = loss + self.contrast_weight * info_nce(side[rows], c[rows], self.temperature)
        return loss


def linears(number: int, size: int) -> nn.ModuleList:
    """``number`` linear maps of d columns to d."""
    return nn.ModuleList(nn.Linear(size, size) for _ in range(number))
