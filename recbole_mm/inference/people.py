"""People who are in no data set: the movies they like and do not like, or their ratings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recbole_mm.errors import InputError, nearest
from recbole_mm.finite import is_finite, shown
from recbole_mm.inference.lookup import Movies

KEYS = ("liked", "disliked", "ratings")


@dataclass(frozen=True)
class Taste:
    """Internal ids of the movies that a person likes and does not like; no movie is in both, none is there twice."""

    liked: list[int]
    disliked: list[int]

    @property
    def rated(self) -> list[int]:
        """The movies of both."""
        return [*self.liked, *self.disliked]


@dataclass(frozen=True)
class TasteReader:
    """Reads what a person gives.

    Attributes:
        movies: the catalogue.
        like_threshold: the lowest rating that is a like, as in training.
        rating_scale: lowest and highest rating; None if it is not known.
    """

    movies: Movies
    like_threshold: float
    rating_scale: list[float] | None

    def read(self, liked: Any = (), disliked: Any = (), ratings: Mapping[Any, float] | None = None) -> Taste:
        """One person, from movies by id or title.

        Args:
            ratings: movie -> rating; a rating of at least `like_threshold` is a like.

        Raises:
            InputError: an unknown movie, one that is both liked and disliked, or a rating outside the scale.
        """
        likes, dislikes = (self.movies.resolve(given).tolist() for given in (liked, disliked))
        if ratings is not None and not isinstance(ratings, Mapping):
            raise InputError("ratings: must be a mapping, of movies to ratings, such as {'Alien': 5}")
        for movie, rating in (ratings or {}).items():
            self._check_rating(movie, rating)
            (likes if rating >= self.like_threshold else dislikes).extend(self.movies.resolve(movie).tolist())
        if both := set(likes) & set(dislikes):
            raise InputError(f"movie '{self.movies.titles[min(both)]}': both liked and disliked; leave one out")
        return Taste(list(dict.fromkeys(likes)), list(dict.fromkeys(dislikes)))

    def read_each(self, people: Mapping[Any, Mapping] | Sequence[Mapping]) -> tuple[list, list[Taste]]:
        """Names of several people (their positions, where they have none), and what each likes.

        Args:
            people: for each person a mapping with ``liked``, ``disliked`` or ``ratings``, or several of them; in a
                list, or in a mapping from the person's name.

        Raises:
            InputError: as `read`, with the name of the person; or something else than such a mapping.
        """
        if isinstance(people, (str, bytes)) or not isinstance(people, (Mapping, Sequence)):
            raise InputError("people: must be a list of people, each such as {'liked': ['Alien'], 'disliked': []}")
        named = people if isinstance(people, Mapping) else dict(enumerate(people))
        tastes = []
        for name, person in named.items():
            if not isinstance(person, Mapping):
                raise InputError(f"person {name!r}: must be a mapping with keys among {', '.join(KEYS)}")
            if unknown := [key for key in person if key not in KEYS]:
                close = nearest(str(unknown[0]), KEYS)
                raise InputError(f"person {name!r}: no key {unknown[0]!r}; keys are {', '.join(KEYS)}.{close}")
            try:
                tastes.append(self.read(**person))
            except InputError as error:
                raise InputError(f"person {name!r}: {error}") from error
        return list(named), tastes

    def _check_rating(self, movie: Any, rating: Any) -> None:
        low, high = self.rating_scale or (-math.inf, math.inf)
        if not is_finite(rating) or not low <= rating <= high:
            scale = f" from {low:g} to {high:g}" if self.rating_scale else ""
            raise InputError(f"rating {shown(rating)} of movie {movie!r}: must be a number{scale}")
