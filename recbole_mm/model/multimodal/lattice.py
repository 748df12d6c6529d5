"""LATTICE: a graph of movies with like content that is learned with the model."""

from __future__ import annotations

import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.content import Projection
from recbole_mm.model.multimodal.graphs import Graph, as_matrix, content_graphs, nearest_items, symmetric
from recbole_mm.model.multimodal.ranker import MultimodalRanker
from recbole_mm.model.tasks.base import Batch


class LATTICE(MultimodalRanker):
    """(u, i) = LGN_L(e),  i += h_i / ‖h_i‖ with h = S^l e

        S̃^m   graph of the k nearest movies by x_m                            frozen              [N, N]
        Ã^m   graph of the k nearest movies by W_m x_m                        built once an epoch
        S_i = Σ_m α_im (λ S̃^m_i + (1 - λ) Ã^m_i)                              α_i = softmax of w over present m
        loss  BPR(u, i, j) + μ (‖e_u‖² + ‖e_i‖² + ‖e_j‖²) / 2

    W learns through the cosines of Ã in the first step of an epoch; in the other steps Ã is constant, as in the
    authors' experiments. In evaluation Ã is built from the present W.

    Args:
        config: ``n_layers`` (L), ``item_layers`` (l), ``neighbours`` (k), ``frozen_weight`` (λ) and ``reg_weight`` (μ),
            beside those of `MultimodalRanker`.
        dataset: the **training** part, with `modalities`.

    Source: Zhang et al., "Mining Latent Structures for Multimedia Recommendation", MM 2021, arXiv 2104.09036,
    equations 1 to 10. Its decay of the learning rate (.96 each 50 epochs) is left out.
    """

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.n_layers, self.item_layers = config["n_layers"], config["item_layers"]
        self.neighbours, self.frozen_weight = config["neighbours"], config["frozen_weight"]
        self.reg_weight = config["reg_weight"]
        self.projection = Projection(self.content, self.size)  # W
        self.modality_logits = nn.Parameter(torch.zeros(len(self.content.widths)))  # w
        self.read_content()

    def read_content(self) -> None:
        """All S̃^m one below the other, [M·N, N]."""
        graphs = content_graphs(self.content, self.trained, self.neighbours)
        self.frozen = sparse.csr_matrix(sparse.vstack(graphs))
        self.item_graph: Graph | None = None  # λ S̃ + (1 - λ) Ã of this epoch

    def start_epoch(self) -> None:
        """Have the graph built anew in the first step."""
        self.item_graph = None

    def forward(self) -> tuple[Tensor, Tensor]:
        users, items = self.convolved(self.graph, self.n_layers)
        shares = self.modality_shares()  # α [M, N, 1]
        learned = None
        if self.item_graph is None or not self.training:
            learned = self.learned_edges()
            self.item_graph = self.build(learned)
        h = self.item_embeddings()
        for _ in range(self.item_layers):
            h = (shares * self.of_each_modality(h, learned)).sum(dim=0)
        return users, items + F.normalize(h, dim=1)

    def modality_shares(self) -> Tensor:
        """α, softmax of w over the modalities that a movie has, [M, N, 1]; zeros for a movie without vectors."""
        weights = self.modality_logits.exp()[:, None] * self.content.present()
        return (weights / weights.sum(dim=0).clamp_min(1e-12))[..., None]

    def learned_edges(self) -> list[tuple[Tensor, Tensor]]:
        """Neighbours and normalised cosines of each Ã^m, [N, k]; gradients reach W through the cosines."""
        edges = []
        for projected, present in zip(self.projection(self.content), self.content.present()):
            nearest, cosines = nearest_items(projected.detach(), present, self.trained, self.neighbours)
            if self.training:
                unit = F.normalize(projected, dim=1)
                cosines = torch.einsum("nd,nkd->nk", unit, unit[nearest]) * (cosines > 0)
            edges.append((nearest, symmetric(nearest, cosines)))
        return edges

    def build(self, learned: list[tuple[Tensor, Tensor]]) -> Graph:
        """λ S̃^m + (1 - λ) Ã^m of all modalities, one below the other, without gradient, [M·N, N]."""
        stacked = sparse.vstack([as_matrix(*edges) for edges in learned])
        mixed = self.frozen_weight * self.frozen + (1 - self.frozen_weight) * stacked
        return Graph(sparse.csr_matrix(mixed)).to(self.trained.device)

    def of_each_modality(self, h: Tensor, learned: list[tuple[Tensor, Tensor]] | None) -> Tensor:
        """(λ S̃^m + (1 - λ) Ã^m) h of each modality, [M, N, d]."""
        assert self.item_graph is not None
        product = self.item_graph(h).view(-1, self.n_items, self.size)
        if learned is None or not self.training:
            return product
        # The same values, with a gradient for the cosines.
        changes = [F.embedding_bag(near, h.detach(), mode="sum", per_sample_weights=w) for near, w in learned]
        change = (1 - self.frozen_weight) * torch.stack(changes)
        return product + change - change.detach()

    def calculate_loss(self, interaction: Batch) -> Tensor:
        users, items = self.forward()
        return self.bpr(interaction, users, items) + self.reg_weight * self.penalty(interaction)
