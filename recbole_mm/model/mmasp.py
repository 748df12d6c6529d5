"""MMASP: adversarial shared-private. The shared part must not tell the tasks apart, nor repeat the private parts."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.model.layers import reverse_gradient
from recbole_mm.model.losses import discriminator_accuracy, discriminator_loss, orthogonality_loss
from recbole_mm.model.mmsp import MMSP
from recbole_mm.model.tasks.base import MovieRepresentations
from recbole_mm.model.tasks.genre import GenreTask


class MMASP(MMSP):
    """Adversarial shared-private multitask model.

        MMSP, and
        D = softmax(W GRL_λ(norm(s)))               was the movie drawn from rating rows or uniformly?
        L_orth = ‖ŜᵀR̂‖²_F / B² + ‖ŜᵀĜ‖²_F / B²     s and r on the rating draw, s and g on the genre draw
        total  = rating_weight·MSE + genre_weight·(BCE + linear) + ranking + CE(D) + γ·L_orth

    Each task has its own draw of movies: the rating task draws them from rating rows, so by popularity; the genre
    task draws them uniformly. The two draws differ, so D has something to learn. Its accuracy is logged each epoch; at
    0.5 the shared part no longer reveals the task. Without one of the two tasks there is no D.

    Two other forms of the adversarial part, both off: with ``adversarial_genres`` D reads s together with the genres ĝ
    that the head on c predicts, norm(s) ⊗ [1; ĝ] (conditional adversarial networks, Long et al., NeurIPS 2018); with
    ``adversarial_rise`` λ rises from 0 to its value (Ganin et al., JMLR 2016, section 5.2.2).

    Source: Liu, Qiu and Huang, ACL 2017, sections 4.1 to 4.3 (λ = 0.05, γ = 0.01 there); gradient reversal of
    Ganin and Lempitsky, ICML 2015.
    """

    step: Tensor

    def __init__(self, config, dataset) -> None:
        super().__init__(config, dataset)
        self.adversarial_strength: float = config["adversarial_strength"]
        self.rise: int = config["adversarial_rise"]
        if self.rise:
            self.register_buffer("step", torch.zeros((), dtype=torch.long))  # a training that goes on continues here
        self.orthogonality_weight = config["orthogonality_weight"]
        self.discriminator = None
        if {"rating", "genre"} <= set(self.tasks):
            # Its weights take no random number from the rest: with λ = γ = 0 the model is MMSP bit for bit.
            with torch.random.fork_rng(devices=[]):
                genre_num = len(dataset.labels["genre"].names) if config["adversarial_genres"] else 0
                self.discriminator = TaskDiscriminator(config["embedding_size"], genre_num)

    def extra_losses(self, movies: MovieRepresentations, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.discriminator is not None:
            # As many movies as in the uniform draw; the batch is shuffled.
            drawn = {**drawn, "rating": drawn["rating"][: len(drawn["genre"])]}
        shared = {task: F.embedding(ids, movies.shared) for task, ids in drawn.items()}  # [B', d] each
        losses = {}
        if self.discriminator is not None:
            strength = self._strength()
            logits = [
                self.discriminator(shared[task], strength, self._genres(movies, drawn[task]))
                for task in ("rating", "genre")
            ]
            self.log_statistic("discriminator_accuracy", discriminator_accuracy(*logits))
            losses["discriminator"] = discriminator_loss(*logits)
        terms = [
            orthogonality_loss(s, F.embedding(drawn[task], movies.private[task]))
            for task, s in shared.items()
            if task in movies.private
        ]
        if terms:
            losses["orthogonality"] = self.orthogonality_weight * sum(terms[1:], terms[0])
        return losses

    def _strength(self) -> float:
        """λ of this step; rising, it is (2 / (1 + exp(-10 p)) - 1) λ with p the share of its steps that are done."""
        if not self.rise:
            return self.adversarial_strength
        gone = min(int(self.step) / self.rise, 1.0)
        self.step += 1
        return math.tanh(5 * gone) * self.adversarial_strength

    @torch.no_grad()
    def _genres(self, movies: MovieRepresentations, items: Tensor) -> Tensor | None:
        """ĝ of movies, [B', G]; None: the discriminator does not read it."""
        if self.discriminator is None or not self.discriminator.genre_num:
            return None
        task = cast("GenreTask", self.learned_tasks["genre"])
        return task.probabilities(task.head(F.embedding(items, movies.of_task["genre"])))


class TaskDiscriminator(nn.Module):
    """D = softmax(W GRL_λ(norm(s))): were these movies drawn from rating rows or uniformly from the catalogue?

    With genres ĝ it is softmax(W (GRL_λ(norm(s)) ⊗ [1; ĝ])): the draws must look alike genre by genre.

    λ acts inside the reversal only, so the discriminator itself learns at the full rate. norm() brings every s to
    one length: without it the encoder escapes the discriminator by growing s without bound, and the tasks suffer.
    """

    def __init__(self, shared_size: int, genre_num: int = 0) -> None:
        super().__init__()
        self.genre_num = genre_num
        self.output = nn.Linear(shared_size * (1 + genre_num), 2)

    def forward(self, shared: Tensor, strength: float, genres: Tensor | None = None) -> Tensor:
        """Logits over the two draws, [B, 2], of shared representations [B, d] and, if it reads them, genres [B, G]."""
        reversed_ = reverse_gradient(F.layer_norm(shared, shared.shape[1:]), strength)
        if genres is not None:
            reversed_ = (reversed_[:, :, None] * F.pad(genres, (1, 0), value=1.0)[:, None]).flatten(1)
        return self.output(reversed_)
