"""Embeddings on a plane, for a figure, and a later movie's place among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

PERPLEXITY, COMPONENTS = 30.0, 30
_STARTS = 5  # nearest movies from whose positions a place is searched
_STEPS = 60  # halvings of the interval that holds a width


@dataclass(frozen=True)
class Projection:
    """A map: t-SNE of principal components (van der Maaten and Hinton, JMLR 2008), the same each time.

    Attributes:
        components: of the vectors that were drawn.
        reduced: their components [n, c].
        positions: [n, 2]; similar vectors are close.
    """

    components: PCA
    reduced: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> Projection:
        """The map of n vectors [n, m]."""
        components = PCA(min(COMPONENTS, *vectors.shape), random_state=0)
        reduced = components.fit_transform(vectors)
        tsne = TSNE(perplexity=_perplexity(len(vectors)), init="pca", random_state=0)
        return cls(components, reduced, tsne.fit_transform(reduced))

    def place(self, vector: np.ndarray) -> np.ndarray:
        """Position [2] of a vector [m] that is not on the map; nothing on the map moves.

        It is where t-SNE's own loss of this one point is least: the Kullback-Leibler divergence between its
        similarities to all points before and after projection. The search starts at its nearest points.
        """
        squares = ((self.components.transform(vector[None]) - self.reduced) ** 2).sum(axis=1)
        similarity = _similarities(squares, _perplexity(len(squares)))

        def loss(position: np.ndarray) -> tuple[float, np.ndarray]:
            to_all = position - self.positions
            kernel = 1 / (1 + (to_all**2).sum(axis=1))
            pull = kernel * (similarity - kernel / kernel.sum())
            value = np.log(kernel.sum()) - similarity @ np.log(kernel)
            return float(value), 2 * pull @ to_all

        starts = [similarity @ self.positions, *self.positions[np.argsort(squares)[:_STARTS]]]
        found = [minimize(loss, start.astype(np.float64), jac=True, method="L-BFGS-B") for start in starts]
        return min(found, key=lambda one: one.fun).x


def two_dimensions(vectors: np.ndarray) -> np.ndarray:
    """Positions [n, 2] of n vectors [n, m], as in `Projection`."""
    return Projection.of(vectors).positions


def directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, m] of length 1: distances between them follow the cosine, by which similar movies are found."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _perplexity(number: int) -> float:
    return min(PERPLEXITY, (number - 1) / 3)


def _similarities(squares: np.ndarray, perplexity: float) -> np.ndarray:
    """Similarities [n], sum 1, of a Gaussian whose width gives them this perplexity, from squared distances [n]."""
    squares = squares - squares.min()
    low, high = -40.0, 40.0  # log of 1 / (2 width²)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        similarity = softmax(-squares * np.exp(middle))
        spread = np.exp(-(similarity * np.log(np.maximum(similarity, 1e-300))).sum())
        low, high = (middle, high) if spread > perplexity else (low, middle)
    return similarity
