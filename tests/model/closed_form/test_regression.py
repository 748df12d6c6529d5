from __future__ import annotations

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from recbole_mm.model.closed_form import regression
from recbole_mm.model.closed_form.regression import fit_regression, principal_components

USERS, MOVIES, INPUTS = 120, 60, 4


@pytest.fixture
def drawn():
    """Ratings drawn from the model itself, with what they were drawn from."""
    generator = np.random.default_rng(0)
    inputs = np.hstack([np.ones((MOVIES, 1)), generator.normal(size=(MOVIES, INPUTS - 1))])
    mean, spread = np.array([0.3, 1.0, -0.5, 0.0]), np.array([0.3, 0.5, 0.2, 0.4])
    weights = mean + spread * generator.normal(size=(USERS, INPUTS))
    biases = 0.4 * generator.normal(size=MOVIES)
    rated = np.argwhere(generator.random((USERS, MOVIES)) < 0.5)
    users, items = rated.T
    truth = weights @ inputs.T + biases
    return users, items, truth[users, items] + 0.5 * generator.normal(size=len(users)), inputs, truth, mean, spread


def test_the_prior_of_drawn_ratings_is_found(drawn):
    users, items, ratings, inputs, truth, mean, spread = drawn
    fit = fit_regression(users, items, ratings, inputs, USERS + 1, steps=60)
    np.testing.assert_allclose(fit.prior.mean[1:], mean[1:], atol=0.2)  # the constant is shared with the biases' mean
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(fit.prior.precision)))[1:], spread[1:], atol=0.12)
    assert fit.prior.noise == pytest.approx(0.25, abs=0.03)
    assert fit.prior.item_variance == pytest.approx(0.16, abs=0.08)
    found = fit.weights[:USERS] @ inputs.T + fit.item_bias
    unseen = np.ones_like(truth, bool)
    unseen[users, items] = False
    assert np.sqrt(((found - truth)[unseen] ** 2).mean()) < 0.3, "ratings themselves spread by more than 1"
    np.testing.assert_array_equal(fit.weights[USERS], fit.prior.mean)  # a user without rows


def test_weights_are_the_posterior_means(drawn):
    users, items, ratings, inputs, *_ = drawn
    fit = fit_regression(users, items, ratings, inputs, USERS, steps=1)
    # One step: from N(0, 0.1), with no bias of a movie yet.
    rows = users == 7
    x, noise = inputs[items[rows]], ratings.var() + 1e-3
    expected = np.linalg.solve(x.T @ x / noise + 10 * np.eye(INPUTS), x.T @ ratings[rows] / noise)
    np.testing.assert_allclose(fit.weights[7], expected)


@pytest.mark.parametrize("bias_users", [USERS, 2 * USERS // 3])
def test_a_prior_of_a_part_of_the_users_is_close_and_every_user_has_weights(drawn, monkeypatch, bias_users):
    users, items, ratings, inputs, *_ = drawn
    of_all = fit_regression(users, items, ratings, inputs, USERS, steps=30)
    monkeypatch.setattr(regression, "PRIOR_USERS", USERS // 2)
    monkeypatch.setattr(regression, "BIAS_USERS", bias_users)
    monkeypatch.setattr(regression, "CHUNK", 7)
    of_half = fit_regression(users, items, ratings, inputs, USERS, steps=30)
    difference = (of_half.weights - of_all.weights) @ inputs.T + of_half.item_bias - of_all.item_bias
    assert 0 < np.sqrt((difference**2).mean()) < 0.15
    assert of_half.weights.any(axis=1).all()


def test_the_movies_biases_come_from_a_part_of_the_users_first(drawn, monkeypatch):
    users, items, ratings, inputs, *_ = drawn
    monkeypatch.setattr(regression, "PRIOR_USERS", USERS // 2)
    fits = []
    for bias_users in (USERS, 2 * USERS // 3):
        monkeypatch.setattr(regression, "BIAS_USERS", bias_users)
        fits.append(fit_regression(users, items, ratings, inputs, USERS, steps=10))
    difference = fits[0].item_bias - fits[1].item_bias
    assert 0 < np.abs(difference).max() < 0.1


def test_the_noise_is_that_of_each_row(drawn):
    users, items, ratings, inputs, *_ = drawn
    fit = fit_regression(users, items, ratings, inputs, USERS, steps=1)
    # From N(0, 0.1), noise v and τ = 0.1: squares, cᵀ cov_u c and the variance of b of each row.
    noise = ratings.var() + 1e-3
    spread = np.zeros(len(users))
    for user in range(USERS):
        x = inputs[items[users == user]]
        covariance = np.linalg.inv(x.T @ x / noise + 10 * np.eye(INPUTS))
        spread[users == user] = np.einsum("ij,jk,ik->i", x, covariance, x)
    variance = noise / (np.bincount(items, minlength=MOVIES) + noise / 0.1)
    left = ratings - (fit.weights[users] * inputs[items]).sum(axis=1) - fit.item_bias[items]
    assert fit.prior.noise == pytest.approx((left**2 + spread + variance[items]).mean() + 1e-6, rel=1e-10)


def test_columns_of_another_order_are_copied_once(drawn, monkeypatch):
    users, items, ratings, inputs, *_ = drawn
    orders = []
    grams = regression._Rows.grams
    monkeypatch.setattr(
        regression._Rows,
        "grams",
        lambda rows, part: (orders.append(rows.inputs.flags.c_contiguous), grams(rows, part))[1],
    )
    fit_regression(users, items, ratings, np.asfortranarray(inputs), USERS, steps=1)
    assert orders and all(orders)


def test_users_are_shared_out_and_blas_has_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with regression._threads() as pool:
            assert pool._max_workers == 3
            assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} == {1}
    finally:
        torch.set_num_threads(before)


def test_threads_do_not_change_a_number(drawn, monkeypatch):
    users, items, ratings, inputs, *_ = drawn
    monkeypatch.setattr(regression, "PRIOR_USERS", USERS // 2)
    monkeypatch.setattr(regression, "CHUNK", 7)
    of_one, of_three = (_fit_with_threads(number, users, items, ratings, inputs) for number in (1, 3))
    np.testing.assert_array_equal(of_one.weights, of_three.weights)
    np.testing.assert_array_equal(of_one.item_bias, of_three.item_bias)


def _fit_with_threads(number, users, items, ratings, inputs):
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        return fit_regression(users, items, ratings, inputs, USERS, steps=10)
    finally:
        torch.set_num_threads(before)


def test_components_come_from_training_movies_alone():
    generator = np.random.default_rng(0)
    values, trained = generator.normal(size=(30, 6)), np.arange(30) < 20
    loadings = principal_components(values, trained, 3)
    assert loadings.shape == (6, 3)
    assert np.linalg.norm(values[trained] @ loadings[:, 0]) / np.sqrt(20) == pytest.approx(1)
    values[~trained] *= 100
    np.testing.assert_array_equal(principal_components(values, trained, 3), loadings)
    assert principal_components(np.empty((30, 0)), trained, 3).shape == (0, 0)
