"""Stand-ins for missing vectors, to compare with models that know which vectors are missing.

Everything comes from training rows: the means from movies with a training rating, the graph from who rated what.

Source: Malitesta et al., "Do We Really Need to Drop Items with Missing Modalities in Multimodal Recommendation?",
CIKM 2024, arXiv 2408.11767, section 3. There a movie takes the sum over its neighbours. Here it takes the mean over
those that have a vector, so that a stand-in is as long as a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset
from scipy import sparse

from recbole_mm.data.modality import Modality

NEIGHBOURS = 20  # movies with most users in common that are kept of each movie
STEPS = 20  # products with the graph that a diffusion takes
RESTART = 0.15  # of the random walk, in each step
HEAT = 1.0  # time of the heat diffusion
BLOCK = 512  # movies whose numbers of users in common are in memory at a time

IMPUTATIONS = ("none", "zeros", "mean", "neighbours", "pagerank", "heat")


def impute(modalities: dict[str, Modality], method: str, training: Dataset) -> dict[str, Modality]:
    """The fields with a stand-in for each missing vector, which then counts as present; unchanged for ``none``.

    A movie that the graph does not reach gets the mean. A field without any vector of a training movie stays as it is.

    Args:
        modalities: vectors by field.
        method: ``zeros``; ``mean`` of the training movies; or the mean over movies that users rated together with this
            one: ``neighbours`` (one step), ``pagerank`` (random walk with restart) or ``heat`` (heat diffusion).
        training: the training part.
    """
    if method == "none":
        return modalities
    rows: Any = training.inter_feat
    users, items = (rows[field].numpy() for field in (training.uid_field, training.iid_field))
    trained = np.bincount(items, minlength=training.item_num) > 0
    spread = _DIFFUSIONS[method](co_rated(users, items, training.item_num)) if method in _DIFFUSIONS else None
    imputed = {}
    for name, modality in modalities.items():
        known = modality.present.numpy() & trained
        if not known.any():
            imputed[name] = modality
            continue
        values = modality.values.double().numpy()
        stand_in = np.zeros_like(values)
        if method != "zeros":
            stand_in += values[known].mean(axis=0)
        if spread is not None:
            total, weight = spread(values * known[:, None]), spread(known[:, None].astype(float))
            reached = weight[:, 0] > 1e-12
            stand_in[reached] = total[reached] / weight[reached]
        stand_in[0] = 0.0  # [PAD]
        filled = torch.where(modality.present[:, None], modality.values, torch.from_numpy(stand_in).float())
        present = torch.ones_like(modality.present)
        present[0] = False
        imputed[name] = Modality(filled, present)
    return imputed


def co_rated(users: np.ndarray, items: np.ndarray, item_num: int) -> sparse.csr_matrix:
    """D^-½ C D^-½, C the numbers of users in common of each movie and the 20 others with most, [N, N]."""
    rated = sparse.csr_matrix((np.ones(len(users)), (users, items)), shape=(users.max() + 1, item_num))
    of_movies, number = sparse.csr_matrix(rated.T), min(NEIGHBOURS, item_num - 1)
    rows, columns, values = [], [], []
    for start in range(0, item_num, BLOCK):
        common = (of_movies[start : start + BLOCK] @ rated).toarray()  # [block, N]
        block = np.arange(len(common))
        common[block, start + block] = 0
        most = np.argpartition(-common, number - 1, axis=1)[:, :number]  # [block, 20]
        rows.append(np.repeat(start + block, number))
        columns.append(most.ravel())
        values.append(np.take_along_axis(common, most, axis=1).ravel())
    edges = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    counts = sparse.csr_matrix(edges, shape=(item_num, item_num))
    counts = counts.maximum(counts.T)
    degrees = np.asarray(counts.sum(axis=1)).ravel()
    scale = sparse.diags(np.where(degrees > 0, np.maximum(degrees, 1.0) ** -0.5, 0.0))
    return sparse.csr_matrix(scale @ counts @ scale)


def _neighbours(graph: sparse.csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: graph @ x


def _pagerank(graph: sparse.csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """Σ_n r (1 - r)^n Â^n x, by repetition."""

    def spread(x: np.ndarray) -> np.ndarray:
        y = x
        for _ in range(STEPS):
            y = RESTART * x + (1 - RESTART) * (graph @ y)
        return y

    return spread


def _heat(graph: sparse.csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """exp(-τ (I - Â)) x = e^-τ Σ_n τ^n / n! Â^n x."""

    def spread(x: np.ndarray) -> np.ndarray:
        y = term = x
        for n in range(1, STEPS + 1):
            term = HEAT / n * (graph @ term)
            y = y + term
        return np.exp(-HEAT) * y

    return spread


_DIFFUSIONS = {"neighbours": _neighbours, "pagerank": _pagerank, "heat": _heat}
