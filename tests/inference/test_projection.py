from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from recbole_mm.inference.projection import Projection, two_dimensions


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Six groups of thirty in twelve dimensions."""
    random = np.random.default_rng(0)
    return np.repeat(random.normal(0, 3, (6, 12)), 30, axis=0) + random.normal(0, 1, (180, 12))


@pytest.fixture(scope="module")
def drawn(vectors) -> Projection:
    return Projection.of(vectors)


def test_a_copy_of_a_movie_lands_on_it(vectors, drawn):
    """Nearer than its ten nearest neighbours are, for almost all."""
    between = np.sort(cdist(drawn.positions, drawn.positions), axis=1)[:, 10]
    off = [np.linalg.norm(drawn.place(vectors[i]) - drawn.positions[i]) for i in range(0, 180, 6)]
    assert np.mean(np.array(off) < between[::6]) >= 0.9


def test_a_vector_that_was_left_out_lands_in_its_group(vectors):
    left_out = np.arange(0, 180, 15)
    kept = np.setdiff1d(np.arange(180), left_out)
    drawn = Projection.of(vectors[kept])
    for i in left_out:
        near = np.argsort(np.linalg.norm(drawn.positions - drawn.place(vectors[i]), axis=1))[:5]
        assert (kept[near] // 30 == i // 30).mean() >= 0.8


def test_placing_moves_nothing_and_says_the_same_again(vectors, drawn):
    before = drawn.positions.copy()
    assert np.array_equal(drawn.place(vectors[3] + 0.1), drawn.place(vectors[3] + 0.1))
    assert np.array_equal(drawn.positions, before)
    assert np.array_equal(two_dimensions(vectors), before)


def test_a_vector_far_from_all_has_a_place(drawn):
    assert np.isfinite(drawn.place(np.full(12, 1e6))).all()


def test_few_movies_have_a_map():
    drawn = Projection.of(np.random.default_rng(0).normal(0, 1, (6, 3)))
    assert np.isfinite(drawn.place(np.zeros(3))).all()
