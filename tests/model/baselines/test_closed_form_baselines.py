from __future__ import annotations

import importlib.metadata

import pytest
import torch
from model_contract import all_pairs
from recbole.data.interaction import Interaction

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_session, run

MODELS = ["HierarchicalRegression", "BayesianFM", "KernelRidge", "ContentEASE", "ContentKNN"]
RATING = MODELS[:2]
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
    return planted.data_options(modalities=["text", "audio"], protocol="cold-item", **own, **changes)


def scores(planted, name, **changes) -> torch.Tensor:
    model = prepare_session(Config(name, planted.name, config_dict=options(planted, name, **changes))).model.eval()
    with torch.no_grad():
        return model.predict(all_pairs(model)).view(model.n_users, model.n_items)


@every_model
def test_no_test_rating_is_read_and_all_predictions_are_finite(planted, name):
    before = scores(planted, name)
    session = prepare_session(Config(name, planted.name, config_dict=options(planted, name)))
    cold = {session.split.test.field2id_token["item_id"][i] for i in session.split.cold_items.test}
    rows = planted.ratings["item_id:token"].isin(cold)
    planted.ratings.loc[rows, "rating:float"] = 6 - planted.ratings.loc[rows, "rating:float"]
    planted.write()
    assert torch.equal(before, scores(planted, name)) and before.isfinite().all()


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


@pytest.mark.parametrize("name", ["KernelRidge", "ContentKNN"])
def test_content_ranks_movies_nobody_rated(planted, name):
    planted.ratings = planted.ratings[planted.ratings["rating:float"] == 5]
    planted.write()
    assert run(name, planted.name, config_dict=options(planted, name), saved=False).test["ndcg@10"] > 0.5


@every_model
def test_too_large_a_catalogue_is_an_error_that_names_the_option(planted, name):
    with pytest.raises(InputError, match="raise the option dense_limit"):
        scores(planted, name, dense_limit=10)
