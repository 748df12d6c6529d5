"""`Recommender`, the result of `recbole_mm.load`. Ids and titles in, pandas out, everything in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix

from recbole_mm.errors import InputError
from recbole_mm.inference import artefact
from recbole_mm.inference.explain import RATINGS, Explanation, Person, explain_each
from recbole_mm.inference.lookup import Users
from recbole_mm.inference.movie_model import MovieModel
from recbole_mm.inference.people import Taste, TasteReader
from recbole_mm.inference.scoring import Scoring
from recbole_mm.model import variants
from recbole_mm.model.recommender import MultitaskRecommender

SEEN = (True, False, "all")


class Recommender(MovieModel):
    """A trained model with the people and movies of its data set.

    Users are named by their id in the atomic files, movies by their id or title ("Toy Story", "Toy Story (1995)", case
    ignored); one of them or any sequence. Ids may be given as text or int, and come back as text. An unknown name is an
    `InputError` that gives the nearest one. Tables are pandas DataFrames; movies are ranked by ``score``; ``rating``
    is the predicted rating, clipped to the rating scale.

    A built-in model of RecBole can `recommend`, and `predict` if it was trained on ratings; the rest needs one of this
    package's models.

    Args:
        model: trained, in evaluation mode.
        data: users, movies and who has seen what, from `ServedData.of_run` or a file.

    Attributes:
        model: the trained ``nn.Module`` as it was saved.
        modalities: names of the vectors that the model reads; modalities switched off by `using` are left out.
        dimensions: length of a vector of each modality, switched off or not.
        genre_names: the genres, in the order of the columns of `genres`.
        multimodal: whether the model is one of this package's, so that everything works.
    """

    def __repr__(self) -> str:
        name, users = type(self.model).__name__, len(self._users) - 1
        return f"Recommender({name}, {users:,} users, {len(self._movies) - 1:,} movies)"

    @property
    def users(self) -> list[str]:
        """Ids of the users."""
        return self._users.tokens[1:].tolist()

    def save(self, path: str | Path, histories: bool = False) -> None:
        """Write one file from which `recbole_mm.load` works without the data set (docs/serving.md).

        Args:
            path: conventionally ends in ``.safetensors``.
            histories: keep the users and what they rated, too. Without them the file says nothing about any person:
                people give their movies at the call, as to `recommend_for`.

        Raises:
            InputError: a model that is not of this package, modalities that are switched off, or a path that cannot be
                written.
        """
        self._only_ours("a file of its own")
        if self._serving is not self._full:
            raise InputError("save: modalities are switched off; save the recommender that has them all")
        artefact.save(path, self._full, self._data, histories)

    # ------------------------------------------------------------------ people of the data set

    def predict(self, user_ids: Any, item_ids: Any) -> pd.DataFrame:
        """Predicted ratings of pairs; one user goes with every movie, one movie with every user.

        Args:
            user_ids, item_ids: n of each, or one user, or one movie.

        Returns:
            user_id, item_id, title, year, rating, score; n rows in the order given.

        Raises:
            InputError: the model predicts no ratings, an unknown user or movie, or lists of different lengths.
        """
        self._only_with_ratings()
        users, items = self._users.resolve(user_ids), self._movies.resolve(item_ids)
        if len(users) != len(items) and 1 not in (len(users), len(items)):
            raise InputError(
                f"predict: {len(users)} users but {len(items)} movies; give equal numbers, or one user or one movie"
            )
        users, items = np.broadcast_arrays(users, items)
        found = self._movies.frame(items)
        found.insert(0, "user_id", self._users.tokens[users])
        return found.assign(**self._scoring.judged(users, items))

    def recommend(self, users: Any, k: int = 10, exclude_seen: bool | str = True, among: Any = None) -> pd.DataFrame:
        """The best k movies of each user, as the evaluation ranks them.

        Args:
            users: one user or several.
            k: movies for each user; fewer if no more are left.
            exclude_seen: True leaves out the movies that the user rated in the training and the validation part, as the
                evaluation of the test part does (test ratings are the future there); "all" leaves out the movies of
                the test part too; False leaves out none.
            among: movies to choose from, e.g. movies just added; all by default.

        Returns:
            user_id, rank (from 1), item_id, title, year, score and, if the model predicts ratings, rating; users in
            the order given.
        """
        if exclude_seen not in SEEN:
            raise InputError(f"exclude_seen: {exclude_seen!r}, but must be one of {', '.join(map(repr, SEEN))}")
        ids = self._users.resolve(users)
        seen = self._data.seen[exclude_seen][ids] if exclude_seen else None
        row, found = self._scoring.ranked(ids, k, seen, among)
        found.insert(0, "user_id", self._users.tokens[ids[row]])
        return found

    # ------------------------------------------------------------------ people in no data set

    def recommend_for(
        self,
        liked: Any = (),
        disliked: Any = (),
        k: int = 10,
        among: Any = None,
        ratings: Mapping[Any, float] | None = None,
    ) -> pd.DataFrame:
        """The best k movies for a person who is in no data set, from the movies they like and dislike.

        Movies added by `add_movies` may be among them. Without any movie the ranking is by popularity.

        Args:
            ratings: movie -> rating, in place of liked and disliked movies or beside them.

        Returns:
            rank, item_id, title, year, score, rating; movies that the person gave are left out.

        Raises:
            InputError: a movie that is unknown or in both lists, or a model that is not of this package.
        """
        taste = self.tastes().read(liked, disliked, ratings)
        return self.recommend_to([taste], k, among)[1]

    def recommend_for_each(
        self, people: Mapping[Any, Mapping] | Sequence[Mapping], k: int = 10, among: Any = None
    ) -> pd.DataFrame:
        """`recommend_for` for many people at once.

        Args:
            people: for each person a mapping with ``liked``, ``disliked`` or ``ratings``, or several of them; in a
                list, or in a mapping from the person's name.

        Returns:
            person (name, or position in the list) and the columns of `recommend_for`; people in the order given.
        """
        names, tastes = self.tastes().read_each(people)
        row, found = self.recommend_to(tastes, k, among)
        found.insert(0, "person", [names[i] for i in row])
        return found

    def predict_for(
        self, items: Any, liked: Any = (), disliked: Any = (), ratings: Mapping[Any, float] | None = None
    ) -> pd.DataFrame:
        """Predicted ratings of movies by a person who is in no data set.

        Returns:
            item_id, title, year, rating, score; one row for each movie in the order given.
        """
        return self._predict_by([self.tastes().read(liked, disliked, ratings)], items)[1]

    def predict_for_each(self, people: Mapping[Any, Mapping] | Sequence[Mapping], items: Any) -> pd.DataFrame:
        """`predict_for` for many people at once: every movie for every person.

        Returns:
            person and the columns of `predict_for`.
        """
        names, tastes = self.tastes().read_each(people)
        row, found = self._predict_by(tastes, items)
        found.insert(0, "person", [names[i] for i in row])
        return found

    def check_person(self, liked: Any = (), disliked: Any = ()) -> None:
        """Raise what `recommend_for` would raise for this person."""
        self.tastes().read(liked, disliked)

    def tastes(self) -> TasteReader:
        """Reads what people like, for `recommend_to`."""
        self._only_ours("a person in no data set")
        return TasteReader(self._movies, self._data.options["like_threshold"], self.rating_scale)

    def _people(self, tastes: Sequence[Taste]) -> Scoring:
        model = variants.with_people(
            self._serving, [taste.liked for taste in tastes], [taste.disliked for taste in tastes]
        )
        return Scoring(model, self._data, self.rates)

    def recommend_to(self, tastes: Sequence[Taste], k: int = 10, among: Any = None) -> tuple[np.ndarray, pd.DataFrame]:
        """`recommend_for_each` for tastes that `tastes` has read.

        Returns:
            Which of ``tastes`` each row of the table is for, int [n], and the table, as from `recommend_for`.
        """
        rated = [taste.rated for taste in tastes]
        user = np.repeat(np.arange(len(rated)), [len(movies) for movies in rated])
        item = np.array([movie for movies in rated for movie in movies], dtype=np.int64)
        hidden = csr_matrix((np.ones(len(user), bool), (user, item)), shape=(len(rated), len(self._movies)))
        return self._people(tastes).ranked(np.arange(len(rated)), k, hidden, among)

    def _predict_by(self, tastes: Sequence[Taste], items: Any) -> tuple[np.ndarray, pd.DataFrame]:
        self._only_with_ratings()
        ids = self._movies.resolve(items)
        person, item = np.repeat(np.arange(len(tastes)), len(ids)), np.tile(ids, len(tastes))
        return person, self._movies.frame(item).assign(**self._people(tastes).judged(person, item))

    # ------------------------------------------------------------------ reasons

    def explain(
        self,
        item: Any,
        user: Any = None,
        liked: Any = (),
        disliked: Any = (),
        ratings: Mapping[Any, float] | None = None,
    ) -> Explanation:
        """Why a movie has its score, for a user of the data set, or for a person as in `recommend_for`."""
        found = self.explain_each(item, user, liked, disliked, ratings)
        if len(found) != 1:
            raise InputError(f"explain: takes one movie, not {len(found)}; explain_each() takes several")
        return found[0]

    def explain_each(
        self,
        items: Any,
        user: Any = None,
        liked: Any = (),
        disliked: Any = (),
        ratings: Mapping[Any, float] | None = None,
    ) -> list[Explanation]:
        """`explain` for several movies at once, e.g. the column item_id of a recommendation.

        Raises:
            InputError: an unknown user or movie, a user and movies both, or a model that is not of this package.
        """
        self._only_ours("reasons")
        taste = self.tastes().read(liked, disliked, ratings)
        if user is None:
            person = Person(self._people([taste]).model, 0, taste.liked, taste.disliked, self._serving)
        elif taste.rated:
            raise InputError("explain: a user and liked or disliked movies; give one or the other")
        else:
            person = self._user_to_explain(user)
        return explain_each(person, self._movies, self._movies.resolve(items), self._movies_without())

    def _user_to_explain(self, user: Any) -> Person:
        found = self._users.resolve(user)
        if len(found) != 1:
            raise InputError(f"explain: takes one user, not {len(found)}")
        histories, user = self._serving.users, int(found[0])
        liked, disliked = (sets.movies_of(user) for sets in (histories.liked, histories.disliked))
        return Person(self._serving, user, liked, disliked, self._serving)

    def _movies_without(self) -> dict[str, MultitaskRecommender]:
        """For each modality, the model in which all movies lack it; for ``ratings``, one without ratings."""
        if not self._without:
            self._without = {
                left: variants.with_modalities(self._serving, [name for name in self.modalities if name != left])
                for left in self.modalities
            }
            if self.model.catalogue.identity is not None or "ranking" in self._tasks:
                self._without[RATINGS] = variants.without_ratings(self._serving)
        return self._without

    def user_embeddings(self) -> pd.DataFrame:
        """P(u), in the space of the movies: index user_id, m columns, one row for each user."""
        self._only_ours("embeddings")
        with torch.no_grad():
            vectors = self._serving.user_embeddings()[1:].cpu().numpy()
        return pd.DataFrame(vectors, index=pd.Index(self._users.tokens[1:], name="user_id"))

    # ------------------------------------------------------------------ how

    @property
    def _users(self) -> Users:
        return self._data.users

    @property
    def _scoring(self) -> Scoring:
        return Scoring(self._serving, self._data, self.rates)

    def _only_with_ratings(self) -> None:
        if not self.rates:
            raise InputError(
                f"{type(self.model).__name__} predicts no ratings; use recommend(), or train another model"
            )
