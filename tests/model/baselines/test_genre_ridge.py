from __future__ import annotations

import numpy as np
import pytest
import torch
from model_contract import all_pairs
from recbole.data.interaction import Interaction

from recbole_mm.config.config import Config
from recbole_mm.training.session import prepare_session, run


def session_of(planted, **changes):
    given = planted.data_options(protocol="cold-item", **changes)
    return prepare_session(Config("GenreRidge", planted.name, config_dict=given))


def test_a_users_weights_are_those_of_scikit_learn(planted):
    """Without damping and drawn to the common weights w: ridge of the residual of w."""
    from sklearn.linear_model import Ridge

    session = session_of(planted, genre_penalty=3.0, user_damping=0)
    model, rows = session.model, session.split.train.inter_feat
    users, items, ratings = (rows[name].numpy() for name in ("user_id", "item_id", "rating"))
    genres = model.genres.double().numpy()
    means = np.array([ratings[users == user].mean() if (users == user).any() else 0 for user in range(model.n_users)])
    left = ratings - means[users]
    common = Ridge(alpha=3.0, fit_intercept=False).fit(genres[items], left).coef_
    for user in (1, 17):
        own = users == user
        x = genres[items[own]]
        expected = common + Ridge(alpha=3.0, fit_intercept=False).fit(x, left[own] - x @ common).coef_
        np.testing.assert_allclose(model.weights[user].numpy(), expected, atol=1e-4)


def test_genres_predict_movies_nobody_rated(planted):
    result = run(
        "GenreRidge",
        planted.name,
        config_dict=planted.data_options(protocol="cold-item", genre_penalty=1.0),
        saved=False,
    )
    assert result.test["rmse"] < 0.7  # the best is 0.41, the user's mean has 1.7


@torch.no_grad()
def test_scores_of_all_movies_are_those_of_pairs(planted):
    model = session_of(planted).model
    scores = model.full_sort_predict(Interaction({model.USER_ID: torch.arange(model.n_users)}))
    torch.testing.assert_close(scores, model.predict(all_pairs(model)), rtol=1e-5, atol=1e-5)


def test_no_test_rating_is_read(planted):
    before = session_of(planted).model.weights
    session = session_of(planted)
    cold = {session.split.test.field2id_token["item_id"][i] for i in session.split.cold_items.test}
    rows = planted.ratings["item_id:token"].isin(cold)
    planted.ratings.loc[rows, "rating:float"] = 6 - planted.ratings.loc[rows, "rating:float"]
    planted.write()
    assert torch.equal(before, session_of(planted).model.weights)


def test_a_data_set_without_genres_is_an_error(planted):
    from recbole_mm.errors import InputError

    with pytest.raises(InputError, match="GenreRidge learns from genres, but .*no field 'kinds'"):
        session_of(planted, genre_field="kinds")
