from __future__ import annotations

import pytest
import torch
from recbole.model.abstract_recommender import ContextRecommender

from recbole_mm.config.config import Config
from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.model.baselines.rating_regressors import RATING_FORMS
from recbole_mm.training.session import prepare_session, run

CONTEXT = sorted(name for name, form in RATING_FORMS.items() if issubclass(form, ContextRecommender))


def options(planted, **changes) -> dict:
    given = {"modalities": ["text", "audio"], "vector_input": True, "train_batch_size": 256, "learning_rate": 0.01}
    return planted.data_options(**{**given, "protocol": "cold-item", **changes})


def session_of(name: str, planted, **changes):
    return prepare_session(Config(name, planted.name, config_dict=options(planted, **changes)))


@pytest.mark.parametrize("name", CONTEXT)
def test_each_modality_is_one_more_field_and_is_trained(name, planted):
    with_vectors = session_of(name, planted, epochs=1)
    without = session_of(name, planted, vector_input=False).model
    model = with_vectors.model
    assert model.num_feature_field == without.num_feature_field + 2
    assert without.content is None
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with_vectors.trainer.fit(with_vectors.train_data, saved=False)
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert "first_order_linear.of_vectors" in changed or name in ("DCN", "DCNV2", "FNN", "PNN")
    assert {"field_projections.0", "field_projections.1"} <= changed or name == "LR"


def test_vectors_tell_an_fm_of_movies_nobody_rated(planted):
    errors = {
        given: run("FM", planted.name, config_dict=options(planted, epochs=30, vector_input=given)).test["rmse"]
        for given in (True, False)
    }
    assert errors[True] < 1.0 < 1.3 < errors[False]


@torch.no_grad()
def test_a_movie_without_a_vector_has_the_learned_one(planted):
    model = session_of("FM", planted).model
    text, audio = model.content.fields()
    assert text.shape[1] == 3 + 2 and audio.shape[1] == 5 + 2
    missing = audio[1:, -1] == 1
    assert missing.sum() == 30 and not audio[1:][missing, :-1].any()


def test_statistics_are_those_of_training_movies(planted):
    session = session_of("FM", planted)
    cold = [session.split.test.field2id_token["item_id"][i] for i in session.split.cold_items.test]
    before = session.model.content.side_by_side.clone()
    changed = [planted.tokens.index(token) for token in cold]
    planted.text[changed] += 100
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, planted.text)
    after = session_of("FM", planted).model.content.side_by_side
    kept = torch.ones(len(after), dtype=torch.bool)
    kept[session.split.cold_items.test] = False
    torch.testing.assert_close(before[kept], after[kept])


def test_a_checkpoint_predicts_the_same(planted):
    result = run("DeepFM", planted.name, config_dict=options(planted, epochs=2))
    again = run("DeepFM", planted.name, arguments=[f"--evaluate={result.checkpoint}"])
    assert again.test == result.test


@pytest.mark.parametrize(("name", "task"), [("BPR", "rating"), ("FM", "ranking"), ("MMFS", "rating")])
def test_models_that_cannot_read_vectors_say_so(name, task, planted):
    with pytest.raises(InputError, match=f"'vector_input' has no effect on {name}"):
        Config(name, planted.name, config_dict=options(planted, protocol="ranking", builtin_task=task))


def test_an_unknown_modality_is_an_error_with_the_nearest_name(planted):
    with pytest.raises(InputError, match="'txt'.*Did you mean 'text'"):
        session_of("FM", planted, modalities=["txt"])
