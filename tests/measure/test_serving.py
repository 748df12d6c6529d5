from __future__ import annotations

import pytest

from recbole_mm import load, run
from recbole_mm.measure.serving import measure, measure_http, measure_load, people_like_users


@pytest.fixture
def recommender(planted):
    return load(run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint)


def test_every_question_is_answered_and_timed(recommender):
    rows = measure(recommender, rounds=1)
    assert [row["question"].replace(",", "").split()[0] for row in rows] == [
        "recommend",
        "predict",
        "recommend_for",
        "recommend_for_each",
        "recommend_for_each",
        "predict_for",
        "predict_for_each",
        "explain_each",
        "add_movies",
    ]
    assert all(0 < row["lowest"] <= row["seconds"] <= row["highest"] for row in rows)
    assert len(recommender.movies) == 90, "the movies added were another's"


def test_the_server_is_asked_over_http(recommender):
    pytest.importorskip("flask", reason="the extra 'serve' is not installed")
    rows = measure_http(recommender, rounds=1)
    assert [row["question"].split()[1] for row in rows] == ["/recommend,", "/recommend,", "/recommend,", "/movies,"]
    assert len(recommender.movies) == 90, "the movies added were another's"


def test_people_are_like_users(recommender):
    people = people_like_users(recommender, 70)
    assert len(people) == 70 and people[0] == people[60]
    user = recommender.users[0]
    movies = recommender.explain("m1", user=user).movies
    for key, of_kind in (("liked", movies[movies["liked"]]), ("disliked", movies[~movies["liked"]])):
        assert set(people[0][key]) == set(of_kind["item_id"])


def test_a_new_process_loads_the_file(recommender, tmp_path):
    recommender.save(tmp_path / "model.safetensors")
    seconds = measure_load(tmp_path / "model.safetensors")
    assert set(seconds) == {f"{step}{cpu}" for step in ("torch", "imports", "load") for cpu in ("", " CPU")}
    assert all(value > 0 for value in seconds.values())
