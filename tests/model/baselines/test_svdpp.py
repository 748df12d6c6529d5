from __future__ import annotations

import pandas as pd
import pytest
import torch
from model_contract import all_pairs
from recbole.data.interaction import Interaction

from recbole_mm.config.config import Config
from recbole_mm.training.session import prepare_session

surprise = pytest.importorskip("surprise", reason="scikit-surprise is not installed (extra 'benchmark')")


@torch.no_grad()
def test_predictions_are_those_of_scikit_surprise(planted):
    given = planted.data_options(protocol="u1", seed=3)
    session = prepare_session(Config("SVDpp", planted.name, config_dict=given))
    rows = session.split.train.inter_feat
    table = pd.DataFrame({name: rows[name].numpy() for name in ("user_id", "item_id", "rating")})
    training = surprise.Dataset.load_from_df(table, surprise.Reader(rating_scale=(1, 5))).build_full_trainset()
    fitted = surprise.SVDpp(random_state=3).fit(training)
    test = session.split.test[:]
    expected = [fitted.predict(int(u), int(m)).est for u, m in zip(test["user_id"], test["item_id"])]
    torch.testing.assert_close(
        session.model.predict_rating(test), torch.tensor(expected, dtype=torch.float32), rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_scores_of_all_movies_are_those_of_pairs(planted):
    model = prepare_session(Config("SVDpp", planted.name, config_dict=planted.data_options(protocol="u1"))).model
    scores = model.full_sort_predict(Interaction({model.USER_ID: torch.arange(model.n_users)}))
    torch.testing.assert_close(scores, model.predict(all_pairs(model)), rtol=1e-5, atol=1e-5)
