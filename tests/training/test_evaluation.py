from __future__ import annotations

import numpy as np
import pytest
import torch
from model_contract import open_session

from recbole_mm.config.config import Config
from recbole_mm.training.session import prepare_session, run


@pytest.mark.parametrize("protocol", ["ranking", "cold-item"])
def test_outcomes_are_what_the_metrics_are_made_of(planted, tmp_path, protocol):
    options = planted.options(epochs=2, protocol=protocol, predictions_file=str(tmp_path / "new" / "predictions.npz"))
    result = run("MMFS", planted.name, config_dict=options)
    with np.load(options["predictions_file"], allow_pickle=False) as file:
        found = dict(file)
    error = found["predicted"].astype(float) - found["rating"]
    assert np.sqrt((error**2).mean()) == pytest.approx(result.test["rmse"], abs=1e-4)
    assert np.abs(error).mean() == pytest.approx(result.test["mae"], abs=1e-4)
    for name in ("recall@10", "ndcg@10"):
        assert len(found[name]) == len(found["ranked_user"]) == len(set(found["ranked_user"]))
        assert found[name].mean() == pytest.approx(result.test[name], abs=1e-4)


def test_outcomes_hold_genres_and_embeddings_of_movies_by_name(planted):
    planted.item_columns["class:token_seq"][:4] = ["Comédie"] * 4
    planted.item_columns["movie_title:token_seq"][2] = "Amélie the 1st"
    planted.write()
    session = open_session("MMASP", planted)
    found = session.trainer.predictions(session.test_data)
    names = np.char.decode(found["genre_names"], "utf-8").tolist()
    assert names == ["Action", "Comedy", "Comédie", "Drama"]
    movies = found["movie"].astype(str).tolist()
    assert sorted(movies) == sorted(planted.tokens)
    assert np.char.decode(found["movie_title"], "utf-8")[movies.index("m2")] == "Amélie the 1st"
    for token, genre in (("m2", "Comédie"), ("m4", "Comedy"), ("m5", "Drama")):
        assert found["movie_genre"][movies.index(token)].tolist() == [int(name == genre) for name in names]
    held_out = [movies.index(token) for token in found["genre_item"].astype(str)]
    assert sorted(held_out) == sorted((session.split.label_items["genre"].test - 1).tolist())
    np.testing.assert_array_equal(found["genre_target"], found["movie_genre"][held_out])
    assert found["genre_probability"].dtype == found["movie_embedding"].dtype == np.float16
    with torch.no_grad():
        probability = session.model.eval().predict_genres(session.test_data.labels["genre"].items)
        np.testing.assert_array_equal(found["genre_probability"], probability.half().numpy())
        z = session.model.eval().movie_embeddings()[1:]
    np.testing.assert_allclose(found["movie_embedding"], z.numpy(), rtol=1e-3, atol=1e-4)


def test_without_a_genre_metric_outcomes_have_movies_but_no_held_out_genres(planted):
    session = open_session("MMFS", planted, protocol="u1")
    found = {name for name in session.trainer.predictions(session.test_data) if name.startswith(("movie", "genre"))}
    assert found == {"movie", "movie_title", "movie_embedding", "movie_genre", "genre_names"}


def test_outcomes_name_pairs_and_users_as_the_files_do(planted):
    session = open_session("MMFS", planted)
    predictions = session.trainer.predictions(session.test_data)
    rows = session.split.test.inter_feat
    pairs = list(zip(predictions["user"].astype(str), predictions["item"].astype(str), predictions["rating"]))
    tokens = session.split.test.field2id_token
    expected = [
        (tokens["user_id"][user], tokens["item_id"][item], rating)
        for user, item, rating in zip(rows["user_id"].tolist(), rows["item_id"].tolist(), rows["rating"].tolist())
    ]
    assert pairs == expected
    assert set(predictions["ranked_user"]) == set(predictions["user"])


def test_a_model_that_only_ranks_has_outcomes_of_users_alone(planted):
    config = Config("BPR", planted.name, config_dict={**planted.data_options(), "protocol": "ranking", "epochs": 1})
    session = prepare_session(config)
    session.trainer.fit(session.train_data, saved=False)
    assert set(session.trainer.predictions(session.test_data)) == {"ranked_user", "recall@10", "ndcg@10"}


@pytest.mark.parametrize(("metric", "ranked"), [("RMSE", False), ("NDCG@10", True)])
def test_a_model_that_ranks_by_pairs_does_so_in_training_only_to_choose_by_it(planted, metric, ranked):
    options = planted.data_options(protocol="cold-item", epochs=2, valid_metric=metric)
    by_pairs = run("FM", planted.name, config_dict=options, saved=False)
    assert all(("ndcg@10" in epoch["valid"]) == ranked for epoch in by_pairs.history)
    assert "ndcg@10" in by_pairs.valid and "ndcg@10" in by_pairs.test
    at_once = run("BPR", planted.name, config_dict=options, saved=False)
    assert all("ndcg@10" in epoch["valid"] for epoch in at_once.history)
