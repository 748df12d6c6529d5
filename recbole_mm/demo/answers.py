"""What the page asks of a `Recommender`, as values that JSON can hold."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

from recbole_mm.errors import InputError
from recbole_mm.inference.projection import two_dimensions
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.rows import recommendation_rows

RECOMMENDED, GENRES = 10, 5
MAX_MOVIES = 1_000
_KEPT = 8  # combinations of modalities whose encoded movies are kept


class Person(NamedTuple):
    """A visitor: the model in the modalities left on, ids of the movies liked and of those not."""

    recommender: Recommender
    liked: list[str]
    disliked: list[str]


class Answers:
    """Answers to visitors; the model does one at a time. Of a question, ids that are known are read and nothing else.

    Raises:
        InputError: the model is not of this package.
    """

    def __init__(self, recommender: Recommender) -> None:
        recommender.person((), ())  # refuses what knows no person outside the data set
        self._recommender = recommender
        self._using = lru_cache(_KEPT)(lambda modalities: recommender.using(modalities))
        self._model_lock, self._map_lock = Lock(), Lock()
        self._map: dict[str, Any] | None = None
        movies = recommender.movies
        self._movies = {
            "item_id": movies["item_id"].tolist(),
            "title": movies["title"].tolist(),
            "year": movies["year"].astype(object).where(movies["year"].notna(), None).tolist(),
        }
        self._known = {name: set(self._movies["item_id"]) for name in ("liked", "disliked")}
        self._known["modalities"] = set(recommender.modalities)
        self.recommend({})  # encodes the movies: not while the first visitor waits

    def catalogue(self) -> dict[str, Any]:
        """Names of model, data set and modalities, ends of the rating scale, and the movies, a list for each column."""
        return {
            **self._recommender.about,
            "modalities": self._recommender.modalities,
            "rating_scale": self._recommender.model.rating_scale.tolist(),
            "movies": self._movies,
        }

    def map(self) -> dict[str, Any]:
        """Positions x and y of all movies and the likeliest genre of each.

        The first call draws the map, which takes seconds to minutes; a call meanwhile gives nothing, so that only one
        of the server's threads is busy with it.
        """
        if not self._map_lock.acquire(blocking=False):
            return {}
        try:
            self._map = self._map or self._draw_map()
            return self._map
        finally:
            self._map_lock.release()

    def _draw_map(self) -> dict[str, Any]:
        with self._model_lock:
            vectors = self._recommender.movie_embeddings().to_numpy()
            genres = self._recommender.genres(self._movies["item_id"])
        x, y = two_dimensions(vectors).round(2).T.tolist()
        return {"x": x, "y": y, "genre": genres.idxmax(axis=1).tolist()}

    def recommend(self, given: Any) -> dict[str, Any]:
        """The best movies for a person with reasons, as `recommend --json` has them, and ratings of all movies (null:
        the model predicts none).
        """
        with self._model_lock:
            recommender, liked, disliked = self._read(given)
            found = recommender.recommend_for(liked, disliked, RECOMMENDED)
            reasons = recommender.explain_each(found["item_id"], liked=liked, disliked=disliked)
            ratings = None
            if recommender.rates:
                ratings = recommender.predict_for(self._movies["item_id"], liked, disliked)["rating"].round(2).tolist()
            return {"recommendations": recommendation_rows(recommender, found, reasons), "ratings": ratings}

    def explain(self, given: Any) -> dict[str, Any]:
        """An `Explanation` of the movie ``item``, and its likeliest genres."""
        with self._model_lock:
            recommender, liked, disliked = self._read(given)
            item = given.get("item")
            if not isinstance(item, str) or item not in self._known["liked"]:
                raise InputError("item: must be the id of a movie of the catalogue")
            reason = recommender.explain(item, liked=liked, disliked=disliked)
            genres = recommender.genres(item).iloc[0].nlargest(GENRES)
            return {
                "rating": reason.rating if recommender.rates else None,
                "score": reason.score,
                "popularity": reason.popularity,
                "movies": reason.movies[["title", "liked", "contribution"]].to_dict("records"),
                "movies_method": reason.movies_method,
                "modalities": reason.modalities[["modality", "present", "difference"]].to_dict("records"),
                "genres": [{"genre": genre, "probability": float(chance)} for genre, chance in genres.items()],
            }

    def _read(self, given: Any) -> Person:
        if not isinstance(given, dict):
            raise InputError("a question is one JSON object")
        lists = {"liked": [], "disliked": [], "modalities": self._recommender.modalities, **given}
        for name, known in self._known.items():
            values = lists[name]
            if not isinstance(values, list) or len(values) > MAX_MOVIES:
                raise InputError(f"{name}: must be a list of at most {MAX_MOVIES:,}")
            if not all(isinstance(value, str) and value in known for value in values):
                raise InputError(f"{name}: holds what is not in the catalogue")
        modalities = tuple(sorted(set(lists["modalities"])))
        recommender = self._recommender if set(modalities) == self._known["modalities"] else self._using(modalities)
        return Person(recommender, lists["liked"], lists["disliked"])
