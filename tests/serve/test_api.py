from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

pytest.importorskip("flask", reason="the extra 'serve' is not installed")

from trailers import clip

from recbole_mm import load, run
from recbole_mm.datasets.vector_files import write_field
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import fit_names, fit_numbers, fit_words
from recbole_mm.inference.rows import plain_rows, recommendation_rows
from recbole_mm.serve import openapi
from recbole_mm.serve.api import MAX_BYTES, create_api
from recbole_mm.serve.schema import check

PEOPLE = [
    {"liked": ["m4", "m7"], "disliked": ["m5"]},
    {"ratings": {"m10": 5, "Movie number 11": 1.5}},
    {},
    {"liked": ["Movie number 9 (1992)"]},
]
USERS = ["u3", "u1", "u3"]


@pytest.fixture(params=["checkpoint", "file"])
def served(request, recommender, tmp_path):
    """A model as it is, and from a file with histories."""
    if request.param == "checkpoint":
        return recommender
    recommender.save(tmp_path / "model.safetensors", histories=True)
    return load(tmp_path / "model.safetensors")


@pytest.fixture
def client(served):
    return create_api(served, {"localhost"}, adds_movies=True).test_client()


@pytest.fixture
def ask(client):
    def question(path: str, given: dict | None = None, status: int = 200) -> dict:
        response = client.get(path) if given is None else client.post(path, json=given)
        assert response.status_code == status, response.text
        return response.json

    return question


