from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from recbole_mm.errors import InputError
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.served import ServedData
from recbole_mm.training.session import Config, prepare_session


def planted_options(planted, model, **options):
    given = planted.options if model.startswith("MM") else planted.data_options
    return given(**{"epochs": 2, **options})


# ---------------------------------------------------------------------- as the evaluation ranks


@pytest.mark.parametrize(
    "model, options",
    [
        ("MMASP", {}),
        ("MMFS", {"paper": True}),
        ("MMSP", {"protocol": "cold-item"}),
        ("EASE", {}),
        ("FM", {}),  # ranks pair by pair
        ("BPR", {"protocol": "cold-item"}),
    ],
)
def test_the_list_of_each_user_is_the_one_that_was_evaluated(planted, monkeypatch, model, options):
    """The evaluator's own lists (rec.items), hits (rec.topk) and metrics, on the users of the test part."""
    options = {"metrics": ["Recall", "NDCG", "ItemCoverage"], "topk": [7], "valid_metric": "NDCG@7", **options}
    files = ["paper.yaml"] if options.pop("paper", False) else None
    config = Config(model, planted.name, files, config_dict=planted_options(planted, model, **options))
    session = prepare_session(config)
    session.trainer.fit(session.train_data, saved=False)
    collected = {}
    evaluate = session.trainer.evaluator.evaluate
    monkeypatch.setattr(
        session.trainer.evaluator, "evaluate", lambda struct: collected.update(struct._data_dict) or evaluate(struct)
    )
    session.trainer.eval_collector.data_collect(session.train_data)
    result = session.trainer.evaluate(session.test_data, load_best_model=False)

    recommender = Recommender(session.model.eval(), ServedData.of_run(session.split.train, session.split, config))
    tokens = session.split.test.field2id_token
    users = tokens["user_id"][session.test_data.ranking.uid_list]
    among = None if session.split.cold_items is None else list(tokens["item_id"][session.split.cold_items.test])
    table = recommender.recommend(users, k=7, among=among)

    assert len(collected["rec.items"]) == len(users) > 50
    expected = tokens["item_id"][collected["rec.items"].numpy()]
    assert table["item_id"].to_numpy().reshape(-1, 7).tolist() == expected.tolist()
    assert table["user_id"].tolist() == np.repeat(users, 7).tolist()
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7] * len(users)

    test = pd.DataFrame(
        {
            "user_id": tokens["user_id"][session.split.test.inter_feat["user_id"]],
            "item_id": tokens["item_id"][session.split.test.inter_feat["item_id"]],
        }
    )
    hits = table.merge(test, how="left", indicator=True)["_merge"].eq("both").to_numpy().reshape(-1, 7)
    assert hits.tolist() == collected["rec.topk"][:, :7].bool().tolist()
    recall = hits.sum(axis=1) / test.groupby("user_id").size()[users].to_numpy()
    assert recall.mean() == pytest.approx(result["recall@7"], abs=1e-4)


def test_what_is_left_out_of_a_list(recommender, planted_once):
    rated = planted_once.ratings[planted_once.ratings["user_id:token"] == "u3"]["item_id:token"]
    by_default, all_rated, nothing = (
        set(recommender.recommend("u3", k=500, exclude_seen=seen)["item_id"]) for seen in (True, "all", False)
    )
    movies = set(planted_once.tokens)
    assert nothing == movies
    assert all_rated == movies - set(rated)
    assert len(by_default - all_rated) == 3, "a tenth of 30 ratings is the test part"
    assert set(recommender.recommend("u3", k=500, among=["m5", "m6"], exclude_seen=False)["item_id"]) == {"m5", "m6"}
    with pytest.raises(InputError, match="exclude_seen: 'some'"):
        recommender.recommend("u3", exclude_seen="some")


def test_many_users_get_what_each_gets_alone(recommender, monkeypatch):
    monkeypatch.setattr("recbole_mm.inference.top._SCORES_AT_ONCE", 200)  # two users at a time
    users = [f"u{i}" for i in (5, 3, 5, 59, 0)]
    together = recommender.recommend(users, k=4)
    alone = pd.concat([recommender.recommend(user, k=4) for user in users], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-5)
    assert recommender.recommend([], k=4).empty


