from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("flask", reason="the extra 'demo' is not installed")

from recbole_mm import load, run
from recbole_mm.datasets.vector_files import write_field
from recbole_mm.demo.answers import MAX_MOVIES, NEW, Answers
from recbole_mm.demo.app import MAX_BYTES, create_app
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import fit_words

LIKED, DISLIKED = ["m4", "m7"], ["m5"]


@pytest.fixture
def client(recommender):
    return create_app(recommender, {"localhost", "127.0.0.1", "::1"}).test_client()


@pytest.fixture
def ask(client):
    """``ask(path, question)``: the answer to a question that is none the worse."""

    def question(path: str, given: dict) -> dict:
        response = client.post(path, json=given)
        assert response.status_code == 200, response.text
        return response.json

    return question


def test_catalogue_has_every_movie(client, recommender):
    catalogue = client.get("/api/catalogue").json
    assert (catalogue["model"], catalogue["dataset"], catalogue["rating_scale"]) == ("MMASP", "planted", [1.0, 5.0])
    assert catalogue["modalities"] == ["text", "audio"]
    for column, values in catalogue["movies"].items():
        assert values == recommender.movies[column].tolist()


def test_a_year_that_is_unknown_is_null(recommender):
    recommender.add_movies({"title": ["Of no year"], "text": [np.zeros(3)]})
    movies = create_app(recommender).test_client().get("/api/catalogue").json["movies"]
    assert (movies["title"][-1], movies["year"][-1], movies["year"][-2]) == ("Of no year", None, 2026)


def test_recommendations_and_ratings_are_the_recommenders(ask, recommender):
    answer = ask("/api/recommend", {"liked": LIKED, "disliked": DISLIKED})
    expected = recommender.recommend_for(LIKED, DISLIKED, k=10)
    rows = answer["recommendations"]
    assert [row["item_id"] for row in rows] == expected["item_id"].tolist()
    assert [row["rating"] for row in rows] == pytest.approx(expected["rating"].tolist(), rel=1e-5)
    assert {one["item_id"] for row in rows for one in row["because"]} == set(LIKED)
    ratings = recommender.predict_for(recommender.movies["item_id"], LIKED, DISLIKED)["rating"]
    assert answer["ratings"] == pytest.approx(ratings.tolist(), abs=0.006)


@pytest.mark.parametrize("modalities", [["audio"], ["text"], []])
def test_a_modality_switched_off_is_not_seen(ask, recommender, modalities):
    answer = ask("/api/recommend", {"liked": LIKED, "modalities": modalities})
    expected = recommender.using(modalities).recommend_for(LIKED, k=10)
    assert [row["score"] for row in answer["recommendations"]] == pytest.approx(expected["score"].tolist(), rel=1e-5)
    assert answer["recommendations"] != ask("/api/recommend", {"liked": LIKED})["recommendations"]


def test_nothing_chosen_gives_a_list_too(ask, recommender):
    answer = ask("/api/recommend", {})
    expected = recommender.recommend_for(k=10)
    assert [row["item_id"] for row in answer["recommendations"]] == expected["item_id"].tolist()
    assert all(row["because"] == [] for row in answer["recommendations"])


@pytest.mark.parametrize("modalities", [["text", "audio"], ["audio"]])
def test_explanation_is_the_recommenders(ask, recommender, modalities):
    answer = ask("/api/explain", {"item": "m10", "liked": LIKED, "disliked": DISLIKED, "modalities": modalities})
    reason = recommender.using(modalities).explain("m10", liked=LIKED, disliked=DISLIKED)
    assert answer["score"] == pytest.approx(reason.score, rel=1e-5)
    assert answer["movies_method"] == "exact"
    summed = sum(row["contribution"] for row in answer["movies"]) + answer["popularity"]
    assert summed == pytest.approx(answer["score"], abs=1e-4)
    assert [row["modality"] for row in answer["modalities"]] == [*modalities, "ratings"]
    genres = recommender.using(modalities).genres("m10").iloc[0]
    assert answer["genres"][0] == {"genre": genres.idxmax(), "probability": pytest.approx(genres.max())}


