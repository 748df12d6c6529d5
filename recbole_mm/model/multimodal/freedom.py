"""FREEDOM: a frozen graph of movies with like content, and training pairs of which each epoch keeps a few."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.content import Projection
from recbole_mm.model.multimodal.graphs import Graph, both_ways, content_graphs, mean_over_present, normalized_pairs
from recbole_mm.model.multimodal.ranker import MultimodalRanker
from recbole_mm.model.tasks.base import Batch


class FREEDOM(MultimodalRanker):
    """(u, i) = LGN_L(e) on the pairs kept in this epoch, i += S e_i

        S^m_ij = 1/k for the k nearest movies                                 frozen              [N, N]
        S_i    = Σ_m p_im S^m_i / Σ_m p_im                                    over present m
        p(u, i) ∝ 1 / √(d_u d_i)                                              to be kept
        loss   = BPR(u, i, j) + λ Σ_m BPR(u, W_m x_im, W_m x_jm)              where both vectors are present

    In an epoch (1 - ρ) E of the E training pairs are kept, drawn without replacement and normalised anew. All pairs are
    in the graph of the evaluation. The loss is over all training pairs.

    Args:
        config: ``n_layers`` (L), ``neighbours`` (k), ``edge_dropout`` (ρ) and ``content_weight`` (λ), beside those of
            `MultimodalRanker`.
        dataset: the **training** part, with `modalities`.

    Source: Zhou and Shen, "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal
    Recommendation", MM 2023, arXiv 2211.06924, section 3. The weights of the modalities are equal here.
    """

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.n_layers, self.edge_dropout = config["n_layers"], config["edge_dropout"]
        self.content_weight = config["content_weight"]
        self.neighbours = config["neighbours"]
        self.projection = Projection(self.content, self.size)  # W
        self.kept = self.graph
        self.read_content()

    def read_content(self) -> None:
        """S, the frozen graph of movies."""
        graphs = content_graphs(self.content, self.trained, self.neighbours, binary=True)
        self.item_graph = Graph(mean_over_present(graphs, self.content.present())).to(self.trained.device)

    def start_epoch(self) -> None:
        """Draw the pairs that this epoch keeps."""
        pairs = sparse.coo_matrix(normalized_pairs(self.rated))
        weights = torch.from_numpy(pairs.data)
        number = max(1, round((1 - self.edge_dropout) * len(weights)))
        # The smallest of exponential numbers with these rates are a draw without replacement.
        kept = (torch.empty_like(weights).exponential_() / weights).topk(number, largest=False).indices.numpy()
        places = pairs.row[kept], pairs.col[kept]
        rated = sparse.csr_matrix((np.ones(number), places), shape=pairs.shape)
        self.kept = Graph(both_ways(normalized_pairs(rated))).to(self.trained.device)

    def forward(self) -> tuple[Tensor, Tensor]:
        users, items = self.convolved(self.kept if self.training else self.graph, self.n_layers)
        return users, items + self.item_graph(self.item_embeddings())

    def calculate_loss(self, interaction: Batch) -> Tensor:
        users, items = self.forward()
        loss = self.bpr(interaction, users, items)
        if self.content_weight:
            present = self.content.present()
            both = present[:, interaction[self.ITEM_ID]] & present[:, interaction[self.NEG_ITEM_ID]]  # [M, B]
            for projected, counts in zip(self.projection(self.content), both):
                loss = loss + self.content_weight * self.bpr(interaction, users, projected, counts)
        return loss
