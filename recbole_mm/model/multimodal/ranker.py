"""What multimodal rankers share: scores that are dot products, losses from pairs, and movies without ratings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.capabilities import Capabilities
from recbole_mm.model.closed_form.kernels import rated_matrix
from recbole_mm.model.content import CatalogueContent, ReadsContent
from recbole_mm.model.losses import bpr_loss, masked_mean
from recbole_mm.model.multimodal.graphs import Graph, both_ways, light_gcn, normalized_pairs
from recbole_mm.model.tasks.base import Batch


class MultimodalRanker(ReadsContent, GeneralRecommender):
    """score(u, i) = u · i; a subclass says how the vectors of users and movies come from ids, content and graphs.

    A movie without training ratings has no identity: its id embedding is 0 and is never trained. Where such a movie is
    drawn as the unrated movie of a pair, the pair teaches nothing: it would lower the movies that are tested.

    Args:
        config: ``embedding_size`` (d).
        dataset: the **training** part, with `modalities`.

    Attributes:
        content: vectors of all movies.
        rated: who rated what in training, 0/1 [U, N].
        graph: Â, the normalised graph of the training pairs, [U + N, U + N].
        trained: which movies have training ratings, bool [N].
    """

    input_type = InputType.PAIRWISE
    capabilities = Capabilities(reads_vectors=True)
    trained: Tensor

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.size: int = config["embedding_size"]
        self.content = CatalogueContent(dataset)
        users, items = (dataset.inter_feat[field].numpy() for field in (self.USER_ID, self.ITEM_ID))
        self.rated = rated_matrix(users, items, self.n_users, self.n_items)
        self.graph = Graph(both_ways(normalized_pairs(self.rated)))
        self.register_buffer("trained", torch.from_numpy(np.bincount(items, minlength=self.n_items) > 0), False)
        self.user, self.item = nn.Embedding(self.n_users, self.size), nn.Embedding(self.n_items, self.size)
        for embedding in (self.user, self.item):
            nn.init.xavier_uniform_(embedding.weight)
        self._encoded: tuple[Tensor, Tensor] | None = None

    # ------------------------------------------------------------------ parts of the subclasses

    @abstractmethod
    def forward(self) -> tuple[Tensor, Tensor]:
        """Vectors of all users [U, d] and of all movies [N, d]."""

    def start_epoch(self) -> None:
        """What a model draws or builds once an epoch; nothing by default."""

    def item_embeddings(self) -> Tensor:
        """e of the movies, [N, d], 0 for a movie without training ratings."""
        return self.item.weight * self.trained[:, None]

    def convolved(self, graph: Graph, layers: int) -> tuple[Tensor, Tensor]:
        """LGN_L(e) of the users [U, d] and of the movies [N, d]."""
        return self.split(light_gcn(graph, torch.cat([self.user.weight, self.item_embeddings()]), layers))

    def split(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of users, [U, d], and of movies, [N, d]."""
        users, items = both.split([self.n_users, self.n_items])
        return users, items

    def bpr(self, interaction: Batch, users: Tensor, items: Tensor, mask: Tensor | None = None) -> Tensor:
        """The BPR loss of the batch's pairs under users [U, d] and movies [N, d].

        Args:
            mask: pairs that count, bool [B]; all by default.
        """
        of_user = users[interaction[self.USER_ID]]
        rated, other = interaction[self.ITEM_ID], interaction[self.NEG_ITEM_ID]
        counts = self.trained[other] if mask is None else self.trained[other] & mask
        return bpr_loss((of_user * items[rated]).sum(dim=1), (of_user * items[other]).sum(dim=1), counts)

    def penalty(self, interaction: Batch, *users: Tensor) -> Tensor:
        """(‖e_u‖² + ‖e_i‖² + ‖e_j‖²) / 2, mean over the pairs of the batch.

        Args:
            users: tables of users' vectors [U, d]; by default the id embeddings alone.
        """
        of_users = [table[interaction[self.USER_ID]] for table in users or (self.user.weight,)]
        items = self.item_embeddings()
        of_items = [items[interaction[field]] for field in (self.ITEM_ID, self.NEG_ITEM_ID)]
        return torch.stack([masked_mean(x.square().sum(dim=1)) for x in (*of_users, *of_items)]).sum() / 2

    # ------------------------------------------------------------------ what RecBole calls

    def train(self, mode: bool = True):
        """Training begins an epoch, as RecBole's trainers call this once for each; evaluation encodes all anew."""
        self._encoded = None
        super().train(mode)
        if mode:
            self.start_epoch()
        return self

    def with_presence(self, present: Mapping[str, Tensor]):
        other = super().with_presence(present)
        other._encoded = None
        return other

    def encoded(self) -> tuple[Tensor, Tensor]:
        """`forward`, which in evaluation is computed once for all batches."""
        if self.training:
            return self.forward()
        if self._encoded is None:
            self._encoded = self.forward()
        return self._encoded

    def predict(self, interaction: Batch) -> Tensor:
        """Score of each pair, [B]."""
        users, items = self.encoded()
        return (users[interaction[self.USER_ID]] * items[interaction[self.ITEM_ID]]).sum(dim=1)

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """Score of every movie for each user of the batch, flat [B * N]."""
        users, items = self.encoded()
        return (users[interaction[self.USER_ID]] @ items.T).view(-1)
