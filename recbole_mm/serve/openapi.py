"""The OpenAPI document of the API, made for one model: its modalities, its rating scale and its limits."""

from __future__ import annotations

from typing import Any

from recbole_mm import __version__
from recbole_mm.features.encoders import CONTENTS, FieldEncoder
from recbole_mm.inference.recommender import Recommender

MAX_PEOPLE, MAX_MOVIES, MAX_K, MAX_NEW, MAX_TEXT = 1_000, 1_000, 1_000, 100, 500
MAX_ROWS = 100_000
"""Movies in one answer, over all people."""
MAX_PAGE, MAX_REASONED = 1_000, 10
MAX_CONTENT, MAX_NAMES, MAX_KINDS = 20_000, 1_000, 50
"""Of a movie's raw content: characters of a text, names, kinds of names."""

_NUMBER, _TEXT = {"type": "number"}, {"type": "string"}
_YEAR = {"type": "integer", "minimum": -9_999, "maximum": 9_999, "nullable": True}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


def _list(items: dict[str, Any], most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _answer(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _rows(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _answer(properties)}


def _contents(recommender: Recommender) -> dict[str, dict[str, Any]]:
    """Schemas of ``F_raw`` for each modality F with an encoder, and of ``summary``: what `add_movies` takes."""
    schemas = {f"{name}_raw": _content(encoder) for name, encoder in recommender.encoders.items()}
    of_summary = [name for name, one in recommender.encoders.items() if CONTENTS[one.content] == CONTENTS["text"]]
    if of_summary:
        what = f"a text, for all modalities that are made of one and are not given otherwise: {', '.join(of_summary)}"
        schemas["summary"] = {"type": "string", "maxLength": MAX_CONTENT, "nullable": True, "description": what}
    return schemas


def _content(encoder: FieldEncoder) -> dict[str, Any]:
    """The schema of a movie's raw content for one encoder."""
    text, name = ({"type": "string", "maxLength": most} for most in (MAX_CONTENT, MAX_TEXT))
    names = _list(name, MAX_NAMES)
    by_kind = {
        "type": "object",
        "additionalProperties": {"oneOf": [name, names]},
        "maxProperties": MAX_KINDS,
    }
    schemas = {"text": text, "words": text, "names": names, "keywords": names, "metadata": by_kind}
    if encoder.content == "numbers":
        size = encoder.components.size
        schemas["numbers"] = _list({"type": "number"}, size, size)
    what = f"raw content, of which the vector is made: {encoder.describe()}"
    return {**schemas[encoder.content], "nullable": True, "description": what}


def question_schemas(recommender: Recommender) -> dict[str, dict[str, Any]]:
    """For each endpoint with a body, the schema that its body is checked by."""
    name = {"type": "string", "maxLength": MAX_TEXT}
    movie = {**name, "description": "id of a movie, or its title with or without the year"}
    movies = _list(movie, MAX_MOVIES)
    low, high = recommender.rating_scale or (None, None)
    rating = {"type": "number", **({} if low is None else {"minimum": low, "maximum": high})}
    ratings = {
        "type": "object",
        "description": "movie -> rating; a rating of at least the threshold of the training is a like",
        "additionalProperties": rating,
        "maxProperties": MAX_MOVIES,
    }
    person = _object({"liked": movies, "disliked": movies, "ratings": ratings})
    people = {
        **_list(person, MAX_PEOPLE, 1),
        "description": "people in no data set; without any movie, what is popular",
    }
    users = {
        **_list(name, MAX_PEOPLE, 1),
        "description": "ids of users of the data set, in place of people; for a model that was saved with histories",
    }
    vectors = _object(
        {
            field: {**_list({"type": "number"}, dimension, dimension), "nullable": True}
            for field, dimension in recommender.dimensions.items()
        }
    )
    vectors["description"] = "vectors, as in the files of the data set; a modality left out is missing"
    given = {"title": name, "year": _YEAR, "item_id": name, "vectors": vectors, **_contents(recommender)}
    new_movie = _object(given, ("title",))
    k = {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": 10}
    reasons = {
        "type": "boolean",
        "default": False,
        "description": f"genres and reasons of each movie; for at most {MAX_REASONED} people",
    }
    return {
        "/recommend": _object({"people": people, "users": users, "k": k, "among": movies, "reasons": reasons}),
        "/predict": _object({"people": people, "users": users, "movies": _list(movie, MAX_MOVIES, 1)}, ("movies",)),
        "/genres": _object({"movies": movies, "new_movies": _list(new_movie, MAX_NEW)}),
        "/movies": _object({"movies": _list(new_movie, MAX_NEW, 1)}, ("movies",)),
    }


def document(recommender: Recommender) -> dict[str, Any]:
    """The document, for ``/openapi.json``."""
    about, questions = recommender.about, question_schemas(recommender)
    movie = {"item_id": _TEXT, "title": _TEXT, "year": _YEAR}
    scored = {**movie, "score": _NUMBER, "rating": {"type": "number", "nullable": True}}
    genres = {"type": "array", "items": _answer({"genre": _TEXT, "probability": _NUMBER})}
    error = {"description": "wrong input", "content": _json(_answer({"error": _TEXT}))}

    def post(path: str, summary: str, answer: dict[str, Any], status: int = 200) -> dict[str, Any]:
        return {
            "post": {
                "summary": summary,
                "operationId": f"post{path.replace('/', '_')}",
                "requestBody": {"required": True, "content": _json(questions[path])},
                "responses": {str(status): {"description": "answer", "content": _json(answer)}, "400": error},
            }
        }

    def get(path: str, summary: str, answer: dict[str, Any], parameters: list[dict] | None = None) -> dict[str, Any]:
        return {
            "get": {
                "summary": summary,
                "operationId": f"get{path.replace('/', '_')}",
                "parameters": parameters or [],
                "responses": {"200": {"description": "answer", "content": _json(answer)}, "400": error},
            }
        }

    def of_people(rows: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "array", "items": _answer(rows)}}

    reasoned = {**scored, "rank": {"type": "integer"}, "genres": genres}
    reasoned |= {
        "because": _rows({"item_id": _TEXT, "title": _TEXT, "contribution": _NUMBER}),
        "because_method": {"type": "string", "nullable": True},
        "modality": {"type": "string", "nullable": True},
    }
    recommended = of_people({**scored, "rank": {"type": "integer"}})
    recommended["items"]["items"]["properties"] = reasoned
    recommended["description"] = "for each person, the movies, best first; the last four keys only with reasons"
    page = {name: {"type": "integer", "minimum": 0} for name in ("offset", "limit")}
    page["limit"]["maximum"] = MAX_PAGE
    parameters = [{"name": name, "in": "query", "schema": schema} for name, schema in page.items()]
    added = _answer({"item_ids": {"type": "array", "items": _TEXT}})
    parameters.append({"name": "title", "in": "query", "description": "text in the title", "schema": _TEXT})
    health = dict.fromkeys(("status", "model", "dataset", "version"), _TEXT)
    health |= {name: {"type": "integer"} for name in ("movies", "users")}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{about['model']} on {about['dataset']}",
            "version": __version__,
            "description": "Recommendations, ratings and genres of one trained model. Nothing about people is stored.",
        },
        "paths": {
            "/health": get("/health", "the model, once it answers", _answer(health)),
            "/recommend": post("/recommend", "the best movies for people", _answer({"recommendations": recommended})),
            "/predict": post("/predict", "predicted ratings of movies", _answer({"predictions": of_people(scored)})),
            "/genres": post(
                "/genres",
                "probabilities of genres, of movies of the catalogue and of movies that are not in it",
                _answer({"genres": _rows({**movie, "genres": genres})}),
            ),
            "/movies": {
                **get("/movies", "the catalogue", _answer({"total": _NUMBER, "movies": _rows(movie)}), parameters),
                **post("/movies", "add movies, where the server allows it", added, 201),
            },
        },
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
