"""What a trained model says of movies: genres, neighbours, embeddings; and movies that are added to it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recbole_mm.errors import InputError
from recbole_mm.evaluation.metrics import GENRE_THRESHOLD
from recbole_mm.features.encoders import FieldEncoder
from recbole_mm.inference.lookup import Movies, one_or_many
from recbole_mm.inference.new_movies import read_new_movies
from recbole_mm.inference.scoring import device_of
from recbole_mm.inference.served import ServedData
from recbole_mm.inference.top import check_k
from recbole_mm.model import variants
from recbole_mm.model.recommender import MultitaskRecommender
from recbole_mm.model.registry import MODELS

if TYPE_CHECKING:
    from typing_extensions import Self


class MovieModel:
    """The part of a `Recommender` that is about movies alone; see there for how movies are named.

    Args:
        model: trained, in evaluation mode.
        data: users, movies and who has seen what.
    """

    def __init__(self, model: torch.nn.Module, data: ServedData) -> None:
        self.model, self._data = model, data
        self.multimodal = isinstance(model, MultitaskRecommender)
        self._tasks = list(model.tasks) if self.multimodal else ["rating"] * data.rates + ["ranking"]
        self._without: dict[str, MultitaskRecommender] = {}
        self._full = self._serving = model  # with the added movies; the second with the modalities in use only
        fields = model.catalogue.fields() if self.multimodal else {}
        self.modalities = list(fields)
        self.dimensions = {name: field.dimension for name, field in fields.items()}
        self.genre_names = list(data.labels["genre"]) if "genre" in self._tasks else []

    @property
    def about(self) -> dict[str, str]:
        """Names of the model and of the data set."""
        return {"model": type(self.model).__name__, "dataset": self._data.dataset}

    @property
    def options(self) -> dict[str, Any]:
        """Options of the run, without those that name places on the machine of the training."""
        return self._data.portable_options

    @property
    def encoders(self) -> Mapping[str, FieldEncoder]:
        """From raw content of a movie to its vector, for each modality whose encoder was kept."""
        return self._data.encoders

    @property
    def raw_content(self) -> dict[str, str]:
        """What `add_movies` takes as raw content of each modality whose encoder was kept."""
        return {name: encoder.describe() for name, encoder in self.encoders.items()}

    @property
    def movies(self) -> pd.DataFrame:
        """item_id, title and year of every movie, added movies included."""
        return self._movies.frame(np.arange(1, len(self._movies)))

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
    def ranks(self) -> bool:
        """Whether the model ranks movies."""
        return not {"rating", "ranking"}.isdisjoint(self._tasks)

    @property
    def predicts_genres(self) -> bool:
        """Whether the model predicts genres."""
        return "genre" in self._tasks

    # ------------------------------------------------------------------ movies

    def add_movies(self, table: pd.DataFrame | Mapping[str, Sequence]) -> list[str]:
        """Movies that nobody has rated; from now on they get ratings, ranks and genres like all others. No retraining.

        Args:
            table: a column ``title``; ``year`` and ``item_id`` (by default the title) if known; and for each modality
                a column of its vectors, as in the data set's files: M rows, each a vector or None. A modality without a
                column is missing for all. For a modality F with an encoder (`raw_content`), the column ``F_raw`` may
                hold raw content instead, and ``summary`` the text of all modalities that are made of one.

        Returns:
            Ids of the movies.

        Raises:
            InputError: an unknown column, a vector of wrong length or with a value that is not finite, content that the
                encoder does not take, an id that is there already, or a title that is there already (with the same
                year, or where a year is missing).
        """
        self._only_ours("a movie that nobody has rated")
        new = read_new_movies(table, self._movies, self.dimensions, self.encoders)
        vectors = {name: torch.from_numpy(values) for name, values in new.vectors.items()}
        self._full = variants.with_movies(self._full, vectors)
        self._data = self._data.with_movies(self._movies.extended(new.tokens, new.titles, new.years))
        self._use(self.modalities)
        return new.tokens

    def using(self, modalities: Iterable[str]) -> Self:
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
            probability = self._serving.predict_genres(torch.from_numpy(ids).to(device_of(self.model))).cpu().numpy()
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

    # ------------------------------------------------------------------ how

    @property
    def _movies(self) -> Movies:
        return self._data.movies

    def _use(self, modalities: Iterable[str]) -> None:
        chosen, self._without = set(modalities), {}
        self._serving = variants.with_modalities(self._full, chosen) if chosen != set(self.dimensions) else self._full
        self.modalities = [name for name in self.dimensions if name in chosen]

    def _only_ours(self, what: str) -> None:
        if not self.multimodal:
            raise InputError(f"{type(self.model).__name__} does not support {what}; use {', '.join(MODELS)}")

    def _movie_vectors(self) -> Tensor:
        self._only_ours("embeddings")
        with torch.no_grad():
            return self._serving.movie_embeddings()