def close(found, expected) -> None:
    """Equal, numbers nearly: the same sums of another number of rows are rounded otherwise."""
    assert type(found) is type(expected) or isinstance(found, (int, float))
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name in expected:
            close(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            close(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    else:
        assert found == expected


# ---------------------------------------------------------------------- every answer is the Python API's


def test_recommendations_of_people(ask, recommender):
    answer = ask("/recommend", {"people": PEOPLE, "k": 5})
    close(answer["recommendations"], [plain_rows(recommender.recommend_for(**person, k=5)) for person in PEOPLE])
    among = ["m1", "m3", "Movie number 8"]
    answer = ask("/recommend", {"people": PEOPLE[:2], "among": among})
    close(answer["recommendations"], [plain_rows(recommender.recommend_for(**one, among=among)) for one in PEOPLE[:2]])
    close(ask("/recommend", {})["recommendations"], [plain_rows(recommender.recommend_for())])


def test_recommendations_of_users(ask, recommender):
    answer = ask("/recommend", {"users": USERS, "k": 4})
    tables = [recommender.recommend(user, k=4).drop(columns="user_id") for user in USERS]
    close(answer["recommendations"], [plain_rows(table) for table in tables])


def test_reasons(ask, recommender):
    (first, second) = ask("/recommend", {"people": PEOPLE[:2], "k": 3, "reasons": True})["recommendations"]
    for found, person in ((first, PEOPLE[0]), (second, PEOPLE[1])):
        table = recommender.recommend_for(**person, k=3)
        close(found, recommendation_rows(recommender, table, recommender.explain_each(table["item_id"], **person)))
    assert first[0]["because"]
    (found,) = ask("/recommend", {"users": ["u3"], "k": 2, "reasons": True})["recommendations"]
    reason = recommender.explain(found[0]["item_id"], user="u3")
    close(found[0]["because"], plain_rows(reason.carriers(2)[["item_id", "title", "contribution"]]))


def test_ratings(ask, recommender):
    movies = ["m1", "Movie number 8", "m5"]
    answer = ask("/predict", {"people": PEOPLE, "movies": movies})
    close(answer["predictions"], [plain_rows(recommender.predict_for(movies, **person)) for person in PEOPLE])
    answer = ask("/predict", {"users": USERS, "movies": movies})
    tables = [recommender.predict(user, movies).drop(columns="user_id") for user in USERS]
    close(answer["predictions"], [plain_rows(table) for table in tables])
    close(ask("/predict", {"movies": movies})["predictions"], [plain_rows(recommender.predict_for(movies))])


def test_genres_of_movies_and_of_movies_that_are_not_there(ask, recommender):
    new = {"title": "New", "vectors": {"text": [1.0, 0.0, 0.1], "audio": None}}
    answer = ask("/genres", {"movies": ["m4", "Movie number 8"], "new_movies": [new]})
    assert ask("/movies")["total"] == 90, "a movie that was asked about is forgotten"
    recommender.add_movies({"title": ["New"], "text": [[1.0, 0.0, 0.1]]})
    expected = recommender.genres(["m4", "m8", "New"])
    assert [row["title"] for row in answer["genres"]] == ["Movie number 4", "Movie number 8", "New"]
    for row, (_, probabilities) in zip(answer["genres"], expected.iterrows()):
        ordered = probabilities.sort_values(ascending=False)
        assert [one["genre"] for one in row["genres"]] == ordered.index.tolist()
        assert [one["probability"] for one in row["genres"]] == pytest.approx(ordered.tolist(), rel=1e-5)


def test_movies_are_listed_and_added(ask, recommender):
    assert ask("/movies?limit=1000") == {"total": 90, "movies": plain_rows(recommender.movies)}
    assert ask("/movies?offset=88&limit=5")["movies"] == plain_rows(recommender.movies.iloc[88:])
    found = ask("/movies?title=NUMBER+12")
    assert (found["total"], found["movies"][0]["item_id"]) == (1, "m12")
    new = [{"title": "New", "item_id": "n", "year": 2026, "vectors": {"text": [1.0, 0.0, 0.0]}}, {"title": "Other"}]
    assert ask("/movies", {"movies": new}, 201) == {"item_ids": ["n", "Other"]}
    recommender.add_movies(
        {"title": ["New", "Other"], "item_id": ["n", "Other"], "year": [2026, None], "text": [[1.0, 0, 0], None]}
    ) if len(recommender.movies) == 90 else None
    assert ask("/movies?offset=90")["movies"] == plain_rows(recommender.movies.iloc[90:])
    answer = ask("/recommend", {"people": [{"liked": ["New"]}], "k": 92})
    close(answer["recommendations"], [plain_rows(recommender.recommend_for("New", k=92))])
    assert ask("/health")["movies"] == 92


def test_health(ask, recommender):
    health = ask("/health")
    assert health.pop("version")
    assert health == {"status": "ok", "model": "MMASP", "dataset": "planted", "movies": 90, "users": 60}


# ---------------------------------------------------------------------- raw content, where encoders were kept

KINDS = ("robots explosion chase", "joke wedding laughter", "tears letter hospital")
PEOPLE_OF_KINDS = ("Ann Lee", "Bo Berg", "Cy Diaz")


@pytest.fixture
def taught(planted):
    """A model with an encoder of words, one of metadata and one of numbers."""
    random = np.random.default_rng(0)
    texts = [f"{KINDS[kind]} {' '.join(random.choice([f'filler{i}' for i in range(20)], 6))}" for kind in planted.kind]
    metadata = [{"director": PEOPLE_OF_KINDS[kind], "cast": [f"actor {i % 7}"]} for i, kind in enumerate(planted.kind)]
    made = {
        "words": fit_words(texts, 10),
        "meta": fit_names(metadata, 6, "metadata"),
        "audio": fit_numbers(np.hstack([planted.text, planted.text**2]), 6),
    }
    for name, (encoder, values) in made.items():
        write_field(planted.folder, "planted", name, planted.tokens, values, encoder)
    options = planted.options(modalities=list(made), epochs=8, learning_rate=0.03)
    return load(run("MMASP", "planted", config_dict=options).checkpoint)


RAW = [
    {"title": "A", "summary": "Robots, a chase and an explosion."},
    {"title": "B", "words_raw": "A joke at the wedding.", "meta_raw": {"director": "Bo Berg", "cast": ["actor 1"]}},
    {"title": "C", "year": 2026, "audio_raw": [0.1, 0.2, 0.9, 0.1, 0.1, 0.8], "summary": None},
    {"title": "D", "meta_raw": {"director": ["Cy Diaz"]}, "vectors": {"audio": None}},
]


def test_raw_content_gives_what_python_gives(taught, tmp_path):
    taught.save(tmp_path / "model.safetensors")
    client = create_api(load(tmp_path / "model.safetensors"), adds_movies=True).test_client()
    asked = client.post("/genres", json={"new_movies": RAW})
    assert asked.status_code == 200 and client.get("/health").json["movies"] == 90, asked.text
    response = client.post("/movies", json={"movies": RAW})
    assert (response.status_code, response.json) == (201, {"item_ids": ["A", "B", "C", "D"]}), response.text
    columns = {name: [movie.get(name) for movie in RAW] for movie in RAW for name in movie if name != "vectors"}
    taught.add_movies(columns)
    close(client.get("/movies?offset=90").json["movies"], plain_rows(taught.movies.iloc[90:]))
    answer = client.post("/predict", json={"people": PEOPLE[:1], "movies": ["A", "B", "C", "D"]}).json
    close(answer["predictions"], [plain_rows(taught.predict_for(["A", "B", "C", "D"], **PEOPLE[0]))])
    genres = client.post("/genres", json={"movies": ["A", "B", "C", "D"]}).json["genres"]
    assert genres == asked.json["genres"]
    for row, (_, expected) in zip(genres, taught.genres(["A", "B", "C", "D"]).iterrows()):
        assert row["genres"][0]["genre"] == expected.idxmax()
        assert row["genres"][0]["probability"] == pytest.approx(expected.max(), rel=1e-5)
    assert [row["genres"][0]["genre"] for row in genres[:2]] == ["Action", "Comedy"]


def test_the_document_has_the_raw_content_of_the_model(taught, recommender):
    def movie_of(model) -> dict:
        body = openapi.document(model)["paths"]["/movies"]["post"]["requestBody"]["content"]["application/json"]
        return body["schema"]["properties"]["movies"]["items"]["properties"]

    found = movie_of(taught)
    assert set(found) == {"title", "year", "item_id", "vectors", "summary", "words_raw", "meta_raw", "audio_raw"}
    assert found["audio_raw"]["minItems"] == found["audio_raw"]["maxItems"] == 6
    assert found["summary"]["description"].endswith("words")
    assert set(movie_of(recommender)) == {"title", "year", "item_id", "vectors"}, "no encoder was kept"
    for movie in RAW:
        check({"movies": [movie]}, openapi.question_schemas(taught)["/movies"], "question")


@pytest.mark.parametrize(
    "given, message",
    [
        ({"summary": 3}, r"question.movies\[0\].summary: must be a string"),
        ({"summary": "x" * 20_001}, "summary: has 20,001 characters, but at most 20,000"),
        ({"words_raw": " "}, "'words_raw' of 'x' needs a text"),
        ({"word_raw": "a"}, "'word_raw' is no key; keys are .*Did you mean 'words_raw'"),
        ({"text_raw": "a"}, "'text_raw' is no key"),
        ({"trailer": "/etc/passwd"}, "'trailer' is no key"),
        ({"meta_raw": {"director": 3}}, r"meta_raw\['director'\]: must be of type string or array"),
        ({"meta_raw": {"director": [3]}}, r"meta_raw\['director'\]\[0\]: must be a string"),
        ({"meta_raw": "Bo Berg"}, "meta_raw: must be an object"),
        ({"meta_raw": {str(i): "a" for i in range(51)}}, "meta_raw: has 51 entries, but at most 50"),
        ({"audio_raw": [1, 2]}, "audio_raw: has 2 entries, but must have from 6 to 6"),
        ({"audio_raw": ["1"] * 6}, r"audio_raw\[0\]: must be a number"),
        ({"audio_raw": [True] * 6}, r"audio_raw\[0\]: must be a number"),
        ({"audio_raw": [10**400] * 6}, r"audio_raw\[0\]: is 1000.*\.\.\., but must be a finite number"),
        ({"vectors": {"audio": [10**400] * 3}}, r"audio'?\]?\[0\]: is 1000.*, but must be a finite number"),
        ({"year": 10**400}, r"year: is 1000.*, but must be from -9999 to 9999"),
        ({"audio_raw": [0] * 6, "vectors": {"audio": [0.0] * 3}}, "audio"),
    ],
)
def test_raw_content_that_is_none_is_refused(taught, given, message):
    client = create_api(taught, adds_movies=True).test_client()
    for path, key in (("/movies", "movies"), ("/genres", "new_movies")):
        response = client.post(path, json={key: [{"title": "x", **given}]})
        assert response.status_code == 400, response.text
        assert re.search(message.replace("question.movies", f"question.{key}"), response.json["error"])
    assert client.get("/health").json["movies"] == 90


def test_no_file_is_opened_that_a_request_names(trained, tmp_path, monkeypatch):
    """The model takes trailers in Python, but a server opens no path of a stranger."""
    path, model = clip(tmp_path / "new.mp4", 0, 3), load(trained)
    assert "trailer" in model.raw_content["video"]
    client = create_api(model, adds_movies=True).test_client()
    monkeypatch.setattr("recbole_mm.inference.new_movies.vectors_of_trailer", lambda *_: pytest.fail("a file was read"))
    for url, key in (("/movies", "movies"), ("/genres", "new_movies")):
        for given in (str(path), [str(path)], "/etc/hostname", None):
            response = client.post(url, json={key: [{"title": "x", "trailer": given}]})
            assert response.status_code == 400 and "'trailer' is no key" in response.json["error"]
        response = client.post(url, json={key: [{"title": "x", "video_raw": str(path)}]})
        assert response.status_code == 400 and "video_raw: must be an array" in response.json["error"]
    assert "trailer" not in client.get("/openapi.json").text
    model.add_movies({"title": "x", "trailer": None})
    with pytest.raises(pytest.fail.Exception, match="a file was read"):
        model.add_movies({"title": "y", "trailer": path})


# ---------------------------------------------------------------------- the document


def test_the_document_describes_the_server(client, ask):
    document = ask("/openapi.json")
    assert document["openapi"] == "3.0.3"
    rules = {(rule.rule, method.lower()) for rule in client.application.url_map.iter_rules() for method in rule.methods}
    described = {(path, method) for path, ways in document["paths"].items() for method in ways}
    served = {rule for rule in rules if rule[1] in ("get", "post")} - {("/openapi.json", "get")}
    assert served == described


def test_answers_have_the_form_that_the_document_gives_them(ask):
    document = ask("/openapi.json")
    new = {"title": "New", "vectors": {"text": [1.0, 0.0, 0.0]}}
    for path, given, status in (
        ("/recommend", {"people": PEOPLE, "k": 2}, 200),
        ("/recommend", {"people": PEOPLE[:1], "k": 2, "reasons": True}, 200),
        ("/predict", {"people": PEOPLE, "movies": ["m1"]}, 200),
        ("/genres", {"movies": ["m1"]}, 200),
        ("/movies", {"movies": [new]}, 201),
        ("/movies", None, 200),
        ("/health", None, 200),
    ):
        answer = ask(path, given, status)
        of_path = document["paths"][path]["get" if given is None else "post"]
        has_form(answer, of_path["responses"][str(status)]["content"]["application/json"]["schema"])
        if given is not None:
            check(given, of_path["requestBody"]["content"]["application/json"]["schema"], "question")


def has_form(value, schema: dict) -> None:
    """`check` is for questions, which have limits; an answer has none but may have no key that is not described."""
    if value is None:
        assert schema.get("nullable"), schema
    elif schema["type"] == "object":
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for name, item in value.items():
            has_form(item, schema["properties"][name])
    elif schema["type"] == "array":
        for item in value:
            has_form(item, schema["items"])
    else:
        kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
        assert isinstance(value, kinds[schema["type"]]), (value, schema)


# ---------------------------------------------------------------------- what is refused

LONG = ["m1"] * (openapi.MAX_MOVIES + 1)


@pytest.mark.parametrize(
    "path, given, message",
    [
        ("/recommend", [], "question: must be an object"),
        ("/recommend", {"peopel": []}, "question: 'peopel' is no key; keys are people, users.*Did you mean 'people'"),
        ("/recommend", {"people": {}}, "question.people: must be an array"),
        ("/recommend", {"people": []}, "question.people: has 0 entries, but must have from 1 to 1,000"),
        ("/recommend", {"people": [{}] * 1001}, "question.people: has 1,001 entries"),
        ("/recommend", {"people": [{}] * 1000, "k": 1000}, "1,000 people x 1,000 movies, but at most 100,000"),
        ("/recommend", {"people": [{"likes": []}]}, r"question.people\[0\]: 'likes' is no key"),
        ("/recommend", {"people": [{"liked": LONG}]}, r"question.people\[0\].liked: has 1,001 entries"),
        ("/recommend", {"people": [{"liked": [4]}]}, r"question.people\[0\].liked\[0\]: must be a string"),
        ("/recommend", {"people": [{"liked": ["x" * 501]}]}, "has 501 characters"),
        ("/recommend", {"people": [{}, {"liked": ["m400"]}]}, "person 1: movie 'm400': neither an id nor a title"),
        ("/recommend", {"people": [{"liked": ["m4"], "disliked": ["m4"]}]}, "person 0: .*both liked and disliked"),
        ("/recommend", {"people": [{"ratings": {"m4": 6}}]}, "ratings.'m4'.: is 6, but must be from 1 to 5"),
        ("/recommend", {"people": [{"ratings": {"m4": True}}]}, "must be a number"),
        ("/recommend", {"k": 0}, "question.k: is 0, but must be from 1 to 1000"),
        ("/recommend", {"k": 2.5}, "question.k: must be an integer"),
        ("/recommend", {"k": True}, "question.k: must be an integer"),
        ("/recommend", {"users": ["u1"], "people": [{}]}, "people and users; give one or the other"),
        ("/recommend", {"users": ["u400"]}, "user 'u400': the data set has no user with this id"),
        ("/recommend", {"people": [{}] * 11, "reasons": True}, "reasons: for at most 10 people, not 11"),
        ("/predict", {}, "question: needs 'movies'"),
        ("/predict", {"movies": []}, "question.movies: has 0 entries"),
        ("/predict", {"movies": ["m1"] * 1000, "people": [{}] * 101}, "101 people x 1,000 movies"),
        ("/genres", {}, "question: needs movies or new_movies"),
        (
            "/genres",
            {"new_movies": [{"title": "x", "vectors": {"smell": []}}]},
            "'smell' is no key; keys are text",
        ),
        ("/genres", {"new_movies": [{"title": "x", "vectors": {"text": [1]}}]}, "text: has 1 entries, but must have"),
        ("/movies", {"movies": [{"year": 3}]}, r"question.movies\[0\]: needs 'title'"),
        ("/movies", {"movies": [{"title": "Movie number 7"}]}, "already belongs to movie m7"),
        ("/movies", {"movies": [{"title": " "}]}, "is not text"),
        ("/movies", {"movies": [{"title": "x"}] * 101}, "question.movies: has 101 entries"),
    ],
)
def test_what_is_no_question_is_refused(ask, path, given, message):
    assert re.search(message, ask(path, given, 400)["error"])
    assert ask("/health")["movies"] == 90


def test_a_page_that_is_none_is_refused(client):
    for query in ("limit=-1", "limit=1001", "offset=x", "of=1", "offset=" + "9" * 5000, "limit=²"):
        assert client.get(f"/movies?{query}").status_code == 400, query


def test_numbers_that_json_has_not_are_refused(client):
    for text in ("NaN", "Infinity", "1e999", "1" + "0" * 400):
        body = f'{{"people": [{{"ratings": {{"m4": {text}}}}}]}}'
        response = client.post("/recommend", data=body, content_type="application/json")
        assert response.status_code == 400 and "must be from 1 to 5" in response.json["error"]


def test_nothing_but_json_of_some_size_is_read(client):
    assert client.post("/recommend", data=pickle.dumps({})).status_code == 415
    large = b'{"among": ["' + b"x" * MAX_BYTES + b'"]}'
    assert client.post("/recommend", data=large, content_type="application/json").status_code == 413
    deep = "[" * 100_000
    assert client.post("/recommend", data=deep, content_type="application/json").status_code == 400
    assert client.get("/recommend").status_code == 405
    assert client.get("/static/x").status_code == 404
    assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/health").headers["Cache-Control"] == "no-store"


def test_movies_are_added_only_where_that_was_asked_for(recommender):
    client = create_api(recommender).test_client()
    response = client.post("/movies", json={"movies": [{"title": "New"}]})
    assert response.status_code == 403 and "--add_movies" in response.json["error"]


def test_the_number_of_added_movies_has_a_limit(recommender, monkeypatch):
    monkeypatch.setattr("recbole_mm.serve.api.MAX_ADDED", 1)
    client = create_api(recommender, adds_movies=True).test_client()
    assert client.post("/movies", json={"movies": [{"title": "A"}, {"title": "B"}]}).status_code == 400
    assert client.post("/movies", json={"movies": [{"title": "A"}]}).status_code == 201
    assert client.post("/movies", json={"movies": [{"title": "B"}]}).status_code == 400


def test_models_of_one_task_answer_what_they_can(recommender_of):
    client = create_api(recommender_of("MMFS", tasks=("genre",), epochs=1)).test_client()
    assert client.post("/genres", json={"movies": ["m1"]}).status_code == 200
    for path, given in (("/recommend", {}), ("/predict", {"movies": ["m1"]})):
        response = client.post(path, json=given)
        assert response.status_code == 400 and "MMFS" in response.json["error"]
    ranker = create_api(recommender_of("MMFS", tasks=("ranking",), epochs=1)).test_client()
    assert ranker.post("/recommend", json={}).status_code == 200
    assert "without the task 'genre'" in ranker.post("/genres", json={"movies": ["m1"]}).json["error"]
    with pytest.raises(InputError, match="EASE does not support a person in no data set"):
        create_api(recommender_of("EASE", epochs=1))


def test_many_people_get_what_each_gets_alone(recommender):
    random = np.random.default_rng(0)
    tokens = recommender.movies["item_id"].to_numpy()
    people = [{"liked": random.choice(tokens, 5, replace=False).tolist()} for _ in range(40)]
    together = recommender.recommend_for_each(people, k=6)
    alone = [plain_rows(recommender.recommend_for(**person, k=6)) for person in people]
    found = [plain_rows(group.drop(columns="person")) for _, group in together.groupby("person", sort=False)]
    close(found, alone)
