from __future__ import annotations

import importlib.metadata
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_atomic
from model_contract import all_pairs
from recbole.data.interaction import Interaction

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.model.baselines import gaussian_process
from recbole_mm.training.session import prepare_session, run

MODELS = ["HierarchicalRegression", "GaussianProcess", "BayesianFM", "KernelRidge", "ContentEASE", "ContentKNN"]
RATING = MODELS[:3]
every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(autouse=True)
def _with_myfm(request):
    if "BayesianFM" in request.node.name:
        try:
            importlib.metadata.version("myfm")
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("myfm is not installed (extra 'benchmark')")


def options(planted, name, **changes) -> dict:
    own = {"samples": 20} if name == "BayesianFM" else {}
    return planted.data_options(**{"modalities": ["text", "audio"], "protocol": "cold-item", **own, **changes})


def scores(planted, name, **changes) -> torch.Tensor:
    model = prepare_session(Config(name, planted.name, config_dict=options(planted, name, **changes))).model.eval()
    with torch.no_grad():
        return model.predict(all_pairs(model)).view(model.n_users, model.n_items)


@pytest.mark.parametrize("protocol", ["u2", "cold-item"])
@pytest.mark.parametrize("name", RATING)
def test_no_test_rating_is_read_and_all_predictions_are_finite(planted, name, protocol):
    before = scores(planted, name, protocol=protocol)
    in_test = rows_of_the_test_part(planted, name, protocol)
    planted.ratings.loc[in_test, "rating:float"] = 6 - planted.ratings.loc[in_test, "rating:float"]
    planted.write()
    assert torch.equal(before, scores(planted, name, protocol=protocol)) and before.isfinite().all()
    planted.ratings.loc[~in_test, "rating:float"] = 6 - planted.ratings.loc[~in_test, "rating:float"]
    planted.write()
    assert not torch.allclose(before, scores(planted, name, protocol=protocol))


