"""MMSP: shared-private. Each task sees the shared representation beside one of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_mm.model.recommender import MovieRepresentations, MultimodalMultitaskRecommender


class MMSP(MultimodalMultitaskRecommender):
    """Shared-private multitask model.

        s = E_s(f);  r = E_r(f);  g = E_g(f);  q = E_q(f)       one shared encoder, one for each task
        rating:  z = [s; r]    genre:  c = [s; g]    ranking:  k = [s; q]

    With ``private_size: 0`` there are no private parts and the model is MMFS.

    Source: the shared-private scheme of Liu, Qiu and Huang, ACL 2017, section 3 (docs/models.md).
    """

    def build_encoders(self, fused_size: int, size: int, config) -> None:
        private_size = size if config["private_size"] is None else config["private_size"]
        self.sizes = [size, *[private_size] * (3 if self.ranks else 2)]
        self.has_private = private_size > 0
        # E_s, E_r, E_g and E_q side by side: one product for all.
        self.encoders = nn.Linear(fused_size, sum(self.sizes))
        self.rating_size = self.genre_size = self.ranking_movie_size = size + private_size

    def encode(self, fused: Tensor) -> MovieRepresentations:
        shared, for_rating, for_genre, *for_ranking = self.encoders(fused).split(self.sizes, dim=1)  # [N, d] each
        if not self.has_private:
            return MovieRepresentations(rating=shared, genre=shared, ranking=shared, shared=shared)
        return MovieRepresentations(
            rating=torch.cat([shared, for_rating], dim=1),
            genre=torch.cat([shared, for_genre], dim=1),
            ranking=torch.cat([shared, *for_ranking], dim=1),
            shared=shared,
            rating_private=for_rating,
            genre_private=for_genre,
        )
