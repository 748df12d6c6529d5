from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training.session import prepare_session, run


def session_of(planted, **options):
    return prepare_session(Config("Bias", planted.name, config_dict={**planted.data_options(), **options}))


def training_rows(session) -> pd.DataFrame:
    rows = session.split.train.inter_feat
    return pd.DataFrame({name: rows[name].numpy() for name in ("user_id", "item_id", "rating")})


@pytest.mark.parametrize("one", ["user", "item"])
def test_without_damping_a_bias_is_a_mean_of_training_ratings(planted, one):
    session = session_of(planted, protocol="u1", biases=[one], **{f"{one}_damping": 0})
    rows, model = training_rows(session), session.model.eval()
    means = rows.groupby(f"{one}_id")["rating"].mean()
    bias = getattr(model, f"{one}_bias")[torch.from_numpy(means.index.to_numpy())]
    np.testing.assert_allclose((model.mean_rating + bias).numpy(), means, rtol=1e-5)


def test_no_biases_are_the_global_mean(planted):
    session = session_of(planted, protocol="u1", biases=[])
    predicted = session.trainer.predictions(session.test_data)["predicted"]
    assert predicted == pytest.approx(np.full(len(predicted), training_rows(session)["rating"].mean()), rel=1e-5)


def test_biases_are_those_of_the_ridge_regression(planted):
    session = session_of(planted, protocol="u1")
    rows, model = training_rows(session), session.model
    design = np.zeros((len(rows), model.n_items + model.n_users))
    design[np.arange(len(rows)), rows["item_id"]] = 1
    design[np.arange(len(rows)), model.n_items + rows["user_id"]] = 1
    damping = np.diag([10.0] * model.n_items + [15.0] * model.n_users)
    solution = np.linalg.solve(design.T @ design + damping, design.T @ (rows["rating"] - rows["rating"].mean()))
    found = torch.cat([model.item_bias, model.user_bias]).numpy()
    np.testing.assert_allclose(found, solution, atol=1e-3)


def test_a_bias_that_is_none_is_an_error_with_the_nearest_name(planted):
    with pytest.raises(InputError, match="'usr' is not a bias. Did you mean 'user'"):
        session_of(planted, protocol="u1", biases=["usr"])


def test_full_sort_equals_prediction_of_every_pair_and_a_checkpoint_the_model(planted):
    result = run("Bias", planted.name, config_dict={**planted.data_options(), "protocol": "cold-item"})
    model = load(result.checkpoint).model
    assert result.epochs == 1 and np.isfinite(result.test["rmse"]) and "ndcg@10" in result.test
    items = torch.arange(model.n_items)
    for user in (0, 7):
        users = torch.full_like(items, user)
        scores = model.full_sort_predict({model.USER_ID: torch.tensor([user])})
        assert torch.equal(scores, model.predict({model.USER_ID: users, model.ITEM_ID: items}))


@pytest.mark.slow
def test_floors_of_the_first_canonical_fold(ml_100k_mm):
    """Global, user and item mean of all rows outside the fold, measured apart from this code; ours lack a tenth."""
    floors = {(): 1.154, ("user",): 1.063, ("item",): 1.037}
    for biases, expected in floors.items():
        options = {"protocol": "u1", "data_path": str(ml_100k_mm), "biases": list(biases), "gpu_id": ""}
        result = run(
            "Bias", "ml-100k-mm", config_dict={**options, "item_damping": 0, "user_damping": 0, "show_progress": False}
        )
        assert result.test["rmse"] == pytest.approx(expected, abs=0.003)