def test_the_paper_model_explains_by_approximation(recommender_of):
    answers = Answers(recommender_of("MMFS", paper=True))
    answer = answers.explain({"item": "m10", "liked": LIKED})
    assert (answer["movies_method"], answer["popularity"]) == ("approximation", None)


# ---------------------------------------------------------------------- a movie that does not exist

KINDS = ("robots explosion chase", "joke wedding laughter", "tears letter hospital")


@pytest.fixture
def told(planted):
    """A model whose text is made of words that tell the kind, with the encoder kept."""
    random = np.random.default_rng(0)
    filler = [f"filler{i}" for i in range(20)]
    encoder, values = fit_words([f"{KINDS[kind]} {' '.join(random.choice(filler, 6))}" for kind in planted.kind], 10)
    write_field(planted.folder, "planted", "text", planted.tokens, values, encoder)
    options = planted.options(modalities=["text", "audio"], epochs=8, learning_rate=0.03)
    return load(run("MMASP", "planted", config_dict=options).checkpoint)


def test_a_summary_is_a_movie_for_one_answer(told):
    client = create_app(told).test_client()
    assert client.get("/api/catalogue").json["takes_summary"] is True
    summary = "Robots, a chase and an explosion."
    answer = client.post("/api/new", json={"liked": ["m0", "m3"], "disliked": ["m4"], "summary": summary}).json
    assert len(told.movies) == 90 and client.get("/api/catalogue").json["movies"]["title"][-1] != NEW
    told.add_movies({"title": [NEW], "text_raw": [summary]})
    expected = told.predict_for(NEW, ["m0", "m3"], ["m4"])
    assert answer["rating"] == pytest.approx(expected["rating"].item(), rel=1e-5)
    ranked = told.recommend_for(["m0", "m3"], ["m4"], k=91)
    assert (answer["place"], answer["of"]) == (ranked["rank"][ranked["item_id"] == NEW].item(), 88)
    genres = told.genres(NEW).iloc[0].sort_values(ascending=False)
    assert [one["genre"] for one in answer["genres"]] == genres.index.tolist() and genres.index[0] == "Action"
    similar = told.similar_movies(NEW, k=5)
    assert [one["item_id"] for one in answer["similar"]] == similar["item_id"].tolist()
    assert {one["item_id"] for one in answer["own"]} == {"m0", "m3", "m4"}
    assert answer["own"][-1]["item_id"] == "m4", "the disliked movie is of another kind"
    assert (answer["read"], answer["not_read"]) == (["text"], [])


@pytest.mark.parametrize("summary", [None, 3, "", "  ", "x" * 5_001, ["x"]])
def test_what_is_no_summary_is_refused(client, summary):
    response = client.post("/api/new", json={"summary": summary})
    assert response.status_code == 400 and response.json["error"].startswith("summary: must be a text of at most 5,000")


def test_without_an_encoder_no_summary_can_be_read(client):
    assert client.get("/api/catalogue").json["takes_summary"] is False
    response = client.post("/api/new", json={"summary": "A dog."})
    assert response.status_code == 400 and "no encoder of texts was kept" in response.json["error"]


def test_on_the_map_kinds_are_apart(client, recommender, planted_once):
    drawn = client.get("/api/map").json
    places = np.array([drawn["x"], drawn["y"]]).T
    assert places.shape == (len(recommender.movies), 2) and len(drawn["genre"]) == len(places)
    kind_of = dict(zip(planted_once.tokens, planted_once.kind))
    kinds = np.array([kind_of.get(item, -1) for item in recommender.movies["item_id"]])
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    same = kinds[:, None] == kinds
    assert distance[same].mean() < 0.7 * distance[~same].mean()
    assert client.get("/api/map").json == drawn


