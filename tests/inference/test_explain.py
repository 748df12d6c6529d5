from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recbole_mm.errors import InputError


def somebody(planted):
    """Movies of kind 0 liked, of kinds 1 and 2 disliked."""
    return planted.tokens[3:15:3], [*planted.tokens[4:10:3], *planted.tokens[5:11:3]]


@pytest.mark.parametrize("model", ["MMFS", "MMSP", "MMASP"])
@pytest.mark.parametrize("who", ["user", "person"])
def test_contributions_and_popularity_sum_to_the_score(recommender_of, planted_once, model, who):
    recommender = recommender_of(model)
    if who == "user":
        person = {"user": "u4"}
        found = recommender.recommend("u4", k=8)
    else:
        liked, disliked = somebody(planted_once)
        person = {"liked": liked, "disliked": disliked}
        found = recommender.recommend_for(liked, disliked, k=8)
    for (_, movie), reason in zip(found.iterrows(), recommender.explain_each(found["item_id"], **person)):
        assert (reason.item_id, reason.title) == (movie["item_id"], movie["title"])
        assert reason.score == pytest.approx(movie["score"], rel=1e-4, abs=1e-5)
        assert reason.rating == pytest.approx(movie["rating"], rel=1e-4)
        assert reason.movies_method == "exact" and reason.modalities_method == "approximation"
        assert reason.movies["contribution"].sum() + reason.popularity == pytest.approx(movie["score"], abs=1e-4)
        assert reason.movies["contribution"].is_monotonic_decreasing
        assert reason.movies["contribution"].abs().max() > 1e-3


def test_a_users_movies_are_those_of_the_training_part(recommender):
    reason = recommender.explain("m3", user="u4")
    user = int(recommender._users.resolve("u4")[0])
    for is_liked, sets in ((True, recommender.model.users.liked), (False, recommender.model.users.disliked)):
        expected = recommender._movies.tokens[sets.movies_of(user)]
        assert set(reason.movies[reason.movies["liked"] == is_liked]["item_id"]) == set(expected)
    assert len(reason.movies) == 24, "eight tenths of 30 ratings"


def test_without_the_ranking_task_a_contribution_is_what_the_score_loses(recommender_of, planted_once):
    recommender = recommender_of("MMFS", paper=True, disliked_profile=True)
    liked, disliked = somebody(planted_once)
    reason = recommender.explain("m30", liked=liked, disliked=disliked)
    assert reason.movies_method == "approximation" and reason.popularity is None
    score = recommender.predict_for("m30", liked, disliked)["score"].item()
    assert reason.score == pytest.approx(score, rel=1e-5)
    for _, movie in reason.movies.iterrows():
        others = ([m for m in movies if m != movie["item_id"]] for movies in (liked, disliked))
        without = recommender.predict_for("m30", *others)["score"].item()
        assert movie["contribution"] == pytest.approx(score - without, abs=1e-5)
    # The same for a user, whose bias is the same with and without a movie.
    of_user = recommender.explain("m30", user="u0").movies
    assert len(of_user) == 24 and np.isfinite(of_user["contribution"]).all() and of_user["contribution"].any()


@pytest.mark.parametrize("paper", [False, True])
def test_a_modality_is_worth_what_the_score_loses_where_the_movie_lacks_it(recommender_of, paper):
    """Checked against an added movie, which may lack it from the start."""
    recommender = recommender_of("MMSP", paper=paper)
    vectors = {"text": [[0.9, 0.1, 0.0]], "audio": [[1.0, 0.0, 0.1, 0.3, 0.2]]}
    for left, name in ((None, "whole"), ("text", "no text"), ("audio", "no audio")):
        recommender.add_movies({"title": [name], **{m: v for m, v in vectors.items() if m != left}})
    reason = recommender.explain("whole", user="u0")
    table = reason.modalities.set_index("modality")
    assert table["present"][["text", "audio"]].all()
    whole = recommender.predict("u0", "whole")
    for name in ("text", "audio"):
        without = recommender.predict("u0", f"no {name}")
        assert table["difference"][name] == pytest.approx((whole["score"] - without["score"]).item(), abs=1e-4)
        assert table["share"][name] > 0
    assert table["share"].sum() == pytest.approx(1)
    lacking = recommender.explain("no audio", user="u0").modalities.set_index("modality")
    assert not lacking["present"]["audio"] and lacking["difference"]["audio"] == 0
    # Nobody has rated it; and without the identity and the ranking task nothing is learned from ratings of a movie.
    assert ("ratings" in table.index) == (not paper)
    if not paper:
        assert table["difference"]["ratings"] == 0 and not table["present"]["ratings"]
        rated = recommender.explain("m30", user="u0").modalities.set_index("modality")
        assert rated["difference"]["ratings"] != 0 and rated["present"]["ratings"]


def test_what_is_shown_of_an_explanation(recommender, planted_once):
    liked, disliked = somebody(planted_once)
    reason = recommender.explain("m30", liked=liked, disliked=disliked)
    carriers = reason.carriers(2)
    assert carriers["liked"].all() and (carriers["contribution"] > 0).all()
    best = reason.movies[reason.movies["liked"]]["contribution"].max()
    assert len(carriers) and carriers["contribution"].iloc[0] == best
    table = reason.modalities.set_index("modality")["difference"].drop("ratings")
    assert reason.strongest_modality() == (table.idxmax() if table.max() > 0 else None)
    nobody = recommender.explain("m30")
    assert (
        nobody.movies.empty and nobody.carriers().empty and nobody.score == pytest.approx(nobody.popularity, abs=1e-5)
    )


def test_explanations_follow_the_movies_and_modalities_in_use(recommender):
    recommender.explain("m30", user="u0")
    recommender.add_movies({"title": ["New"], "text": [[0.0, 0, 1]]})
    assert np.isfinite(recommender.explain("New", user="u0").score)
    narrower = recommender.using(["text"])
    assert narrower.explain("m30", user="u0").modalities["modality"].tolist() == ["text", "ratings"]
    assert recommender.explain("m30", user="u0").modalities["modality"].tolist() == ["text", "audio", "ratings"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"item": "m3", "user": "u4", "liked": "m5"}, "a user and liked or disliked movies"),
        ({"item": "m3", "user": ["u4", "u5"]}, "takes one user, not 2"),
        ({"item": ["m3", "m4"], "user": "u4"}, "takes one movie, not 2"),
        ({"item": "m3", "user": "u400"}, "user 'u400'.*Did you mean 'u40'"),
        ({"item": "m3", "liked": ["m5"], "disliked": "m5"}, "both liked and disliked"),
        ({"item": "m3000", "user": "u4"}, "movie 'm3000': neither"),
    ],
)
def test_wrong_questions(recommender, arguments, message):
    with pytest.raises(InputError, match=message):
        recommender.explain(**arguments)


def test_frames_have_what_is_documented(recommender):
    reason = recommender.explain("m30", user="u0")
    assert reason.movies.columns.tolist() == ["item_id", "title", "year", "liked", "contribution"]
    assert isinstance(reason.modalities, pd.DataFrame)
    columns = ["modality", "present", "difference", "rating_difference", "share"]
    assert reason.modalities.columns.tolist() == columns
