"""Answers of a `Recommender` to the page's questions, as JSON values."""

from __future__ import annotations

import copy
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

from recbole_mm.demo.new_movie import NewMovieReader
from recbole_mm.errors import InputError
from recbole_mm.inference.projection import Projection, directions
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.rows import recommendation_rows

RECOMMENDED, GENRES, SIMILAR = 10, 5, 5
NEW = "a movie that does not exist"
MAX_MOVIES = 1_000
_CACHED = 8  # combinations of modalities whose encoded movies stay in memory


class Person(NamedTuple):
    """A visitor: the model with the chosen modalities, ids of liked movies and ids of disliked movies."""

    recommender: Recommender
    liked: list[str]
    disliked: list[str]


class Answers:
    """Answers to visitors, one at a time. Questions may hold only ids of the catalogue and names of modalities.

    Raises:
        InputError: the model is not of this package.
    """

    def __init__(self, recommender: Recommender) -> None:
        recommender.check_person()  # raises for a model that has no profile for a person outside the dataset
        self._recommender = recommender
        self._using = lru_cache(_CACHED)(recommender.using)
        self._model_lock, self._map_lock = Lock(), Lock()
        self._map: dict[str, Any] | None = None
        self._projection: Projection | None = None
        movies = recommender.movies
        self._movies = {
            "item_id": movies["item_id"].tolist(),
            "title": movies["title"].tolist(),
            "year": movies["year"].astype(object).where(movies["year"].notna(), None).tolist(),
        }
        self._allowed = {name: set(self._movies["item_id"]) for name in ("liked", "disliked")}
        self._allowed["modalities"] = set(recommender.modalities)
        self._reader = NewMovieReader(recommender.encoders)
        self.recommend({})  # encodes the movies now, so that the first visitor does not wait for it

    def catalogue(self) -> dict[str, Any]:
        """Names of model, dataset and modalities, the rating scale [lowest, highest] (null without
        predicted ratings), what `new_movie` can read, and the movies by column.
        """
        return {
            **self._recommender.about,
            "modalities": self._recommender.modalities,
            "rating_scale": self._recommender.rating_scale,
            **self._reader.about,
            "movies": self._movies,
        }

    def map(self) -> dict[str, Any]:
        """Positions x and y of all movies and the most likely genre of each (empty text without
        the genre task).

        The first call computes the map, which takes seconds to minutes. Calls during that time return an empty answer,
        so that only one of the server's threads is busy.
        """
        if not self._map_lock.acquire(blocking=False):
            return {}
        try:
            self._map = self._map or self._compute_map()
            return self._map
        finally:
            self._map_lock.release()

    def _compute_map(self) -> dict[str, Any]:
        with self._model_lock:
            vectors = directions(self._recommender.movie_embeddings().to_numpy())
            genres = [""] * len(vectors)
            if self._recommender.predicts_genres:
                genres = self._recommender.genres(self._movies["item_id"]).idxmax(axis=1).tolist()
        self._projection = Projection.of(vectors)
        x, y = self._projection.positions.round(2).T.tolist()
        return {"x": x, "y": y, "genre": genres}

    def recommend(self, question: Any) -> dict[str, Any]:
        """The best movies for a person with reasons, as in `recommend --json`, and predicted ratings of all movies
        (null if the model predicts no ratings).
        """
        with self._model_lock:
            recommender, liked, disliked = self._read(question)
            recommended = recommender.recommend_for(liked, disliked, RECOMMENDED)
            reasons = recommender.explain_each(recommended["item_id"], liked=liked, disliked=disliked)
            ratings = None
            if recommender.rates:
                ratings = recommender.predict_for(self._movies["item_id"], liked, disliked)["rating"].round(2).tolist()
            return {"recommendations": recommendation_rows(recommender, recommended, reasons), "ratings": ratings}

    def explain(self, question: Any) -> dict[str, Any]:
        """An `Explanation` of the movie ``item``, and its most likely genres."""
        with self._model_lock:
            recommender, liked, disliked = self._read(question)
            item = question.get("item")
            if not isinstance(item, str) or item not in self._allowed["liked"]:
                raise InputError("item: must be the id of a movie of the catalogue")
            reason = recommender.explain(item, liked=liked, disliked=disliked)
            genres = recommender.genres(item).iloc[0].nlargest(GENRES) if recommender.predicts_genres else {}
            return {
                "rating": reason.rating if recommender.rates else None,
                "score": reason.score,
                "popularity": reason.popularity,
                "movies": reason.movies[["title", "liked", "contribution"]].to_dict("records"),
                "movies_method": reason.movies_method,
                "modalities": reason.modalities[["modality", "present", "difference"]].to_dict("records"),
                "genres": [{"genre": genre, "probability": float(value)} for genre, value in genres.items()],
            }

    def trailer(self, content: bytes) -> dict[str, Any]:
        """What `new_movie` takes as ``trailer`` of a video's file, and why some of it could not be read.

        The file is decoded by another process and forgotten; see `recbole_mm.extract.trailer`.
        """
        return self._reader.trailer(content)

    def new_movie(self, question: Any) -> dict[str, Any]:
        """What the model says of a movie that is in no catalogue; the movie is forgotten at once.

        Args:
            question: besides the person, ``summary``, a text, or ``trailer``, as from `trailer`, or both.

        Returns:
            read and not_read (modalities made of the summary, and those whose encoder is not installed here), genres,
            rating, place (the movie's place among all by score), similar movies, the person's own movies that are
            most similar (similarities are cosines), and the position on the map, null before the map is computed.
        """
        person = self._read(question)
        given = self._reader.read(question.get("summary"), question.get("trailer"))
        with self._model_lock:
            liked, disliked = person.liked, person.disliked
            full = copy.copy(self._recommender)
            (item,) = full.add_movies({"title": [NEW], **{name: [vector] for name, vector in given.vectors.items()}})
            recommender = full.using(person.recommender.modalities)
            similar = recommender.similar_movies(item, k=len(self._allowed["liked"]))
            scores = recommender.recommend_for(liked, disliked, k=len(recommender.movies))
            rated = recommender.predict_for(item, liked, disliked)["rating"].item() if recommender.rates else None
            genres = recommender.genres(item).iloc[0].nlargest(GENRES) if recommender.predicts_genres else {}
            position = None
            if self._projection is not None:  # the map is of all modalities
                position = self._projection.place(directions(full.movie_embeddings().to_numpy())[-1]).round(2).tolist()
        own = similar[similar["item_id"].isin([*liked, *disliked])].head(SIMILAR)
        columns = ["item_id", "title", "similarity"]
        return {
            "read": given.of_summary,
            "not_read": given.not_of_summary,
            "genres": [{"genre": genre, "probability": float(value)} for genre, value in genres.items()],
            "rating": rated,
            "place": int(scores["rank"][scores["item_id"] == item].item()),
            "of": len(scores),
            "similar": similar.head(SIMILAR)[columns].to_dict("records"),
            "own": own[columns].to_dict("records"),
            "position": position,
        }

    def _read(self, question: Any) -> Person:
        if not isinstance(question, dict):
            raise InputError("a question must be a JSON object")
        known = [*self._allowed, "item", "summary", "trailer"]
        if unknown := sorted(set(question) - set(known)):
            raise InputError(f"'{unknown[0][:40]}' is no key of a question; keys: {', '.join(known)}")
        lists = {"liked": [], "disliked": [], "modalities": self._recommender.modalities, **question}
        for name, allowed in self._allowed.items():
            values = lists[name]
            if not isinstance(values, list) or len(values) > MAX_MOVIES:
                raise InputError(f"{name}: must be a list of at most {MAX_MOVIES:,}")
            if not all(isinstance(value, str) and value in allowed for value in values):
                raise InputError(f"{name}: holds values that are not in the catalogue")
        modalities = tuple(sorted(set(lists["modalities"])))
        recommender = self._recommender if set(modalities) == self._allowed["modalities"] else self._using(modalities)
        return Person(recommender, lists["liked"], lists["disliked"])
