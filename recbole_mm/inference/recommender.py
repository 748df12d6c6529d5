"""`Recommender`, the result of `recbole_mm.load`. Ids and titles in, pandas out, everything in batches."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_mm.data.splits import Split
from recbole_mm.errors import InputError
from recbole_mm.evaluation.metrics import GENRE_THRESHOLD
from recbole_mm.inference.explain import RATINGS, Explanation, Person, explain_each
from recbole_mm.inference.lookup import Movies, Users, one_or_many
from recbole_mm.inference.new_movies import read_new_movies
from recbole_mm.inference.top import best_movies, check_k
from recbole_mm.model import variants
from recbole_mm.model.recommender import MultitaskRecommender
from recbole_mm.model.registry import MODELS

SEEN = (True, False, "all")


class Recommender:
    """A trained model with the people and movies of its data set.

    Users are named by their id in the atomic files, movies by their id or title ("Toy Story", "Toy Story (1995)", case
    ignored); one of them or any sequence. Ids may be given as text or int, and come back as text. An unknown name is an
    `InputError` that gives the nearest one. Tables are pandas DataFrames; movies are ranked by ``score``; ``rating``
    is the predicted rating, clipped to the rating scale.

    A built-in model of RecBole can `recommend`, and `predict` if it was trained on ratings; the rest needs one of this
    package's models.

    Args:
        model: trained, in evaluation mode.
        dataset: the whole data set.
        split: its parts; a user's profile comes from the training part.
        config: options of the run.

    Attributes:
        model: the trained ``nn.Module`` as it was saved.
        movies: item_id, title and year of every movie, added movies included.
        users: ids of the users.
        modalities: names of the vectors that the model reads; modalities switched off by `using` are left out.
        dimensions: length of a vector of each modality, switched off or not.
        genre_names: the genres, in the order of the columns of `genres`.
        multimodal: whether the model is one of this package's, so that everything works.
    """

    def __init__(self, model: torch.nn.Module, dataset: Dataset, split: Split, config) -> None:
        self.model = model
        self._dataset = split.train
        self._uid, self._iid = dataset.uid_field, dataset.iid_field
        self._users = Users(dataset.field2id_token[self._uid])
        self._movies = Movies.read(dataset.field2id_token[self._iid], config)
        parts = {True: (split.train, split.valid), "all": (split.train, split.valid, split.test)}
        self._seen = {which: self._pairs(of) for which, of in parts.items()}
        self.multimodal = isinstance(model, MultitaskRecommender)
        self._tasks = list(model.tasks) if self.multimodal else ["rating"] * config.predicts_ratings + ["ranking"]
        self._without: dict[str, MultitaskRecommender] = {}
        self._full = self._serving = model  # with the added movies; the second with the modalities in use only
        fields = model.catalogue.fields() if self.multimodal else {}
        self.modalities = list(fields)
        self.dimensions = {name: field.dimension for name, field in fields.items()}
        self.genre_names = list(dataset.labels["genre"].names) if "genre" in self._tasks else []

    def __repr__(self) -> str:
        name, users = type(self.model).__name__, len(self._users.tokens) - 1
        return f"Recommender({name}, {users:,} users, {len(self._movies) - 1:,} movies)"

    @property
    def about(self) -> dict[str, str]:
        """Names of the model and of the data set."""
        return {"model": type(self.model).__name__, "dataset": self._dataset.dataset_name}

    @property
    def movies(self) -> pd.DataFrame:
        return self._movies.frame(np.arange(1, len(self._movies)))

    @property
    def users(self) -> list[str]:
        return self._users.tokens[1:].tolist()

    def movie_ids(self, movies: Any) -> list[str]:
        """Ids of movies given by id or title."""
        return self._movies.tokens[self._movies.resolve(movies)].tolist()

    @property
    def rates(self) -> bool:
        """Whether the model predicts ratings."""
        return "rating" in self._tasks

    @property
    def rating_scale(self) -> list[float] | None:
        """Lowest and highest rating of one of this package's models; None if it predicts no ratings."""
        return self.model.task("rating").rating_scale.tolist() if self.multimodal and self.rates else None

    @property
    def predicts_genres(self) -> bool:
        """Whether the model predicts genres."""
        return "genre" in self._tasks

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
        return found.assign(**self._judged(self._serving, users, items))

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
        seen = self._seen[exclude_seen][ids] if exclude_seen else None
        row, found = self._ranked(self._serving, ids, k, seen, among)
        found.insert(0, "user_id", self._users.tokens[ids[row]])
        return found

    # ------------------------------------------------------------------ people in no data set

    def recommend_for(self, liked: Any = (), disliked: Any = (), k: int = 10, among: Any = None) -> pd.DataFrame:
        """The best k movies for a person who is in no data set, from the movies they like and dislike.

        Movies added by `add_movies` may be among them. Without any movie the ranking is by popularity.

        Returns:
            rank, item_id, title, year, score, rating; liked and disliked movies are left out.

        Raises:
            InputError: a movie that is unknown or in both lists, or a model that is not of this package.
        """
        likes, dislikes = self.person(liked, disliked)
        rated = [*likes, *dislikes]
        hidden = csr_matrix((np.ones(len(rated)), ([0] * len(rated), rated)), shape=(1, len(self._movies)))
        model = variants.with_people(self._serving, [likes], [dislikes])
        return self._ranked(model, np.zeros(1, dtype=np.int64), k, hidden, among)[1]

    def predict_for(self, items: Any, liked: Any = (), disliked: Any = ()) -> pd.DataFrame:
        """Predicted ratings of movies by a person who is in no data set.

        Returns:
            item_id, title, year, rating, score; one row for each movie in the order given.
        """
        likes, dislikes = self.person(liked, disliked)
        self._only_with_ratings()
        ids = self._movies.resolve(items)
        model = variants.with_people(self._serving, [likes], [dislikes])
        return self._movies.frame(ids).assign(**self._judged(model, np.zeros_like(ids), ids))

    def person(self, liked: Any, disliked: Any) -> tuple[list[int], list[int]]:
        """Internal ids of the movies that a person likes and dislikes; raises as `recommend_for`."""
        self._only_ours("a person in no data set")
        likes, dislikes = (list(dict.fromkeys(self._movies.resolve(given).tolist())) for given in (liked, disliked))
        if both := set(likes) & set(dislikes):
            raise InputError(f"movie '{self._movies.titles[min(both)]}': both liked and disliked; leave one out")
        return likes, dislikes

    # ------------------------------------------------------------------ reasons

    def explain(self, item: Any, user: Any = None, liked: Any = (), disliked: Any = ()) -> Explanation:
        """Why a movie has its score, for a user of the data set, or for a person from liked and disliked movies."""
        found = self.explain_each(item, user, liked, disliked)
        if len(found) != 1:
            raise InputError(f"explain: takes one movie, not {len(found)}; explain_each() takes several")
        return found[0]

    def explain_each(self, items: Any, user: Any = None, liked: Any = (), disliked: Any = ()) -> list[Explanation]:
        """`explain` for several movies at once, e.g. the column item_id of a recommendation.

        Raises:
            InputError: an unknown user or movie, a user and movies both, or a model that is not of this package.
        """
        self._only_ours("reasons")
        person = self._person_to_explain(user, liked, disliked)
        return explain_each(person, self._movies, self._movies.resolve(items), self._movies_without())

    def _person_to_explain(self, user: Any, liked: Any, disliked: Any) -> Person:
        if user is None:
            likes, dislikes = self.person(liked, disliked)
            model = variants.with_people(self._serving, [likes], [dislikes])
            return Person(model, 0, likes, dislikes, self._serving)
        if len(np.atleast_1d(liked)) or len(np.atleast_1d(disliked)):
            raise InputError("explain: a user and liked or disliked movies; give one or the other")
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

    # ------------------------------------------------------------------ movies

    def add_movies(self, table: pd.DataFrame | Mapping[str, Sequence]) -> list[str]:
        """Movies that nobody has rated; from now on they get ratings, ranks and genres like all others. No retraining.

        Args:
            table: a column ``title``; ``year`` and ``item_id`` (by default the title) if known; and a column of raw
                vectors, as in the data set's files, for each modality: M rows, each a vector or None. A modality
                without a column is missing for all.

        Returns:
            Ids of the movies.

        Raises:
            InputError: an unknown column, a vector of wrong length or with a value that is not finite, an id that is
                there already, or a title that is there already (with the same year, or where a year is missing).
        """
        self._only_ours("a movie that nobody has rated")
        new = read_new_movies(table, self._movies, self.dimensions)
        vectors = {name: torch.from_numpy(values) for name, values in new.vectors.items()}
        self._full = variants.with_movies(self._full, vectors)
        self._movies = self._movies.extended(new.tokens, new.titles, new.years)
        self._use(self.modalities)
        return new.tokens

    def using(self, modalities: Iterable[str]) -> Recommender:
        """The same model where all movies lack the other modalities, movies in user profiles included."""
        self._only_ours("modalities")
        chosen = copy.copy(self)
        chosen._use(one_or_many(modalities))
        return chosen

    def similar_movies(self, item: Any, k: int = 10) -> pd.DataFrame:
        """The k movies nearest to a movie, by the cosine of their embeddings (see `movie_embeddings`).

        Returns:
            rank, item_id, title, year, similarity in [-1, 1].
        """
        ids = self._movies.resolve(item)
        if len(ids) != 1:
            raise InputError(f"similar_movies: takes one movie, not {len(ids)}")
        check_k(k)
        vectors = torch.nn.functional.normalize(self._movie_vectors(), dim=1)
        similarity = vectors @ vectors[ids[0]]
        similarity[[0, int(ids[0])]] = -torch.inf
        best = similarity.topk(min(k, len(similarity) - 2))
        found = self._movies.frame(best.indices.cpu().numpy())
        found.insert(0, "rank", np.arange(1, len(found) + 1))
        return found.assign(similarity=best.values.cpu().numpy())

    def genres(self, items: Any) -> pd.DataFrame:
        """Probability of each genre: one row for each movie (index item_id), one column for each genre."""
        self._only_ours("genres")
        self.model.task("genre")  # raises without it
        ids = self._movies.resolve(items)
        with torch.no_grad():
            probability = self._serving.predict_genres(torch.from_numpy(ids).to(self._device)).cpu().numpy()
        return pd.DataFrame(
            probability, index=pd.Index(self._movies.tokens[ids], name="item_id"), columns=self.genre_names
        )

    def likely_genres(self, items: Any) -> list[list[tuple[str, float]]]:
        """For each movie its genres and their probabilities, most likely first: all above 0.5, at least one."""
        found = []
        for _, row in self.genres(items).iterrows():
            row = row.sort_values(ascending=False, kind="stable")
            kept = row.head(max(1, int((row >= GENRE_THRESHOLD).sum())))
            found.append([(genre, float(probability)) for genre, probability in kept.items()])
        return found

    def movie_embeddings(self) -> pd.DataFrame:
        """z(m), the representation that user profiles average: index item_id, m columns, one row for each movie.

        Without the task rating it is the representation of the model's first task.
        """
        vectors = self._movie_vectors()[1:].cpu().numpy()
        return pd.DataFrame(vectors, index=pd.Index(self._movies.tokens[1:], name="item_id"))

    def user_embeddings(self) -> pd.DataFrame:
        """P(u), in the space of the movies: index user_id, m columns, one row for each user."""
        self._only_ours("embeddings")
        with torch.no_grad():
            vectors = self._serving.user_embeddings()[1:].cpu().numpy()
        return pd.DataFrame(vectors, index=pd.Index(self._users.tokens[1:], name="user_id"))

    # ------------------------------------------------------------------ how

    @property
    def _device(self) -> torch.device:
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    def _use(self, modalities: Iterable[str]) -> None:
        chosen, self._without = set(modalities), {}
        self._serving = variants.with_modalities(self._full, chosen) if chosen != set(self.dimensions) else self._full
        self.modalities = [name for name in self.dimensions if name in chosen]

    def _only_ours(self, what: str) -> None:
        if not self.multimodal:
            raise InputError(f"{type(self.model).__name__} does not support {what}; use {', '.join(MODELS)}")

    def _only_with_ratings(self) -> None:
        if not self.rates:
            raise InputError(
                f"{type(self.model).__name__} predicts no ratings; use recommend(), or train another model"
            )

    def _pairs(self, parts: Iterable[Dataset]) -> csr_matrix:
        users, items = (
            np.concatenate([part.inter_feat[field].numpy() for part in parts]) for field in (self._uid, self._iid)
        )
        return csr_matrix(
            (np.ones(len(users), bool), (users, items)), shape=(len(self._users.tokens), len(self._movies))
        )

    def _movie_vectors(self) -> Tensor:
        self._only_ours("embeddings")
        with torch.no_grad():
            return self._serving.movie_embeddings()

    def _interaction(self, **ids: np.ndarray) -> Interaction:
        fields = {"users": self._uid, "items": self._iid}
        given = Interaction({fields[name]: torch.from_numpy(np.array(values)) for name, values in ids.items()})
        return self._dataset.join(given).to(self._device)

    @torch.no_grad()
    def _judged(self, model: torch.nn.Module, users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
        """Columns rating (if there is one) and score of pairs, each [n]."""
        pairs = self._interaction(users=users, items=items)
        rating = {"rating": model.predict_rating(pairs).cpu().numpy()} if self.rates else {}
        return {**rating, "score": model.predict(pairs).view(-1).cpu().numpy()}

    def _ranked(
        self, model: torch.nn.Module, users: np.ndarray, k: int, hidden: csr_matrix | None, among: Any
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """Which of ``users`` each row of the table is for, int [n], and the table."""
        check_k(k)
        if self.multimodal:
            _ = model.ranker  # raises InputError for a model without a task that ranks
        allowed = None if among is None else self._movies.resolve(among)
        rows, items, scores = best_movies(
            lambda part: self._scores(model, part), users, k, hidden, allowed, item_num=len(self._movies)
        )
        found = self._movies.frame(items)
        found.insert(0, "rank", np.arange(len(rows)) - np.searchsorted(rows, rows) + 1)
        found["score"] = scores
        if self.rates:
            found["rating"] = self._judged(model, users[rows], items)["rating"]
        return rows, found

    def _scores(self, model: torch.nn.Module, users: np.ndarray) -> Tensor:
        """Ranking scores [B, N]; pair by pair for built-in models without `full_sort_predict`."""
        try:
            return model.full_sort_predict(self._interaction(users=users)).view(len(users), -1)
        except NotImplementedError:
            items = np.tile(np.arange(len(self._movies)), len(users))
            pairs = self._interaction(users=np.repeat(users, len(self._movies)), items=items)
            return model.predict(pairs).view(len(users), -1)
        except KeyError as error:  # a sequential model asks for a history
            raise InputError(
                f"{type(model).__name__} needs {error} to rank, which recommend() does not give"
            ) from error
