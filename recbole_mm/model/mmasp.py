"""MMASP: adversarial shared-private. The shared part must not tell the tasks apart, nor repeat the private parts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recbole_mm.model.layers import TaskDiscriminator
from recbole_mm.model.losses import discriminator_accuracy, discriminator_loss, orthogonality_loss
from recbole_mm.model.mmsp import MMSP
from recbole_mm.model.recommender import MovieRepresentations


class MMASP(MMSP):
    """Adversarial shared-private multitask model.

        MMSP, and
        D = softmax(W GRL_λ(norm(s)))               which task drew the movie: through ratings, or uniformly?
        L_orth = ‖ŜᵀR̂‖²_F / B² + ‖ŜᵀĜ‖²_F / B²     s and r on the rating draw, s and g on the genre draw
        total  = rating_weight·MSE + genre_weight·(BCE + linear) + ranking + CE(D) + γ·L_orth

    Each task brings the movies of its own batch: the rating task's are drawn through ratings, by popularity, the
    genre task's uniformly. So the draws differ and D has something to learn. Its accuracy (0.5: the shared part
    gives the task away no more) is logged each epoch.

    Source: Liu, Qiu and Huang, ACL 2017, sections 4.1 to 4.3 (λ = 0.05, γ = 0.01 there); gradient reversal of
    Ganin and Lempitsky, ICML 2015.
    """

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        self.adversarial_strength = config["adversarial_strength"]
        self.orthogonality_weight = config["orthogonality_weight"]
        # The discriminator's weights take no random number from the rest: with λ = γ = 0 that is MMSP bit for bit.
        with torch.random.fork_rng(devices=[]):
            self.discriminator = TaskDiscriminator(config["embedding_size"])

    def extra_losses(self, movies: MovieRepresentations, rated: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        rated = rated[: len(drawn)]  # as many as the uniform draw; the batch is shuffled
        shared_rated, shared_drawn = (F.embedding(ids, movies.shared) for ids in (rated, drawn))  # [B', d] each
        logits = [self.discriminator(s, self.adversarial_strength) for s in (shared_rated, shared_drawn)]
        self.log_statistic("discriminator_accuracy", discriminator_accuracy(*logits))
        losses = {"discriminator": discriminator_loss(*logits)}
        if self.has_private:
            losses["orthogonality"] = self.orthogonality_weight * (
                orthogonality_loss(shared_rated, F.embedding(rated, movies.rating_private))
                + orthogonality_loss(shared_drawn, F.embedding(drawn, movies.genre_private))
            )
        return losses
