"""Losses as pure functions. An optional mask [B] leaves rows out of the mean."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of ``values`` [B] over the rows where ``mask`` is true; 0 if there is none."""
    if mask is None:
        return values.mean()
    weights = mask.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp_min(1.0)


def rating_loss(predicted: Tensor, rating: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error on the raw rating scale; both [B]."""
    return masked_mean((predicted - rating).square(), mask)


def genre_loss(logits: Tensor, genres: Tensor, mask: Tensor | None = None) -> Tensor:
    """Multi-label binary cross-entropy, mean over genres and movies; logits and 0/1 targets [B, G]."""
    return masked_mean(F.binary_cross_entropy_with_logits(logits, genres, reduction="none").mean(dim=1), mask)


def discriminator_loss(through_ratings: Tensor, uniform: Tensor) -> Tensor:
    """Class-balanced cross-entropy of the task discriminator.

    Args:
        through_ratings: logits of movies drawn from the rating rows (class 0), [B, 2].
        uniform: logits of movies drawn uniformly from the catalogue (class 1), [B', 2].
    """
    return -(F.log_softmax(through_ratings, dim=1)[:, 0].mean() + F.log_softmax(uniform, dim=1)[:, 1].mean()) / 2


def discriminator_accuracy(through_ratings: Tensor, uniform: Tensor) -> Tensor:
    """Class-balanced accuracy of the task discriminator, in [0, 1]; arguments as `discriminator_loss`."""
    first = through_ratings[:, 0] >= through_ratings[:, 1]
    second = uniform[:, 1] > uniform[:, 0]
    return (first.float().mean() + second.float().mean()) / 2


def orthogonality_loss(shared: Tensor, private: Tensor) -> Tensor:
    """‖ŜᵀĤ‖²_F / B² with columns centred and rows L2-normalised; in [0, 1].

    The normalisation makes the value independent of the batch size and of the scale of the representations
    (Bousmalis et al., NeurIPS 2016, for the term; Liu et al., ACL 2017, for its use here).

    Args:
        shared, private: representations of the same movies, [B, d] and [B, d'].
    """
    shared, private = (F.normalize(x - x.mean(dim=0), dim=1) for x in (shared, private))
    return (shared.T @ private).square().sum() / len(shared) ** 2


def bpr_loss(rated: Tensor, other: Tensor, mask: Tensor | None = None) -> Tensor:
    """-log sigmoid(score of the rated movie - score of the other), mean over pairs; both [B].

    Source: Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
    """
    return masked_mean(-F.logsigmoid(rated - other), mask)


def info_nce(x: Tensor, y: Tensor, temperature: float) -> Tensor:
    """-log of the softmax of cosine(x_b, y_b) / temperature among the cosines of x_b with all rows of y; both [B, d].

    Source: van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018.
    """
    cosines = F.normalize(x, dim=1) @ F.normalize(y, dim=1).T
    return F.cross_entropy(cosines / temperature, torch.arange(len(x), device=x.device))