# ---------------------------------------------------------------------- ratings


@pytest.mark.parametrize("model, options", [("MMASP", {}), ("MMFS", {"paper": True}), ("FM", {"protocol": "u1"})])
def test_predicted_ratings_are_those_of_the_model(recommender_of, model, options):
    recommender = recommender_of(model, **options)
    pairs = recommender.predict(["u1", "u7", "u1"], ["m3", "m4", "m5"])
    assert pairs[["user_id", "item_id"]].to_numpy().tolist() == [["u1", "m3"], ["u7", "m4"], ["u1", "m5"]]
    data = recommender._data
    given = {"users": data.users.resolve(pairs["user_id"]), "items": data.movies.resolve(pairs["item_id"])}
    interaction = data.interaction(torch.device("cpu"), **given)
    with torch.no_grad():
        assert pairs["rating"].tolist() == recommender.model.predict_rating(interaction).tolist()
    assert pairs["rating"].between(1, 5).all()
    np.testing.assert_allclose(recommender.predict("u1", ["m3", "m5"])["rating"], pairs["rating"][[0, 2]], rtol=1e-5)
    assert recommender.predict(["u1", "u2"], "m3")["user_id"].tolist() == ["u1", "u2"]
    with pytest.raises(InputError, match="2 users but 3 movies"):
        recommender.predict(["u1", "u2"], ["m1", "m2", "m3"])


# ---------------------------------------------------------------------- people in no data set


@pytest.mark.parametrize(
    "model, options", [("MMASP", {"rating_bias": False, "implicit_size": 0}), ("MMFS", {"paper": True})]
)
def test_a_person_is_their_movies(recommender_of, model, options):
    """Who gives the training movies of a user gets what the user gets (nothing is learned of the user alone here)."""
    recommender = recommender_of(model, **options)
    user = 5
    tokens = recommender._movies.tokens
    liked, disliked = (
        tokens[sets.movies_of(user)] for sets in (recommender.model.users.liked, recommender.model.users.disliked)
    )
    token = recommender._users.tokens[user]
    person = recommender.predict_for(recommender.movies["item_id"], liked, disliked)
    expected = recommender.predict(token, recommender.movies["item_id"]).drop(columns="user_id")
    pd.testing.assert_frame_equal(person, expected, rtol=1e-4)
    others = [item for item in tokens[1:] if item not in {*liked, *disliked}]
    found = recommender.recommend_for(liked, disliked, k=5)
    expected = recommender.recommend(token, k=5, exclude_seen=False, among=others).drop(columns="user_id")
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)


def test_somebody_gets_the_kind_they_like(recommender, planted_once):
    kinds = dict(zip(planted_once.tokens, planted_once.kind))
    for kind in range(3):
        liked = [token for token in planted_once.tokens if kinds[token] == kind][:4]
        disliked = [token for token in planted_once.tokens if kinds[token] != kind][:8]
        found = recommender.recommend_for(liked, disliked, k=90)
        assert not {*liked, *disliked} & set(found["item_id"]) and len(found) == 78
        loved = found["item_id"].map(kinds) == kind
        assert found["rating"][loved].mean() > found["rating"][~loved].mean() + 1.5


def test_nobody_in_particular_gets_what_is_popular(recommender):
    found = recommender.recommend_for(k=90)
    popularity = recommender.model.encoded().states["ranking"].movies.popularity[1:].detach()
    np.testing.assert_allclose(found["score"], popularity.sort(descending=True).values, rtol=1e-5)


# ---------------------------------------------------------------------- movies that nobody rated


def raw_vectors(recommender, item: int) -> dict[str, list]:
    """From the standardised vectors of the model, without rotation."""
    fields = recommender.model.catalogue.fields()
    raw = {name: field.vectors * field.standardizer.scale + field.standardizer.mean for name, field in fields.items()}
    return {name: [raw[name][item].tolist() if field.present[item] else None] for name, field in fields.items()}


