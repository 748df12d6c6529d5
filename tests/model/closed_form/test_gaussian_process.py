from __future__ import annotations

import numpy as np
import pytest

from recbole_mm.errors import InputError
from recbole_mm.model.closed_form.gaussian_process import Variances, posterior_mean


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    users, items = random.integers(1, 12, 150), random.integers(1, 17, 150)  # some pairs are there twice
    kernels = [(lambda f: f @ f.T / 4 + 0.3 * np.eye(len(f)))(random.normal(size=(n, 4))) for n in (12, 20)]
    return users, items, random.normal(size=150), *kernels


def dense(users, items, centred, user_kernel, item_kernel, v: Variances) -> np.ndarray:
    """The same with the matrix of ratings x ratings."""
    of_users, of_items = user_kernel[np.ix_(users, users)], item_kernel[np.ix_(items, items)]
    matrix = v.user_bias * of_users + v.item_bias * of_items + v.interaction * of_users * of_items
    solved = np.linalg.solve(matrix + v.noise * np.eye(len(users)), centred)
    to_users, to_items = user_kernel[:, users], item_kernel[:, items]
    return (
        v.user_bias * (to_users @ solved)[:, None]
        + v.item_bias * (to_items @ solved)
        + v.interaction * (to_users * solved) @ to_items.T
    )


@pytest.mark.parametrize("variances", [Variances(0.2, 0.3, 0.5, 0.7), Variances(0, 0, 1, 0.5), Variances(0.4, 0, 0, 1)])
def test_conjugate_gradients_find_the_dense_solution(rows, variances):
    found = posterior_mean(*rows, variances, tolerance=1e-6)
    np.testing.assert_allclose(found, dense(*rows, variances), atol=2e-4)
    coarse = posterior_mean(*rows, variances)
    assert np.abs(coarse - found).max() < 0.03


def test_a_user_and_a_movie_without_rows_get_what_their_kernels_say(rows):
    users, items, centred, user_kernel, item_kernel = rows
    variances = Variances(0.2, 0.3, 0.5, 0.7)
    apart = np.eye(len(user_kernel))
    found = posterior_mean(users, items, centred, apart, np.eye(len(item_kernel)), variances)
    assert (found[0, 17:] == 0).all()  # nothing is known of them: the mean
    assert np.abs(posterior_mean(users, items, centred, user_kernel, item_kernel, variances)[0, 17:]).min() > 0


def test_what_is_not_solved_is_no_prediction(rows):
    with pytest.raises(InputError, match="not solved after 3 steps.*raise noise_variance"):
        posterior_mean(*rows, Variances(0.2, 0.3, 0.5, 1e-3), max_steps=3)
