from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.nn import functional as F

from recbole_mm.model.multimodal.graphs import (
    Graph,
    as_matrix,
    both_ways,
    light_gcn,
    mean_of_neighbours,
    mean_over_present,
    nearest_items,
    normalized_pairs,
    symmetric,
)

MOVIES, MISSING = 40, (3, 7, 8)


@pytest.fixture
def vectors() -> torch.Tensor:
    """Row 0 is [PAD]; movies 3, 7 and 8 have no vector."""
    values = torch.randn(MOVIES, 6, generator=torch.Generator().manual_seed(1))
    values[[0, *MISSING]] = 0
    return values


@pytest.fixture
def present() -> torch.Tensor:
    there = torch.ones(MOVIES, dtype=torch.bool)
    there[[0, *MISSING]] = False
    return there


def usual_formula(vectors: torch.Tensor, k: int) -> torch.Tensor:
    """Neighbours as multimodal toolkits look them up: rows divided by their norms, products, topk."""
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    return (unit @ unit.T).topk(k, dim=1).indices


def test_a_missing_vector_is_the_first_neighbour_of_all_in_the_usual_formula_and_of_none_in_ours(vectors, present):
    trained = torch.ones(MOVIES, dtype=torch.bool)
    usual = usual_formula(vectors, 5)
    without = {0, *MISSING}
    assert all(without <= set(neighbours) for neighbours in usual[present].tolist())
    nearest, cosines = nearest_items(vectors, present, trained, 5)
    assert not without & set(nearest[present].flatten().tolist())
    assert (nearest[~present] == 0).all() and (cosines[~present] == 0).all()
    graph = as_matrix(nearest, symmetric(nearest, cosines))
    assert np.isfinite(graph.data).all()
    missing = [0, *MISSING]
    assert graph[missing].nnz == 0 and graph[:, missing].nnz == 0


def test_with_all_vectors_ours_are_the_neighbours_of_the_usual_formula_but_the_movie_itself(vectors):
    values = torch.randn(MOVIES, 3, generator=torch.Generator().manual_seed(2))
    there = torch.arange(MOVIES) > 0
    nearest, _ = nearest_items(values, there, there, 5)
    usual = usual_formula(values[1:], 6) + 1
    assert torch.equal(usual[:, 0], torch.arange(1, MOVIES))
    assert torch.equal(nearest[1:], usual[:, 1:])


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_change_nothing_and_neighbours_are_trained_movies_with_positive_cosines(vectors, present, block):
    trained = torch.arange(MOVIES) < 25
    nearest, cosines = nearest_items(vectors, present, trained, 10, block)
    unit = F.normalize(vectors, dim=1)
    for movie in range(MOVIES):
        all_cosines = (unit @ unit[movie]).masked_fill(~(present & trained), -1.0)
        all_cosines[movie] = -1.0
        expected = [] if not present[movie] else [j for j in all_cosines.argsort(descending=True) if all_cosines[j] > 0]
        expected = [int(j) for j in expected[:10]]
        assert nearest[movie].tolist() == expected + [0] * (10 - len(expected))
        torch.testing.assert_close(cosines[movie, : len(expected)], all_cosines[expected])
        assert (cosines[movie, len(expected) :] == 0).all()


def test_cold_movies_have_neighbours_and_are_none(vectors, present):
    trained = torch.arange(MOVIES) < 25
    nearest, cosines = nearest_items(vectors, present, trained, 5)
    graph = as_matrix(nearest, symmetric(nearest, cosines))
    assert graph[:, 25:].nnz == 0 and (np.diff(graph.indptr)[25:] > 0).all()


@pytest.mark.parametrize("there", [0, 1, 2])
def test_hardly_any_vectors(vectors, there):
    present = torch.zeros(MOVIES, dtype=torch.bool)
    present[1 : 1 + there] = True
    nearest, cosines = nearest_items(vectors.abs(), present, torch.ones(MOVIES, dtype=torch.bool), 5)
    graph = as_matrix(nearest, symmetric(nearest, cosines))
    assert graph.nnz == (2 if there == 2 else 0) and np.isfinite(graph.data).all()
    assert torch.equal(Graph(graph)(torch.ones(MOVIES, 3))[5:], torch.zeros(MOVIES - 5, 3))


def test_binary_edges_are_one_by_k_and_the_normalisation_is_symmetric(vectors, present):
    nearest, cosines = nearest_items(vectors, present, present, 3)
    assert (cosines[present] > 0).all()  # all have three neighbours
    torch.testing.assert_close(symmetric(nearest, (cosines > 0).float())[present], torch.full((36, 3), 1 / 3))
    dense = torch.from_numpy(as_matrix(nearest, cosines).toarray())
    degrees = dense.sum(1)
    scale = torch.where(degrees > 0, degrees, 1.0).rsqrt()
    expected = scale[:, None] * dense * scale
    normalised = as_matrix(nearest, symmetric(nearest, cosines)).toarray()
    torch.testing.assert_close(torch.from_numpy(normalised), expected)


def test_the_mean_is_over_the_modalities_that_a_movie_has():
    first, second = sparse.csr_matrix([[0, 0, 0], [0, 0, 1], [0, 1, 0]]), sparse.csr_matrix(np.diag([0, 0, 4]))
    present = torch.tensor([[False, True, True], [False, False, True]])
    mixed = mean_over_present([first, second], present).toarray()
    assert mixed.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0.5, 2]]


def test_products_are_those_of_dense_matrices_in_both_passes():
    matrix = sparse.random(7, 5, 0.4, random_state=1, format="csr", dtype=np.float32)
    graph, dense = Graph(matrix), torch.from_numpy(matrix.toarray())
    x, weight = torch.randn(5, 3, requires_grad=True), torch.randn(7, 3)
    torch.testing.assert_close(graph(x), dense @ x)
    (graph(x) * weight).sum().backward()
    torch.testing.assert_close(x.grad, dense.T @ weight)
    assert not graph.state_dict()


def test_light_gcn_on_the_training_pairs():
    rated = sparse.csr_matrix(np.array([[0, 0, 0], [0, 1, 1], [0, 1, 0]], dtype=np.float64))
    pairs = normalized_pairs(rated).toarray()
    np.testing.assert_allclose(pairs, [[0, 0, 0], [0, 0.5, 0.5**0.5], [0, 0.5**0.5, 0]])
    a = torch.from_numpy(both_ways(normalized_pairs(rated)).toarray()).float()
    e = torch.randn(6, 4)
    convolved = light_gcn(Graph(both_ways(normalized_pairs(rated))), e, 2)
    torch.testing.assert_close(convolved, (e + a @ e + a @ a @ e) / 3)
    means = mean_of_neighbours(both_ways(rated)).toarray()
    assert means.sum(1).tolist() == [0, 1, 1, 0, 1, 1]
