"""MMSP: shared-private. Each task sees the shared representation beside one of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recbole_mm.model.recommender import MultitaskRecommender
from recbole_mm.model.tasks.base import MovieRepresentations


class MMSP(MultitaskRecommender):
    """Shared-private multitask model.

        s = E_s(f);  r = E_r(f);  g = E_g(f);  q = E_q(f)       one shared encoder, one for each task
        rating:  z = [s; r]    genre:  c = [s; g]    ranking:  k = [s; q]

    With ``private_size: 0`` there are no private parts and the model is MMFS.

    Source: the shared-private scheme of Liu, Qiu and Huang, ACL 2017, section 3 (docs/models.md).
    """

    def build_encoders(self, fused_size: int, tasks: Sequence[str], config) -> dict[str, int]:
        size: int = config["embedding_size"]
        private_size: int = size if config["private_size"] is None else config["private_size"]
        self.sizes = [size, *[private_size] * len(tasks)]
        self.encoders = nn.Linear(fused_size, sum(self.sizes))  # E_s, E_r, E_g and E_q side by side: one product
        return dict.fromkeys(tasks, size + private_size)

    def encode(self, fused: Tensor) -> MovieRepresentations:
        representations: Tensor = self.encoders(fused)
        shared, *parts = representations.split(self.sizes, dim=1)  # [N, d] each
        if not any(self.sizes[1:]):
            return MovieRepresentations(of_task=dict.fromkeys(self.tasks, shared), shared=shared)
        private = dict(zip(self.tasks, parts))
        of_task = {task: torch.cat([shared, part], dim=1) for task, part in private.items()}
        return MovieRepresentations(of_task, shared, private)
