"""MGCN: content filters the identity of a movie, and behaviour says which content a user wants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.multimodal.side_view import SideViewRanker, linears


class MGCN(SideViewRanker):
    """(u, i) = c + side, c = LGN_L(e)

        a_m  = e_i ⊙ σ(G_m W_m x_m)                                           purified identity   [N, d]
        b_m  = [R̂ S̃^m a_m ; S̃^m a_m]                                          of users and movies [U + N, d]
        s    = Σ_m α_m b_m                                                    α = softmax of qᵀ tanh(Q b_m)
        side = (s + Σ_m σ(P_m c) ⊙ (b_m - s)) / (M + 1)

    Softmax, sum and M are over the modalities that a movie has, or that a movie of the user has. The loss is that of
    `SideViewRanker`.

    Args:
        config: options of `SideViewRanker`.
        dataset: the **training** part, with `modalities`.

    Source: Yu et al., "Multi-View Graph Convolutional Network for Multimedia Recommendation", MM 2023,
    arXiv 2308.03588, equations 1 to 17.
    """

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        number = len(self.content.widths)
        self.gates = linears(number, self.size)  # G
        self.preferences = linears(number, self.size)  # P
        self.attention = nn.Sequential(  # qᵀ tanh(Q b)
            nn.Linear(self.size, self.size), nn.Tanh(), nn.Linear(self.size, 1, bias=False)
        )

    def side(self, c: Tensor) -> Tensor:
        e = self.item_embeddings()
        b = self.propagated([e * gate(x).sigmoid() for gate, x in zip(self.gates, self.projection(self.content))])
        # Not -inf: where nothing is present, its softmax would be NaN, and so would its gradient.
        scores = self.attention(b).masked_fill(~self.present, -1e9)  # [M, U + N, 1]
        shares = torch.where(self.present, scores.softmax(dim=0), 0.0)  # α
        s = (shares * b).sum(dim=0)  # [U + N, d]
        wanted = torch.stack([preference(c).sigmoid() for preference in self.preferences])  # [M, U + N, d]
        special = (self.present * wanted * (b - s)).sum(dim=0)
        return (s + special) / (self.present.sum(dim=0) + 1)
