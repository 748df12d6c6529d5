"""The API's web application: `Recommender` in JSON. It stores nothing about people."""

from __future__ import annotations

import copy
from collections.abc import Collection
from threading import Lock
from typing import Any

import pandas as pd
from flask import Flask, abort, request

from recbole_mm import __version__
from recbole_mm.errors import InputError
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.rows import plain_rows, recommendation_rows
from recbole_mm.serve import openapi
from recbole_mm.serve.http import protect, question
from recbole_mm.serve.schema import check

MAX_BYTES = 1 << 20
MAX_ADDED = 10_000


def create_api(
    recommender: Recommender, trusted_hosts: Collection[str] | None = None, adds_movies: bool = False
) -> Flask:
    """The application (WSGI); its endpoints are in `recbole_mm.serve.openapi`.

    Args:
        trusted_hosts: see `recbole_mm.serve.http.protect`.
        adds_movies: whether ``POST /movies`` adds movies to the catalogue, for everybody, until the server ends.

    Raises:
        InputError: the model is not of this package.
    """
    app, answers = Flask(__name__, static_folder=None), ApiAnswers(recommender, adds_movies)
    protect(app, MAX_BYTES, trusted_hosts)
    app.add_url_rule("/health", "health", answers.health)
    app.add_url_rule("/openapi.json", "openapi", lambda: openapi.document(recommender))
    app.add_url_rule("/movies", "movies", lambda: answers.movies(request.args.to_dict()))

    @app.post("/movies")
    def add() -> tuple[dict, int]:
        if not adds_movies:
            abort(403, "this server adds no movies; start it with --add_movies")
        return answers.add(question()), 201

    app.post("/recommend", endpoint="recommend")(lambda: answers.recommend(question()))
    app.post("/predict", endpoint="predict")(lambda: answers.predict(question()))
    app.post("/genres", endpoint="genres")(lambda: answers.genres(question()))
    return app


