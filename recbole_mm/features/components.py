"""Rotation to components, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import eigsh

_LANCZOS_FACTOR = 8  # Lanczos is faster than a full decomposition for fewer than 1/8 of the components


@dataclass(frozen=True)
class Rotation:
    """x -> loadings @ ((clip(x, low, high) - mean) / deviation), fitted by `fit_rotation`.

    Attributes:
        low, high, mean, deviation: of each column, [d]; the deviation of a dropped column is inf.
        loadings: [k, d].
    """

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    loadings: np.ndarray

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """Components [n, k] of vectors [n, d]."""
        return (np.clip(raw, self.low, self.high) - self.mean) / self.deviation @ self.loadings.T


def fit_rotation(raw: np.ndarray, max_components: int, explained_variance: float = 1.0) -> Rotation:
    """Clipping, standardising and rotating to principal components, with statistics of these vectors.

    Values outside a column's 1st to 99th percentile are clipped: the aesthetic features hold a few values like 3e15
    (a ratio divided by almost 0), and one of them would outweigh all movies. Constant and almost constant columns are
    dropped, because standardising would amplify noise (three columns of the sentence embeddings vary by 1e-8 or less).

    Args:
        raw: [n, d], finite.
        explained_variance: keep the components that explain this part, at most ``max_components``, n and d.
    """
    low, high = np.quantile(raw, [0.01, 0.99], axis=0)
    clipped = np.clip(raw, low, high).astype(np.float64)
    mean, deviation = clipped.mean(axis=0), clipped.std(axis=0)
    deviation[deviation <= 1e-6 * deviation.max()] = np.inf
    standardised = (clipped - mean) / deviation
    if explained_variance == 1 and max_components * _LANCZOS_FACTOR < min(raw.shape):
        return Rotation(low, high, mean, deviation, with_fixed_signs(_first_loadings(standardised, max_components)))
    _, singular, loadings = np.linalg.svd(standardised, full_matrices=False)
    if explained_variance < 1:
        explained = np.cumsum(singular**2) / np.sum(singular**2)
        max_components = min(int(np.searchsorted(explained, explained_variance)) + 1, max_components)
    return Rotation(low, high, mean, deviation, with_fixed_signs(loadings[:max_components]))


def _first_loadings(standardised: np.ndarray, components: int) -> np.ndarray:
    """The first right singular vectors [k, d], from the products of columns or of rows, whichever are fewer.

    Lanczos reads its matrix about a hundred times, and the products are several times smaller than the vectors. Their
    eigenvalues are squares of the singular values. So only components much smaller than the first lose precision.
    """
    rows_are_fewer = len(standardised) < standardised.shape[1]
    products = standardised @ standardised.T if rows_are_fewer else standardised.T @ standardised
    _, vectors = eigsh(products, k=components, v0=np.ones(len(products)))
    first = vectors.T[::-1]  # eigsh returns the smallest first
    if rows_are_fewer:
        first = first @ standardised
        first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first


def with_fixed_signs(loadings: np.ndarray) -> np.ndarray:
    """Loadings [k, d] with the largest value of each row made positive: the signs differ between libraries."""
    largest = np.abs(loadings).argmax(axis=1)
    return loadings * np.sign(loadings[np.arange(len(loadings)), largest])[:, None]
