from __future__ import annotations

import pytest
import torch
from model_contract import all_pairs
from recbole.data.interaction import Interaction

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training.session import prepare_session, run


def options(planted, **changes) -> dict:
    return planted.data_options(modalities=["text", "audio"], learning_rate=0.01, embedding_size=8, **changes)


@torch.no_grad()
def test_scores_of_all_movies_are_those_of_pairs_and_follow_the_equation(planted):
    session = prepare_session(Config("VBPR", planted.name, config_dict=options(planted)))
    model = session.model
    torch.nn.init.normal_(model.item_bias)
    torch.nn.init.normal_(model.content_bias.weight)
    scores = model.full_sort_predict(Interaction({model.USER_ID: torch.arange(model.n_users)}))
    torch.testing.assert_close(scores, model.predict(all_pairs(model)), rtol=1e-5, atol=1e-5)
    user, movie = 3, 5
    x = model.content()[movie]
    gamma, theta = model.user.weight[user].split([8, 64])
    expected = model.item_bias[movie] + gamma @ model.item.weight[movie]
    expected += theta @ (model.projection.weight @ x) + model.content_bias.weight[0] @ x
    assert float(scores.view(model.n_users, -1)[user, movie]) == pytest.approx(float(expected), rel=1e-4)


def test_every_parameter_is_trained_and_a_checkpoint_ranks_the_same(planted):
    result = run("VBPR", planted.name, config_dict=options(planted, epochs=2))
    untrained = prepare_session(Config("VBPR", planted.name, config_dict=options(planted))).model
    trained = dict(load(result.checkpoint).model.named_parameters())
    assert not [name for name, p in untrained.named_parameters() if torch.equal(p, trained[name])]
    assert run("VBPR", planted.name, arguments=[f"--evaluate={result.checkpoint}"]).test == result.test


def test_content_ranks_movies_nobody_rated(planted):
    given = options(planted, epochs=30, protocol="cold-item", builtin_task="ranking")
    planted.ratings = planted.ratings[planted.ratings["rating:float"] == 5]  # a user rates the loved kind alone
    planted.write()
    true, shuffled = (
        run("VBPR", planted.name, config_dict={**given, "modality_corruption": control}, saved=False).test["ndcg@10"]
        for control in ("none", "shuffled")
    )
    assert true > 0.55 and true > shuffled + 0.15


def test_models_of_ratings_alone_are_refused_for_cold_movies(planted):
    for name in ("Pop", "BPR", "EASE"):
        given = planted.data_options(protocol="cold-item", builtin_task="ranking")
        with pytest.raises(InputError, match=f"{name} knows a movie by its training ratings alone"):
            Config(name, planted.name, config_dict=given)
