"""Rotation to components, the same on every machine."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

_EXPLAINED_VARIANCE = 0.95


def principal_components(raw: np.ndarray, max_components: int) -> np.ndarray:
    """Clip, standardise, rotate to principal components, divide by the first one's deviation.

    Values outside a column's 1st to 99th percentile are clipped: the aesthetic features hold a few like 3e15, where
    a ratio was taken of almost nothing, and one of them would outweigh all movies. Columns that are constant, or as
    good as (three of the sentence embeddings' vary by 1e-8 and less), are dropped rather than blown up.

    The components keep their relative variances (no whitening). They are as many as explain 95 % of the variance, at
    most ``max_components``.

    Args:
        raw: [n, d], finite.

    Returns:
        float64 [n, k]; the first column has a standard deviation of 1.
    """
    raw = np.clip(raw.astype(np.float64), *np.quantile(raw, [0.01, 0.99], axis=0))
    deviation = raw.std(axis=0)
    varying = deviation > 1e-6 * deviation.max()
    standardised = (raw[:, varying] - raw[:, varying].mean(axis=0)) / deviation[varying]
    _, singular, loadings = np.linalg.svd(standardised, full_matrices=False)
    explained = np.cumsum(singular**2) / np.sum(singular**2)
    kept = min(int(np.searchsorted(explained, _EXPLAINED_VARIANCE)) + 1, max_components)
    components = standardised @ with_fixed_signs(loadings[:kept]).T
    return components / components[:, 0].std()


def word_components(texts: list[str], components: int) -> np.ndarray:
    """tf-idf over the words that three or more texts use, then truncated SVD, centred; see `semantic_components`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return semantic_components(
        TfidfVectorizer(min_df=3, sublinear_tf=True, dtype=np.float64).fit_transform(texts), components
    )


def semantic_components(tf_idf: csr_matrix, components: int) -> np.ndarray:
    """Truncated SVD of tf-idf rows [n, words], centred and divided by the largest deviation of a component.

    Returns:
        float64 [n, components].
    """
    _, _, loadings = svds(tf_idf, k=components, v0=np.ones(min(tf_idf.shape)))
    values = tf_idf @ with_fixed_signs(loadings[::-1]).T  # svds gives the smallest first
    values -= values.mean(axis=0)
    return values / values.std(axis=0).max()


def with_fixed_signs(loadings: np.ndarray) -> np.ndarray:
    """Loadings [k, d] with the largest of each row made positive: libraries differ in the sign they happen to give."""
    largest = np.abs(loadings).argmax(axis=1)
    return loadings * np.sign(loadings[np.arange(len(loadings)), largest])[:, None]