@pytest.mark.parametrize("model, options", [("MMASP", {}), ("MMFS", {"paper": True})])
def test_an_added_movie_is_what_a_cold_movie_with_its_vectors_is(recommender_of, model, options):
    recommender = recommender_of(model, protocol="cold-item", **options)
    cold = (~recommender.model.catalogue.has_ratings).nonzero()[:, 0][1:].tolist()
    fields = recommender.model.catalogue.fields()
    both = next(item for item in cold if all(field.present[item] for field in fields.values()))
    one = next(item for item in cold if not fields["audio"].present[item])
    old_movies = recommender.movies["item_id"]
    before = recommender.recommend(recommender.users, k=5)
    for item in (both, one):
        old, new = recommender._movies.tokens[item], f"copy of {item}"
        assert recommender.add_movies({"title": [new], **raw_vectors(recommender, item)}) == [new]
        for column in ("rating", "score"):
            first, second = (recommender.predict(recommender.users, movie)[column] for movie in (old, new))
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
            first, second = (recommender.predict_for("m5", [movie, "m8"], ["m4"])[column] for movie in (old, new))
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
        genres = recommender.genres([old, new])
        np.testing.assert_allclose(genres.loc[old], genres.loc[new], rtol=1e-4)
        assert recommender.similar_movies(new, k=1)["similarity"].item() == pytest.approx(1, abs=1e-5)
    assert len(recommender.movies) == len(old_movies) + 2
    after = recommender.recommend(recommender.users, k=5, among=old_movies)
    pd.testing.assert_frame_equal(after, before, rtol=1e-4)
    assert set(recommender.recommend("u0", k=100, exclude_seen=False)["item_id"]) == set(recommender.movies["item_id"])


def test_added_movies_are_told_by_their_vectors(recommender):
    """Text is a noisy one-hot of the kind, u0 loves kind 0."""
    ids = recommender.add_movies(
        pd.DataFrame(
            {
                "item_id": [9001, 9002, "a third"],
                "title": ["Zero", "One", "Nothing known"],
                "year": [2026, None, 2025],
                "text": [np.array([1.0, 0, 0]), [0.0, 1, 0], None],
            }
        )
    )
    assert ids == ["9001", "9002", "a third"]
    assert recommender.recommend("u0", k=3, among=ids)["title"].iloc[0] == "Zero"
    ratings = recommender.predict("u0", [9001, "One", "nothing known (2025)"])["rating"]
    assert ratings[0] > ratings[1] + 1.5 and np.isfinite(ratings[2])
    assert recommender.genres(ids[:2]).idxmax(axis=1).tolist() == ["Action", "Comedy"]
    assert recommender.movies.tail(3)["year"].tolist() == [2026, pd.NA, 2025]
    assert "9001" not in set(recommender.similar_movies("zero", k=5)["item_id"])
    assert recommender.model.n_items == 91, "the trained model is left as it is"


@pytest.mark.parametrize(
    "table, message",
    [
        ({"text": [[1, 0, 0]]}, "needs a column 'title'"),
        ({"title": []}, "needs a column 'title' and at least one movie"),
        ({"title": ["A"], "txt": [[1, 0, 0]]}, "no column 'txt'.*Did you mean 'text'"),
        ({"title": ["A"], "text": [[1, 0]]}, "'text' of 'A' has 2 values, but the model takes 3"),
        ({"title": ["A"], "text": [[[1, 0, 0]]]}, "shape .1, 3."),
        ({"title": ["A"], "text": [["x", 0, 0]]}, "'text' of 'A' is not a vector of numbers"),
        ({"title": ["A"], "text": [[1, float("nan"), 0]]}, "'text' of 'A' holds inf or nan"),
        ({"title": ["A"], "text": [[1, 1e39, 0]]}, "'text' of 'A' holds inf or nan or a number beyond float32"),
        ({"title": ["A"], "text": [[1, 10**400, 0]]}, "'text' of 'A' is not a vector of numbers .1000.* is too large"),
        ({"title": ["A"], "text": [[1, True, 0]]}, "'text' of 'A' is not a vector of numbers .True is no number"),
        ({"title": ["A"], "year": [10**400]}, "year 1000.* is no year"),
        ({"title": ["A"], "year": [True]}, "year True is no year"),
        ({"title": ["A", "B"], "text": [[1, 0, 0]]}, "'text' has 1 rows, 'title' has 2"),
        ({"title": ["A", 3]}, "title 3 is not text"),
        ({"title": [" "]}, "title ' ' is not text"),
        ({"title": ["A"], "item_id": [3.0]}, "movie 3.0: an id is text or a whole number"),
        ({"title": ["A"], "item_id": ["m7"]}, "id 'm7' already belongs to 'Movie number 7'"),
        ({"title": ["A", "B"], "item_id": ["x", "x"]}, "id 'x' already belongs to 'A'"),
        ({"title": ["A", "a"]}, "title 'A' already belongs to movie a"),
        ({"title": ["movie NUMBER 7"]}, "title 'movie NUMBER 7' already belongs to movie m7; give the year"),
        ({"title": ["Movie number 7"], "year": [1990]}, "already belongs to movie m7"),
    ],
)
def test_wrong_movies_are_refused_and_nothing_is_added(recommender, table, message):
    with pytest.raises(InputError, match=message):
        recommender.add_movies(table)
    assert len(recommender.movies) == 90


