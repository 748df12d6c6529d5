"""MMFS: fully shared. One representation of a movie serves both tasks."""

from __future__ import annotations

from torch import Tensor, nn

from recbole_mm.model.recommender import MovieRepresentations, MultimodalMultitaskRecommender


class MMFS(MultimodalMultitaskRecommender):
    """Fully shared multitask model.

        s = E_s(f)                                  one encoder
        rating:  z = s         genre:  c = s        ranking:  k = s

    Source: the fully shared scheme of Liu, Qiu and Huang, "Adversarial Multi-task Learning for Text
    Classification", ACL 2017, section 3, on fused movies (docs/models.md).
    """

    def build_encoders(self, fused_size: int, size: int, config) -> None:
        self.shared_encoder = nn.Linear(fused_size, size)
        self.rating_size = self.genre_size = self.ranking_movie_size = size

    def encode(self, fused: Tensor) -> MovieRepresentations:
        shared = self.shared_encoder(fused)  # [N, d]
        return MovieRepresentations(rating=shared, genre=shared, shared=shared, ranking=shared)