@pytest.mark.parametrize("name", [name for name in MODELS if name != "BayesianFM"])
def test_who_rated_a_test_movie_is_not_read(planted, name, monkeypatch):
    """The rows of the cold movies go to other users; movies, their ids and so the split stay as they are."""
    # The sums are in another order then: conjugate gradients must end closer together than this test looks.
    exact = partial(gaussian_process.posterior_mean, tolerance=1e-6)
    monkeypatch.setattr(gaussian_process, "posterior_mean", exact)
    before, table = scores_by_token(planted, name), planted.ratings
    in_test = rows_of_the_test_part(planted, name, "cold-item")
    give_to_others(table, in_test)
    planted.write()
    torch.testing.assert_close(scores_by_token(planted, name), before, rtol=1e-4, atol=1e-5)
    give_to_others(table, ~in_test)
    planted.write()
    after = scores_by_token(planted, name)
    assert after.isfinite().all() and not torch.allclose(after, before, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", ["HierarchicalRegression", "GaussianProcess", "KernelRidge"])
def test_more_ratings_of_test_movies_change_nothing_and_of_training_movies_do(planted, name):
    before, table = scores_by_token(planted, name), planted.ratings
    in_test = rows_of_the_test_part(planted, name, "cold-item")
    planted.ratings = with_new_ratings(table, in_test)
    planted.write()
    torch.testing.assert_close(scores_by_token(planted, name), before, rtol=1e-4, atol=1e-5)
    planted.ratings = with_new_ratings(table, ~in_test)
    planted.write()
    assert not torch.allclose(scores_by_token(planted, name), before, rtol=1e-2, atol=1e-3)


def with_new_ratings(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """The table and, at its end, ratings of the movies of some rows by users who had not rated them."""
    movies, users = table.loc[rows, "item_id:token"].unique(), table["user_id:token"].unique()
    rated = set(zip(table["user_id:token"], table["item_id:token"]))
    new = [(user, movie, 1.0, 0) for movie in movies for user in users[:30] if (user, movie) not in rated]
    assert len(new) > 50
    return pd.concat([table, pd.DataFrame(new, columns=table.columns)], ignore_index=True)


def give_to_others(table: pd.DataFrame, rows: np.ndarray) -> None:
    table.loc[rows, "user_id:token"] = np.roll(table.loc[rows, "user_id:token"].to_numpy(), 7)


def scores_by_token(planted, name: str) -> torch.Tensor:
    """Scores in the order of the users' names: ids follow the order of the rows."""
    session = prepare_session(Config(name, planted.name, config_dict=options(planted, name)))
    model, names = session.model.eval(), session.split.train.field2id_token["user_id"]
    with torch.no_grad():
        found = model.predict(all_pairs(model)).view(model.n_users, model.n_items)
    return found[torch.from_numpy(np.argsort(names.astype(str)))]


def rows_of_the_test_part(planted, name: str, protocol: str) -> np.ndarray:
    """Which rows of the file are tested, bool [n]."""
    split = prepare_session(Config(name, planted.name, config_dict=options(planted, name, protocol=protocol))).split
    rows, tokens = split.test.inter_feat, split.test.field2id_token
    tested = set(zip(tokens["user_id"][rows["user_id"]], tokens["item_id"][rows["item_id"]]))
    pairs = zip(planted.ratings["user_id:token"], planted.ratings["item_id:token"])
    in_test = np.array([pair in tested for pair in pairs])
    assert in_test.sum() == len(rows) > 0
    return in_test


@every_model
@torch.no_grad()
def test_scores_of_all_movies_are_those_of_pairs(planted, name):
    model = prepare_session(Config(name, planted.name, config_dict=options(planted, name))).model
    found = model.full_sort_predict(Interaction({model.USER_ID: torch.arange(model.n_users)}))
    torch.testing.assert_close(found, model.predict(all_pairs(model)))


@every_model
def test_a_checkpoint_predicts_the_same(planted, name):
    result = run(name, planted.name, config_dict=options(planted, name))
    assert run(name, planted.name, arguments=[f"--evaluate={result.checkpoint}"]).test == result.test


def test_content_predicts_ratings_of_movies_nobody_rated(planted):
    given = options(planted, "HierarchicalRegression", content_components=4)
    assert run("HierarchicalRegression", planted.name, config_dict=given, saved=False).test["rmse"] < 0.8


def test_the_process_rates_movies_nobody_rated_from_content(planted):
    given = options(planted, "GaussianProcess", interaction_variance=3.0, noise_variance=0.3)
    with_content, without = (
        run("GaussianProcess", planted.name, config_dict={**given, "item_content": part}, saved=False).test["rmse"]
        for part in (0.6, 0.0)
    )
    assert with_content < 0.6 and without > 1.0


def test_who_rated_a_movie_explains_nothing_of_movies_nobody_rated(planted):
    """Their process has no cosines of movies: what is left of the kernel is as if there were none."""
    unrated = unrated_movies(planted)
    both, alone = (
        scores(planted, "GaussianProcess", item_content=content, item_corating=corating)
        for content, corating in ((0.4, 0.5), (0.8, 0.0))
    )
    torch.testing.assert_close(both[:, unrated], alone[:, unrated])
    assert not torch.allclose(both[:, ~unrated], alone[:, ~unrated], atol=0.05)


def unrated_movies(planted) -> torch.Tensor:
    """Movies without a training row, bool [N]; [PAD] counts as rated."""
    train = prepare_session(Config("GaussianProcess", planted.name, config_dict=options(planted, ""))).split.train
    unrated = torch.ones(train.item_num, dtype=torch.bool)
    unrated[train.inter_feat["item_id"]] = unrated[0] = False
    assert unrated.sum() > 5
    return unrated


def test_equal_attributes_bring_users_together(planted):
    """The attribute is the user's taste, and few ratings are left to learn it from."""
    tastes = {
        "user_id:token": [f"u{user}" for user in range(60)],
        "kind:token": [f"k{taste}" for taste in planted.taste],
    }
    write_atomic(planted.folder / "planted.user", tastes)
    planted.ratings = planted.ratings[:400]
    planted.write()
    given = options(planted, "GaussianProcess", protocol="u1", interaction_variance=3.0, user_corating=0.0)
    given["load_col"]["user"] = ["user_id", "kind"]
    without, with_attributes = (
        run("GaussianProcess", planted.name, config_dict={**given, "user_attributes": part}, saved=False).test["rmse"]
        for part in (0.0, 0.7)
    )
    assert with_attributes < without - 0.1


def test_parts_of_a_kernel_above_1_are_an_error(planted):
    with pytest.raises(
        InputError, match="item_content and item_corating are together 1.2; as parts of one kernel they are at most 1"
    ):
        scores(planted, "GaussianProcess", item_content=0.7, item_corating=0.5)


def test_the_bayesian_machine_finds_the_planted_ratings(planted):
    given = options(planted, "BayesianFM", protocol="u1", samples=60)
    assert run("BayesianFM", planted.name, config_dict=given, saved=False).test["rmse"] < 0.65  # 0.41 is the best


def test_content_in_eases_gram_matrix_ranks_movies_nobody_rated(planted):
    """EASE itself gives a movie without ratings the weight 0 from every other movie."""
    planted.ratings = planted.ratings[planted.ratings["rating:float"] == 5]
    planted.write()
    given = options(planted, "ContentEASE")
    with_content, without = (
        run("ContentEASE", planted.name, config_dict={**given, "content_weight": weight}, saved=False).test["ndcg@10"]
        for weight in (100.0, 0.0)
    )
    assert with_content > max(0.5, without + 0.1)


@pytest.mark.parametrize("name", ["KernelRidge", "ContentKNN"])
def test_content_ranks_movies_nobody_rated(planted, name):
    planted.ratings = planted.ratings[planted.ratings["rating:float"] == 5]
    planted.write()
    assert run(name, planted.name, config_dict=options(planted, name), saved=False).test["ndcg@10"] > 0.5


@every_model
def test_too_large_a_catalogue_is_an_error_that_names_the_option(planted, name):
    with pytest.raises(InputError, match="raise the option dense_limit"):
        scores(planted, name, dense_limit=10)
