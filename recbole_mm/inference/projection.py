"""Embeddings on a plane, to be looked at."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

PERPLEXITY, COMPONENTS = 30.0, 30


def two_dimensions(vectors: np.ndarray) -> np.ndarray:
    """Positions [n, 2] of n vectors [n, m], near ones near: t-SNE of their principal components, the same each time."""
    reduced = PCA(min(COMPONENTS, *vectors.shape), random_state=0).fit_transform(vectors)
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
