"""Embeddings on a plane, for a figure."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

PERPLEXITY, COMPONENTS = 30.0, 30


def two_dimensions(vectors: np.ndarray) -> np.ndarray:
    """Positions [n, 2] of n vectors [n, m], similar ones close: t-SNE of principal components, the same each time."""
    reduced = PCA(min(COMPONENTS, *vectors.shape), random_state=0).fit_transform(vectors)
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
