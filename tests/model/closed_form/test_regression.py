from __future__ import annotations

import numpy as np
import pytest
import torch
from model_contract import all_pairs, assert_same_losses, open_session

from recbole_mm.model import variants
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


def test_a_prior_of_a_part_of_the_users_is_close_and_every_user_has_weights(drawn, monkeypatch):
    users, items, ratings, inputs, *_ = drawn
    of_all = fit_regression(users, items, ratings, inputs, USERS, steps=30)
    monkeypatch.setattr(regression, "PRIOR_USERS", USERS // 2)
    monkeypatch.setattr(regression, "CHUNK", 7)
    of_half = fit_regression(users, items, ratings, inputs, USERS, steps=30)
    difference = (of_half.weights - of_all.weights) @ inputs.T + of_half.item_bias - of_all.item_bias
    assert 0 < np.sqrt((difference**2).mean()) < 0.15


def test_components_come_from_training_movies_alone():
    generator = np.random.default_rng(0)
    values, trained = generator.normal(size=(30, 6)), np.arange(30) < 20
    loadings = principal_components(values, trained, 3)
    assert loadings.shape == (6, 3)
    assert np.linalg.norm(values[trained] @ loadings[:, 0]) / np.sqrt(20) == pytest.approx(1)
    values[~trained] *= 100
    np.testing.assert_array_equal(principal_components(values, trained, 3), loadings)
    assert principal_components(np.empty((30, 0)), trained, 3).shape == (0, 0)


def predictions(session) -> torch.Tensor:
    return rating_scores(session.model.eval())


def rating_scores(model) -> torch.Tensor:
    """Unclipped rating of every pair, [U, N]."""
    pairs = all_pairs(model)
    with torch.no_grad():
        scores = model.tasks["rating"].score(model.encoded(), pairs[model.USER_ID], pairs[model.ITEM_ID])
    return scores.view(model.n_users, -1)


def test_the_regression_is_a_part_of_the_ratings_of_cold_movies_and_of_nothing_else(planted):
    options = {"protocol": "cold-item"}
    alone, half = (open_session("MMSP", planted, regression_weight=weight, **options) for weight in (0, 0.5))
    task, cold = half.model.tasks["rating"], ~half.model.catalogue.has_ratings
    ratings, without = predictions(half), predictions(alone)
    with torch.no_grad():
        closed_form = task.mean_rating + task.regression.score_catalogue(
            half.model.encoded().states["rating"].regression, torch.arange(half.model.n_users)
        )
    assert cold.sum() > 20 and closed_form[:, cold].std() > 0.01
    torch.testing.assert_close(ratings[:, cold], ((without + closed_form) / 2)[:, cold])
    assert torch.equal(ratings[:, ~cold], without[:, ~cold])
    with torch.no_grad():
        pairs = all_pairs(half.model)
        assert torch.equal(alone.model.predict(pairs), half.model.predict(pairs))
    assert_same_losses(half, alone)


def test_a_person_with_two_kinds_of_movies_is_the_posterior_of_their_ratings(planted):
    """Where users rate with two values only, a person with the movies of a user has the user's weights."""
    session = open_session("MMFS", planted, regression_weight=0.5)
    task = session.model.tasks["rating"]
    rows = session.split.train.inter_feat
    users, items = (rows[field].numpy() for field in (session.model.USER_ID, session.model.ITEM_ID))
    is_liked = rows["rating"].numpy() >= session.config["like_threshold"]
    with torch.no_grad():
        binary = regression.UserRegression(
            users, items, np.where(is_liked, 1.0, -0.7), is_liked, session.model.catalogue, session.model.n_users, 4
        )
        person = variants.with_people(
            session.model,
            *(
                [sets.movies_of(user) for user in (3, 5)]
                for sets in (session.model.users.liked, session.model.users.disliked)
            ),
        )
        of_users = binary.state(session.model.catalogue, session.model.users).users[[3, 5]]
        of_people = binary.with_people(2).state(session.model.catalogue, person.users).users
        # The last step of the expectation maximisation moved the biases and the prior a little.
        torch.testing.assert_close(of_people, of_users, atol=0.05, rtol=0.1)
        nobody = variants.with_people(session.model, [[]], [[]])
        torch.testing.assert_close(
            binary.with_people(1).state(session.model.catalogue, nobody.users).users, binary.mean[None]
        )
    assert not task.with_people(2).regression.of_training and task.regression.of_training


def test_test_ratings_and_ratings_of_cold_movies_change_nothing(planted):
    """Ratings of validation and test movies are turned round in the file; then a rating of the training part is."""

    def turned(rows) -> torch.Tensor:
        planted.ratings.loc[rows, "rating:float"] = 6.0 - planted.ratings.loc[rows, "rating:float"]
        planted.write()
        return predictions(open_session("MMFS", planted, protocol="cold-item"))

    session = open_session("MMFS", planted, protocol="cold-item")
    ratings, cold = predictions(session), ~session.model.catalogue.has_ratings
    tokens = session.split.train.field2id_token["item_id"]
    of_cold = planted.ratings["item_id:token"].isin([tokens[i] for i in torch.nonzero(cold).squeeze(1).tolist() if i])
    assert 300 < of_cold.sum() < len(of_cold)
    assert torch.equal(turned(of_cold), ratings)
    of_training = planted.ratings.index[~of_cold][:100]
    assert not torch.isclose(turned(of_training)[:, cold], ratings[:, cold]).all(dim=0).any()


def test_a_new_movie_is_rated_by_its_content_and_the_others_stay(planted):
    session = open_session("MMFS", planted, protocol="cold-item")
    ratings, regression_of = predictions(session), session.model.tasks["rating"].regression
    assert (regression_of.item_bias[~session.model.catalogue.has_ratings] == 0).all()
    larger = variants.with_movies(session.model, {"text": torch.ones(2, 3)})
    found = rating_scores(larger)
    torch.testing.assert_close(found[:, : session.model.n_items], ratings)
    assert not torch.allclose(found[:, -1], found[:, 1])
