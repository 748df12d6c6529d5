from __future__ import annotations

import numpy as np
import torch
from conftest import GENRES
from model_contract import all_pairs, assert_same_losses, open_session

from recbole_mm.model import variants
from recbole_mm.model.closed_form.inputs import ContentInputs, TrainingLabels
from recbole_mm.model.closed_form.regression import fit_regression
from recbole_mm.model.closed_form.user_regression import OneRegression, TrainingRows, UserRegression


def predictions(session) -> torch.Tensor:
    return rating_scores(session.model.eval())


def rating_scores(model) -> torch.Tensor:
    """Unclipped rating of every pair, [U, N]."""
    pairs = all_pairs(model)
    with torch.no_grad():
        scores = model.tasks["rating"].score(model.encoded(), pairs[model.USER_ID], pairs[model.ITEM_ID])
    return scores.view(model.n_users, -1)


def test_a_user_is_the_mean_of_two_regressions_that_read_different_inputs(planted):
    session = open_session("MMFS", planted, regression_components=6)
    regression = session.model.tasks["rating"].regression
    genres = session.split.train.labels["genre"].targets.shape[1]
    assert [len(columns) for columns in regression.columns] == [1 + 6, 1 + 3 + genres]
    with torch.no_grad():
        state = regression.state(session.model.users)
        first, second = (
            view.weights @ state.movies[:, columns].T for view, columns in zip(regression.views, regression.columns)
        )
        found = regression.score_catalogue(state, torch.arange(session.model.n_users))
    torch.testing.assert_close(found, (first + second) / 2)
    assert not torch.allclose(first, second)


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


def test_inputs_that_are_zero_for_every_movie_cost_nothing_and_change_nothing(planted):
    """The planted vectors are short, so most of 64 components are zero."""
    session = open_session("MMFS", planted)
    rows, regression = session.split.train.inter_feat, session.model.tasks["rating"].regression
    users, items = (rows[field].numpy() for field in (session.model.USER_ID, session.model.ITEM_ID))
    centred = rows["rating"].numpy().astype(float) - rows["rating"].numpy().mean()
    view, columns = regression.views[0], regression.columns[0]
    inputs = regression.inputs.movies[:, columns].double().numpy()
    used = inputs.any(axis=0)
    assert used.sum() == 1 + session.model.catalogue.vector_size < len(columns)
    fit = fit_regression(users, items, centred, inputs[:, used], session.model.n_users, OneRegression.STEPS)
    np.testing.assert_allclose(view.weights[:, used], fit.weights, rtol=1e-5, atol=1e-6)
    assert not view.weights[:, ~used].any()


def test_a_person_with_two_kinds_of_movies_is_the_posterior_of_their_ratings(planted):
    """Where users rate with two values only, a person with the movies of a user has the user's weights."""
    session = open_session("MMFS", planted, regression_weight=0.5)
    task = session.model.tasks["rating"]
    rows = session.split.train.inter_feat
    users, items = (rows[field].numpy() for field in (session.model.USER_ID, session.model.ITEM_ID))
    is_liked = rows["rating"].numpy() >= session.config["like_threshold"]
    with torch.no_grad():
        catalogue, binary_rows = (
            session.model.catalogue,
            TrainingRows(users, items, np.where(is_liked, 1.0, -0.7), is_liked),
        )
        genres = session.split.train.labels["genre"].targets
        labels = TrainingLabels(genres, session.split.train.label_items["genre"].train)
        inputs = ContentInputs(catalogue.content(), catalogue.has_ratings, 4, labels)
        binary = UserRegression(binary_rows, inputs, session.model.n_users)
        person = variants.with_people(
            session.model,
            *(
                [sets.movies_of(user) for user in (3, 5)]
                for sets in (session.model.users.liked, session.model.users.disliked)
            ),
        )
        of_users = binary.state(session.model.users).users[[3, 5]]
        of_people = binary.with_people(2).state(person.users).users
        # The last step of the expectation maximisation moved the biases and the prior a little.
        torch.testing.assert_close(of_people, of_users, atol=0.05, rtol=0.1)
        nobody = variants.with_people(session.model, [[]], [[]])
        mean = torch.zeros(inputs.movies.shape[1])
        for view, columns in zip(binary.views, binary.columns):
            mean[columns] += view.mean / 2
        torch.testing.assert_close(binary.with_people(1).state(nobody.users).users, mean[None])
    others = task.with_people(2).regression
    assert all(view.of_training for view in task.regression.views)
    assert not any(view.of_training for view in others.views)


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


def test_genres_that_are_held_out_change_nothing(planted):
    """Genres of movies that no genre is trained on are turned round in the file; then those of training movies are."""

    def turned(movies) -> torch.Tensor:
        kinds = planted.item_columns["class:token_seq"]
        planted.item_columns["class:token_seq"] = [
            GENRES[(GENRES.index(kind) + 1) % 3] if token in movies else kind
            for token, kind in zip(planted.tokens, kinds)
        ]
        planted.write()
        return closed_form(open_session("MMFS", planted, protocol="cold-item"))

    def closed_form(session) -> torch.Tensor:
        regression = session.model.tasks["rating"].regression
        return regression.score_catalogue(regression.state(session.model.users), torch.arange(session.model.n_users))

    session = open_session("MMFS", planted, protocol="cold-item")
    names = session.split.train.field2id_token["item_id"]
    split = session.split.label_items["genre"]
    held_out = {names[i] for part in (split.valid, split.test) for i in part.tolist()}
    before = closed_form(session)
    assert len(held_out) > 10
    assert torch.equal(turned(held_out), before)
    assert not torch.isclose(turned({names[i] for i in split.train[:5].tolist()}), before).all()


def test_a_new_movie_is_rated_by_its_content_and_the_others_stay(planted):
    session = open_session("MMFS", planted, protocol="cold-item")
    ratings, regression_of = predictions(session), session.model.tasks["rating"].regression
    for view in regression_of.views:
        assert (view.item_bias[~session.model.catalogue.has_ratings] == 0).all()
    larger = variants.with_movies(session.model, {"text": torch.ones(2, 3)})
    found = rating_scores(larger)
    torch.testing.assert_close(found[:, : session.model.n_items], ratings)
    assert not torch.allclose(found[:, -1], found[:, 1])