def test_while_the_map_is_drawn_nobody_else_waits_for_it(recommender):
    answers = Answers(recommender)
    with answers._map_lock:
        assert answers.map() == {}
    assert len(answers.map()["x"]) == len(recommender.movies)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"liked": ["m400"]}, "liked: holds values that are not in the catalogue"),
        ({"disliked": [4]}, "disliked: holds values"),
        ({"liked": [["m4"]]}, "liked: holds values"),
        ({"liked": "m4"}, "liked: must be a list"),
        ({"liked": {"m4": 1}}, "liked: must be a list"),
        ({"liked": None}, "liked: must be a list"),
        ({"liked": ["m4"] * (MAX_MOVIES + 1)}, "liked: must be a list of at most 1,000"),
        ({"liked": ["m4"], "disliked": ["m4"]}, "both liked and disliked"),
        ({"modalities": ["smell"]}, "modalities: holds values"),
        (["m4"], "a question must be a JSON object"),
        ("../../etc/passwd", "a question must be a JSON object"),
    ],
)
@pytest.mark.parametrize("path", ["/api/recommend", "/api/explain"])
def test_what_is_no_question_is_refused(client, path, given, message):
    if isinstance(given, dict):
        given = {"item": "m1", **given}
    response = client.post(path, json=given)
    assert response.status_code == 400 and message in response.json["error"]


@pytest.mark.parametrize("item", [None, 4, "m400", ["m4"]])
def test_a_reason_is_asked_of_one_known_movie(client, item):
    response = client.post("/api/explain", json={"item": item})
    assert response.status_code == 400 and response.json["error"].startswith("item: must be the id")


def test_deep_nesting_is_refused(client):
    for body in ("[" * 30_000, "[" * 30_000 + "]" * 30_000, '{"liked":' * 6_000 + "1" + "}" * 6_000):
        response = client.post("/api/recommend", data=body, content_type="application/json")
        assert response.status_code == 400 and response.json["error"]


@pytest.mark.parametrize("path", ["/api/recommend", "/api/explain"])
def test_an_unknown_key_is_refused_with_the_known_ones(client, path):
    response = client.post(path, json={"item": "m1", "likes": ["m4"]})
    assert response.status_code == 400
    keys = "liked, disliked, modalities, item, summary, trailer"
    assert response.json["error"] == f"'likes' is no key of a question; keys: {keys}"


def test_answers_are_not_stored(client):
    answers = [client.get(path) for path in ("/", "/api/catalogue", "/static/page.js", "/nowhere")]
    answers += [client.post("/api/recommend", json=given) for given in ({}, {"likes": []})]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * len(answers)


def test_nothing_but_json_of_some_size_is_read(client):
    body = pickle.dumps({"liked": []})
    assert client.post("/api/recommend", data=body).status_code == 415
    assert client.post("/api/recommend", data=body, content_type="application/json").status_code == 400
    assert client.post("/api/recommend", data={"file": (__file__, "x.pkl")}).status_code == 415
    large = b'{"liked": ["' + b"x" * MAX_BYTES + b'"]}'
    assert client.post("/api/recommend", data=large, content_type="application/json").status_code == 413
    assert client.get("/api/recommend").status_code == 405


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/%2Fetc/passwd", "/page.html"])
def test_no_other_file_is_served(client, path):
    assert client.get(path, follow_redirects=True).status_code == 404


def test_another_sites_name_is_refused(client):
    for path in ("/", "/api/catalogue", "/static/page.js"):
        for host in ("evil.example", "localhost.evil.example", "localhost@evil.example", "evil.example:7860", "<b>"):
            assert client.get(path, headers={"Host": host}).status_code == 400, (path, host)
        for host in ("localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860"):
            assert client.get(path, headers={"Host": host}).status_code == 200, (path, host)


def test_page_lets_nothing_in_from_elsewhere(client):
    for path in ("/", "/static/page.js", "/static/map.js", "/static/page.css", "/plotly.js", "/api/catalogue"):
        response = client.get(path)
        assert response.status_code == 200
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        if path != "/plotly.js":
            assert "http:" not in response.text and "https:" not in response.text


def test_a_built_in_model_is_refused(recommender_of):
    with pytest.raises(InputError, match="EASE does not support a person in no data set; use MMFS"):
        create_app(recommender_of("EASE", epochs=1))
