"""SMORE: modalities are denoised and fused as spectra, and the fused one guides the others."""

from __future__ import annotations

from functools import reduce

import torch
from scipy import sparse
from torch import Tensor, nn

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.layers import Dropout
from recbole_mm.model.multimodal.side_view import SideViewRanker, linears


class SMORE(SideViewRanker):
    """(u, i) = c + side, c = LGN_L(e)

        F_m   = rfft(W_m x_m)                                                 spectrum            [N, d/2 + 1]
        n_m   = irfft(F_m ⊙ k_m),  n_f = irfft(Π_m F_m ⊙ k_f)                 k complex filters   [N, d]
        a_*   = e_i ⊙ σ(G_* n_*)                                              * is m or f
        b_*   = [R̂ S̃^* a_* ; S̃^* a_*]                                         S̃^f = max over m of S̃^m
        agg_m = softmax(Q_m b_f) ⊙ b_m                                        softmax over the d columns
        side  = mean of drop(σ(P_m c)) ⊙ agg_m over m and of drop(σ(P_f c)) ⊙ b_f

    A factor of the product that is missing is 1, and the mean is over the modalities that a movie has, or that a movie
    of the user has. The loss is that of `SideViewRanker`.

    Args:
        config: ``dropout_prob``, beside the options of `SideViewRanker`.
        dataset: the **training** part, with `modalities`.

    Source: Ong and Khong, "Spectrum-based Modality Representation Fusion Graph Convolutional Network for Multimodal
    Recommendation", WSDM 2025, arXiv 2412.14978, section 3.
    """

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        number = len(self.content.widths)
        # Pairs of real numbers: Adam would see the two parts of a complex number as one.
        self.filters = nn.Parameter(0.02 * torch.randn(number + 1, self.size // 2 + 1, 2))  # k
        self.gates = linears(number + 1, self.size)  # G
        self.queries = linears(number, self.size)  # Q
        self.preferences = linears(number + 1, self.size)  # P
        self.dropout = Dropout(config["dropout_prob"])

    def graphs_of_movies(self, graphs: list[sparse.csr_matrix]) -> list[sparse.csr_matrix]:
        return [*graphs, reduce(lambda one, other: one.maximum(other), graphs)]

    def denoised(self) -> Tensor:
        """n_m of each modality and n_f, [M + 1, N, d]."""
        spectra = torch.fft.rfft(self.projection(self.content), dim=-1, norm="ortho")  # [M, N, d/2 + 1]
        fused = torch.where(self.content.present()[..., None], spectra, 1.0).prod(dim=0, keepdim=True)
        filters = torch.view_as_complex(self.filters)[:, None]  # [M + 1, 1, d/2 + 1]
        return torch.fft.irfft(torch.cat([spectra, fused]) * filters, n=self.size, dim=-1, norm="ortho")

    def side(self, c: Tensor) -> Tensor:
        e = self.item_embeddings()
        b = self.propagated([e * gate(n).sigmoid() for gate, n in zip(self.gates, self.denoised())])
        wanted = [self.dropout(preference(c).sigmoid()) for preference in self.preferences]  # [U + N, d] each
        total = wanted[-1] * b[-1]
        for of_m, query, b_m, present in zip(wanted, self.queries, b, self.present):
            total = total + present * of_m * query(b[-1]).softmax(dim=1) * b_m
        return total / (self.present.sum(dim=0) + 1)
