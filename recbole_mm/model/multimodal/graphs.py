"""Graphs of multimodal recommenders: who rated what in training, and which movies are nearest in content.

A movie without a vector has an empty row and an empty column in the graph of that modality. It is not a vector of
zeros: the cosine with such a vector is 0/0, and ``topk`` takes NaN for the largest number.

Shapes: U users and N movies ([PAD] included), M modalities, k neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.model.content import CatalogueContent


class Graph(nn.Module):
    """A constant sparse matrix [R, C] as a factor of products with dense matrices.

    torch's own sparse product has the same values, but on a CPU its two passes take several times as long. The
    transposed matrix, which the backward pass needs, is stored too.

    Args:
        matrix: the matrix.
    """

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        super().__init__()
        for name, form in (("rows", matrix), ("columns", sparse.csr_matrix(matrix.T))):
            for part, array in (("places", form.indices), ("starts", form.indptr)):
                self.register_buffer(f"{name}_{part}", torch.from_numpy(array.astype(np.int64)), persistent=False)
            self.register_buffer(f"{name}_values", torch.from_numpy(form.data.astype(np.float32)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The product with ``x`` [C, d], [R, d]."""
        return _Product.apply(x, *self._arrays("rows"), *self._arrays("columns"))

    def _arrays(self, name: str) -> list[Tensor]:
        return [self.get_buffer(f"{name}_{part}") for part in ("places", "starts", "values")]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, places, starts, values, t_places, t_starts, t_values) -> Tensor:
        ctx.transposed = t_places, t_starts, t_values
        return _multiply(x, places, starts, values)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return _multiply(gradient, *ctx.transposed), None, None, None, None, None, None


def _multiply(x: Tensor, places: Tensor, starts: Tensor, values: Tensor) -> Tensor:
    return F.embedding_bag(
        places, x.contiguous(), starts, mode="sum", per_sample_weights=values, include_last_offset=True
    )


# ---------------------------------------------------------------------- users and movies


def normalized_pairs(rated: sparse.csr_matrix) -> sparse.csr_matrix:
    """R̂_ui = R_ui / √(d_u d_i), d the number of ratings, [U, N]; empty rows and columns stay empty."""
    users, movies = (_power(np.asarray(rated.sum(axis=axis)).ravel(), -0.5) for axis in (1, 0))
    return sparse.csr_matrix(sparse.diags(users) @ rated @ sparse.diags(movies))


def both_ways(pairs: sparse.csr_matrix) -> sparse.csr_matrix:
    """Users and movies one after the other: [0, pairs; pairsᵀ, 0], [U + N, U + N]."""
    return sparse.csr_matrix(sparse.bmat([[None, pairs], [pairs.T, None]]))


def mean_of_neighbours(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """D⁻¹ A: each row is divided by its number of neighbours."""
    return sparse.csr_matrix(sparse.diags(_power(np.asarray(graph.sum(axis=1)).ravel(), -1.0)) @ graph)


def light_gcn(graph: Graph, embeddings: Tensor, layers: int) -> Tensor:
    """LGN_L(e), the mean over l = 0 … L of Â^l e, [U + N, d].

    Source: He et al., "LightGCN", SIGIR 2020, equations 7 and 8.
    """
    total = embeddings
    for _ in range(layers):
        embeddings = graph(embeddings)
        total = total + embeddings
    return total / (layers + 1)


def _power(degrees: np.ndarray, exponent: float) -> np.ndarray:
    """``degrees`` to a power below 0; 0 stays 0."""
    return np.where(degrees > 0, np.maximum(degrees, 1e-12) ** exponent, 0.0)


# ---------------------------------------------------------------------- movies


def nearest_items(
    vectors: Tensor, present: Tensor, trained: Tensor, neighbours: int, block: int = 1024
) -> tuple[Tensor, Tensor]:
    """The nearest other movies of each movie by the cosine of their vectors, and these cosines, both [N, k].

    Neighbours are movies with a vector and with training ratings: what is learned of a movie without ratings would be
    noise. Only positive cosines count. Where a movie has fewer neighbours, or no vector itself, the places hold movie 0
    ([PAD]) and cosine 0.

    Args:
        vectors: of one modality, [N, dimension].
        present: which movies have one, bool [N].
        trained: which movies have training ratings, bool [N].
        neighbours: k.
        block: rows of cosines that are in memory at a time.
    """
    unit = F.normalize(vectors, dim=1)
    nearest = torch.zeros(len(vectors), neighbours, dtype=torch.long, device=vectors.device)
    cosines = torch.zeros(nearest.shape, device=vectors.device)
    candidates = torch.nonzero(present & trained).squeeze(1)  # [C]
    number = min(neighbours, len(candidates))
    for rows in torch.nonzero(present).squeeze(1).split(block):
        cosine = unit[rows] @ unit[candidates].T  # [block, C]
        cosine[rows[:, None] == candidates] = -1.0  # a movie is not its own neighbour
        found = cosine.topk(number, dim=1)
        positive = found.values > 0
        nearest[rows, :number] = torch.where(positive, candidates[found.indices], 0)
        cosines[rows, :number] = torch.where(positive, found.values, 0.0)
    return nearest, cosines


def symmetric(nearest: Tensor, weights: Tensor) -> Tensor:
    """w_ij / √(D_i D_j) with D_i = Σ_j w_ij, [N, k]. Gradients reach ``weights``.

    Args:
        nearest: neighbours of each movie, [N, k].
        weights: of these edges, [N, k], at least 0; 0 where there is no neighbour.
    """
    degrees = weights.sum(dim=1)
    scale = torch.where(degrees > 0, degrees, 1.0).rsqrt()
    return weights * scale[:, None] * scale[nearest]


def as_matrix(nearest: Tensor, weights: Tensor) -> sparse.csr_matrix:
    """The edges [N, k] as a sparse matrix [N, N]."""
    number = len(nearest)
    rows = np.repeat(np.arange(number), nearest.shape[1])
    columns, values = nearest.cpu().numpy().ravel(), weights.detach().cpu().numpy().ravel()
    edges = columns > 0
    return sparse.csr_matrix((values[edges], (rows[edges], columns[edges])), shape=(number, number))


def content_graphs(
    content: CatalogueContent, trained: Tensor, neighbours: int, binary: bool = False
) -> list[sparse.csr_matrix]:
    """S^m of each modality, [N, N]: cosines of the k nearest, symmetrically normalised.

    Args:
        content: vectors of all movies.
        trained: which movies have training ratings, bool [N].
        neighbours: k.
        binary: 1 in the place of each cosine, so that S^m_ij = 1/k where all movies have k neighbours.
    """
    graphs = []
    for field in content.fields():
        nearest, cosines = nearest_items(field[:, :-2], field[:, -2] > 0, trained, neighbours)
        graphs.append(as_matrix(nearest, symmetric(nearest, (cosines > 0).float() if binary else cosines)))
    return graphs


def mean_over_present(graphs: Sequence[sparse.csr_matrix], present: Tensor) -> sparse.csr_matrix:
    """S_i = Σ_m p_im S^m_i / Σ_m p_im, [N, N]; a movie without vectors has an empty row.

    Args:
        graphs: S^m of each modality, [N, N].
        present: p, which movies have a vector of which modality, bool [M, N].
    """
    scale = _power(present.sum(dim=0).cpu().double().numpy(), -1.0)
    return sparse.csr_matrix(sparse.diags(scale) @ sum(graphs))