def test_a_remake_is_told_by_its_year(recommender):
    recommender.add_movies({"title": ["Movie number 7"], "item_id": ["new"], "year": [2026]})
    assert recommender.movie_ids(["Movie number 7 (2026)", "movie number 7 (1990)"]) == ["new", "m7"]
    with pytest.raises(InputError, match=r"2 movies have this title.*m7 \(Movie number 7, 1990\), new"):
        recommender.movie_ids("Movie number 7")


# ---------------------------------------------------------------------- movies


def test_genres_are_probabilities_by_name(recommender, planted_once):
    found = recommender.genres(planted_once.tokens)
    assert found.shape == (90, 3) and found.columns.tolist() == ["Action", "Comedy", "Drama"]
    assert (found.to_numpy().argmax(axis=1) == planted_once.kind).mean() > 0.95
    with torch.no_grad():
        expected = recommender.model.predict_genres(torch.tensor([3, 3]))
    token = recommender._movies.tokens[3]
    assert recommender.genres([token, token]).to_numpy().tolist() == expected.tolist()
    (likely,) = recommender.likely_genres(token)
    assert [name for name, _ in likely] == found.loc[token].sort_values(ascending=False).index[: len(likely)].tolist()
    assert len(likely) == max(1, (found.loc[token] >= 0.5).sum())


def test_embeddings_are_what_users_are_averages_of(recommender_of):
    recommender = recommender_of("MMFS", paper=True)
    movies, users = recommender.movie_embeddings(), recommender.user_embeddings()
    assert movies.shape == (90, 8) and users.shape == (60, 8)
    user = 4
    liked = recommender._movies.tokens[recommender.model.users.liked.movies_of(user)]
    profile = users.loc[recommender._users.tokens[user]]
    np.testing.assert_allclose(profile, movies.loc[liked].mean(), rtol=1e-4, atol=1e-6)


def test_similar_movies_are_of_one_kind_nearest_first(recommender, planted_once):
    kinds = dict(zip(planted_once.tokens, planted_once.kind))
    found = recommender.similar_movies("m10", k=8)
    assert found["rank"].tolist() == list(range(1, 9)) and "m10" not in set(found["item_id"])
    assert (found["item_id"].map(kinds) == kinds["m10"]).mean() > 0.7
    assert found["similarity"].is_monotonic_decreasing and found["similarity"].max() <= 1.0001
    assert len(recommender.similar_movies("m10", k=1000)) == 89
    with pytest.raises(InputError, match="takes one movie, not 2"):
        recommender.similar_movies(["m10", "m11"])


