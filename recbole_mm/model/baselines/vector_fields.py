"""Vectors as inputs of RecBole's context models, so that they can be compared with ours on the same features.

RecBole gives all elements of a float sequence one embedding row: a vector reaches its models as the mean of its
elements. Here each modality is one more field, whose embedding is a learned projection of the vector.
"""

from __future__ import annotations

import torch
from recbole.model.abstract_recommender import ContextRecommender
from torch import Tensor, nn

from recbole_mm.model.content import CatalogueContent
from recbole_mm.model.tasks.base import Batch

# Like RecBole's embeddings of a token, whose elements start at a few hundredths.
EMBEDDING_SCALE = 0.05


class VectorFields(ContextRecommender):
    """Base class to list after a context model of RecBole: it comes between the model and the model's own base.

        e_k(m) = p_k (V_k x_k + b_k) + (1 - p_k) u_k        embedding of field k, [embedding_size]
        w_k(m) likewise                                     its first-order weight, zero at the start

    The model sizes its layers after the fields have been counted here. Without ``vector_input`` the model
    is RecBole's.

    Args:
        config: with ``vector_input``.
        dataset: the **training** part, with `modalities` if ``vector_input`` is set.
    """

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        self.content = None
        if config["vector_input"]:
            self.content, self.item_field = CatalogueContent(dataset), dataset.iid_field
            self.num_feature_field += len(self.content.widths)
            self.field_projections = nn.ParameterList(
                torch.randn(width, self.embedding_size) * EMBEDDING_SCALE * width**-0.5
                for width in self.content.widths.values()
            )
            self.first_order_linear = _FirstOrder(self.first_order_linear, self.content, self.item_field)

    def concat_embed_input_fields(self, interaction: Batch) -> Tensor:
        """Embeddings of all fields, [B, fields, embedding_size]."""
        embeddings = super().concat_embed_input_fields(interaction)
        if self.content is None:
            return embeddings
        projected = [x @ v for x, v in zip(self.content.fields(), self.field_projections)]  # [N, embedding_size] each
        return torch.cat([embeddings, torch.stack(projected, dim=1)[interaction[self.item_field]]], dim=1)


class _FirstOrder(nn.Module):
    """RecBole's first-order part plus the first-order part of the vectors, [B, 1]."""

    def __init__(self, of_tokens: nn.Module, content: CatalogueContent, item_field: str) -> None:
        super().__init__()
        self.of_tokens, self.content, self.item_field = of_tokens, content, item_field
        self.of_vectors = nn.Parameter(torch.zeros(sum(content.widths.values()), 1))

    def forward(self, interaction: Batch) -> Tensor:
        return self.of_tokens(interaction) + (self.content() @ self.of_vectors)[interaction[self.item_field]]
