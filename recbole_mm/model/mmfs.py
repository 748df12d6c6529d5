"""MMFS: fully shared. One representation of a movie serves all tasks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from recbole_mm.model.recommender import MultitaskRecommender
from recbole_mm.model.tasks.base import MovieRepresentations


class MMFS(MultitaskRecommender):
    """Fully shared multitask model.

        s = E_s(f)                                  one encoder
        rating:  z = s         genre:  c = s        ranking:  k = s

    Source: the fully shared scheme of Liu, Qiu and Huang, "Adversarial Multi-task Learning for Text
    Classification", ACL 2017, section 3, on fused movies (docs/models.md).
    """

    def build_encoders(self, fused_size: int, tasks: Sequence[str], config) -> dict[str, int]:
        size: int = config["embedding_size"]
        self.shared_encoder = nn.Linear(fused_size, size)
        return dict.fromkeys(tasks, size)

    def encode(self, fused: Tensor) -> MovieRepresentations:
        shared: Tensor = self.shared_encoder(fused)  # [N, d]
        return MovieRepresentations(of_task=dict.fromkeys(self.tasks, shared), shared=shared)