class ApiAnswers:
    """Answers to checked questions, one at a time.

    Raises:
        InputError: the model is not of this package.
    """

    def __init__(self, recommender: Recommender, adds_movies: bool = False) -> None:
        recommender.check_person()  # raises for a model that has no profile for a person outside the dataset
        self._recommender, self._lock, self._added = recommender, Lock(), 0
        self._schemas = openapi.question_schemas(recommender)
        if recommender.ranks:
            recommender.recommend_for()  # encodes the movies now, so that nobody waits for it

    def health(self) -> dict[str, Any]:
        """The model and its sizes."""
        users, movies = len(self._recommender.users), len(self._recommender.movies)
        return {"status": "ok", **self._recommender.about, "version": __version__, "movies": movies, "users": users}

    def movies(self, given: dict[str, str]) -> dict[str, Any]:
        """A page of the catalogue."""
        page = {"offset": 0, "limit": 100}
        if unknown := set(given) - {*page, "title"}:
            raise InputError(f"'{min(unknown)[:40]}' is no parameter; parameters: offset, limit, title")
        for name, most in (("offset", 1 << 31), ("limit", openapi.MAX_PAGE)):
            text = given.get(name, str(page[name]))
            if not (text.isascii() and text.isdigit()) or int(text[:12]) > most:
                raise InputError(f"{name}: must be a whole number from 0 to {most:,}")
            page[name] = int(text)
        found = self._recommender.movies
        if "title" in given:
            found = found[found["title"].str.contains(given["title"], case=False, regex=False)]
        rows = plain_rows(found.iloc[page["offset"] : page["offset"] + page["limit"]])
        return {"total": len(found), "movies": rows}

    def add(self, given: Any) -> dict[str, Any]:
        """Add movies to the catalogue."""
        check(given, self._schemas["/movies"], "question")
        with self._lock:
            if self._added + len(given["movies"]) > MAX_ADDED:
                raise InputError(f"{self._added:,} movies were added, at most {MAX_ADDED:,} can be; restart the server")
            ids = self._recommender.add_movies(_table(given["movies"], self._recommender))
            self._added += len(ids)
        return {"item_ids": ids}

    def recommend(self, given: Any) -> dict[str, Any]:
        """The best movies of each person."""
        check(given, self._schemas["/recommend"], "question")
        k, among = given.get("k", 10), given.get("among")
        number = self._number_of_people(given)
        _check_rows(number, k)
        if given.get("reasons") and number > openapi.MAX_REASONED:
            raise InputError(f"reasons: for at most {openapi.MAX_REASONED} people, not {number:,}")
        with self._lock:
            if "users" in given:
                column, names = "user_id", given["users"]
                people: list[dict] = [{"user": user} for user in names]
                found = self._recommender.recommend(list(dict.fromkeys(names)), k, among=among)
            else:
                people = given.get("people", [{}])
                column, names = "person", list(range(number))
                found = self._recommender.recommend_for_each(people, k, among)
            if not given.get("reasons"):
                return {"recommendations": _by_person(found, column, names)}
            tables = [found[found[column] == name].drop(columns=column) for name in names]
            return {"recommendations": [self._reasoned(table, person) for table, person in zip(tables, people)]}

    def predict(self, given: Any) -> dict[str, Any]:
        """Ratings of the same movies by each person."""
        check(given, self._schemas["/predict"], "question")
        movies, number = given["movies"], self._number_of_people(given)
        _check_rows(number, len(movies))
        with self._lock:
            if "users" in given:
                users = [user for user in dict.fromkeys(given["users"]) for _ in movies]
                found = self._recommender.predict(users, movies * (len(users) // len(movies)))
                return {"predictions": _by_person(found, "user_id", given["users"])}
            found = self._recommender.predict_for_each(given.get("people", [{}]), movies)
            return {"predictions": _by_person(found, "person", list(range(number)))}

    def genres(self, given: Any) -> dict[str, Any]:
        """Genres of movies, of the catalogue or not; the latter are forgotten at once."""
        check(given, self._schemas["/genres"], "question")
        with self._lock:
            recommender, ids = self._recommender, []
            if given.get("new_movies"):
                recommender = copy.copy(recommender)
                ids = recommender.add_movies(_table(given["new_movies"], recommender))
            ids = [*recommender.movie_ids(given.get("movies", [])), *ids]
            if not ids:
                raise InputError("question: needs movies or new_movies")
            probabilities = recommender.genres(ids).to_numpy().tolist()
            rows = plain_rows(recommender.movies.set_index("item_id", drop=False).loc[ids])
        for row, of_movie in zip(rows, probabilities):
            order = sorted(zip(recommender.genre_names, of_movie), key=lambda pair: -pair[1])
            row["genres"] = [{"genre": genre, "probability": probability} for genre, probability in order]
        return {"genres": rows}

    def _reasoned(self, found: pd.DataFrame, person: dict) -> list[dict[str, Any]]:
        reasons = self._recommender.explain_each(found["item_id"], **person)
        return recommendation_rows(self._recommender, found, list(reasons))

    def _number_of_people(self, given: dict) -> int:
        if "people" in given and "users" in given:
            raise InputError("question: people and users; give one or the other")
        return len(given.get("users", given.get("people", [{}])))


def _check_rows(people: int, movies: int) -> None:
    if people * movies > openapi.MAX_ROWS:
        raise InputError(f"question: {people:,} people x {movies:,} movies, but at most {openapi.MAX_ROWS:,} in all")


def _by_person(found: pd.DataFrame, column: str, names: list) -> list[list[dict[str, Any]]]:
    """The rows of each person, without the column that names the person."""
    rows: dict[Any, list] = {}
    for name, row in zip(found[column].tolist(), plain_rows(found.drop(columns=column))):
        rows.setdefault(name, []).append(row)
    return [rows.get(name, []) for name in names]


def _table(movies: list[dict], recommender: Recommender) -> dict[str, list]:
    """The columns of `Recommender.add_movies`."""
    columns: dict[str, list] = {
        "title": [movie["title"] for movie in movies],
        "item_id": [movie.get("item_id", movie["title"]) for movie in movies],
        "year": [movie.get("year") for movie in movies],
    }
    for name in recommender.dimensions:
        columns[name] = [movie.get("vectors", {}).get(name) for movie in movies]
    for name in ("summary", *(f"{modality}_raw" for modality in recommender.encoders)):
        cells = [movie.get(name) for movie in movies]
        if any(cell is not None for cell in cells):
            columns[name] = cells
    return columns