def test_modalities_that_are_switched_off_are_missing_everywhere(recommender):
    before = recommender.recommend("u0", k=90, exclude_seen=False)
    recommender.add_movies({"title": ["New"], "text": [[0.0, 0, 1]], "audio": [[0.0, 0, 1, 0, 0]]})
    none, audio = recommender.using([]), recommender.using("audio")
    assert (none.modalities, audio.modalities, recommender.modalities) == ([], ["audio"], ["text", "audio"])
    for first, second in ((recommender, audio), (audio, none)):
        assert not np.allclose(first.predict("u0", "New")["rating"], second.predict("u0", "New")["rating"])
        assert first.recommend("u0", k=90)["item_id"].tolist() != second.recommend("u0", k=90)["item_id"].tolist()
    again = audio.using(["audio", "text"])
    old = before["item_id"]
    pd.testing.assert_frame_equal(again.recommend("u0", k=90, exclude_seen=False, among=old), before, rtol=1e-4)
    audio.add_movies({"title": ["Silent"], "text": [[0.0, 0, 1]]})
    none.add_movies({"title": ["Silent"]})
    assert np.isfinite(none.predict("u0", "Silent")["rating"].item()), "a movie without any vector is one too"
    assert len(recommender.movies) == 91 and len(audio.movies) == 92, "each has its own catalogue"
    assert audio.predict("u0", "Silent")["rating"].item() != recommender.predict("u0", "New")["rating"].item()
    with pytest.raises(InputError, match="no modality 'txt'. It has text, audio. Did you mean 'text'"):
        recommender.using(["txt"])


# ---------------------------------------------------------------------- models that cannot do it all


def test_a_built_in_ranker_recommends_and_says_what_it_cannot(recommender_of):
    recommender = recommender_of("EASE", epochs=1)
    found = recommender.recommend(["u1", "u2"], k=3)
    assert found.columns.tolist() == ["user_id", "rank", "item_id", "title", "year", "score"]
    assert found["title"].str.startswith("Movie number").all()
    for call in (
        lambda: recommender.predict("u1", "m1"),
        lambda: recommender.recommend_for(["m1"]),
        lambda: recommender.predict_for(["m1"], ["m2"]),
        lambda: recommender.add_movies({"title": ["A"]}),
        lambda: recommender.genres("m2"),
        lambda: recommender.similar_movies("m2"),
        lambda: recommender.movie_embeddings(),
        lambda: recommender.user_embeddings(),
        lambda: recommender.using([]),
        lambda: recommender.explain("m2", user="u1"),
    ):
        with pytest.raises(InputError, match="^EASE "):
            call()


def test_a_sequential_model_loads_but_does_not_recommend(recommender_of):
    recommender = recommender_of("GRU4Rec", epochs=1, train_neg_sample_args=None, MAX_ITEM_LIST_LENGTH=3)
    with pytest.raises(InputError, match="GRU4Rec needs .*item_id_list"):
        recommender.recommend("u1")


def test_a_model_of_one_task_gives_what_it_learned(recommender_of):
    genres_only = recommender_of("MMFS", tasks=("genre",), epochs=1)
    assert genres_only.genres("m4").shape == (1, 3)
    with pytest.raises(InputError, match="without a task that ranks movies"):
        genres_only.recommend("u1")
    with pytest.raises(InputError, match="predicts no ratings"):
        genres_only.predict("u1", "m4")
    with pytest.raises(InputError, match="predicts no ratings"):
        genres_only.predict_for("m4", ["m5"])


def test_without_titles_movies_are_named_by_their_ids(planted):
    for column in ("movie_title:token_seq", "release_year:token"):
        del planted.item_columns[column]
    planted.write()
    options = planted.options(
        load_col={"inter": ["user_id", "item_id", "rating", "timestamp"], "item": ["item_id", "class"]}
    )
    config = Config("MMFS", planted.name, config_dict=options)
    session = prepare_session(config)
    recommender = Recommender(session.model.eval(), ServedData.of_run(session.split.train, session.split, config))
    assert (recommender.movies["title"] == recommender.movies["item_id"]).all()
    assert recommender.movies["year"].isna().all()
    assert (
        recommender.recommend_for(["m4"], k=3)["title"].tolist()
        == recommender.recommend_for("m4", k=3)["item_id"].tolist()
    )


@pytest.mark.parametrize("k", [0, -1, 2.5, True, "3"])
def test_k_is_a_number_of_movies(recommender, k):
    with pytest.raises(InputError, match="k: .*1 or more"):
        recommender.recommend("u1", k=k)
