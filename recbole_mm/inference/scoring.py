"""Scores and ratings of a model for users and movies given by internal id, and the best movies as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_mm.errors import InputError
from recbole_mm.inference.served import ServedData
from recbole_mm.inference.top import best_movies, check_k
from recbole_mm.model.recommender import MultitaskRecommender


def device_of(model: torch.nn.Module) -> torch.device:
    """Where the model's parameters are."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@dataclass(frozen=True)
class Scoring:
    """A model, the data it is used on, and whether it predicts ratings."""

    model: torch.nn.Module
    data: ServedData
    rates: bool

    @torch.no_grad()
    def judged(self, users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
        """Columns rating (if there is one) and score of pairs, each [n]."""
        pairs = self.data.interaction(device_of(self.model), users=users, items=items)
        rating = {"rating": self._ratings(users, items)} if self.rates else {}
        return {**rating, "score": self.model.predict(pairs).view(-1).cpu().numpy()}

    @torch.no_grad()
    def _ratings(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        pairs = self.data.interaction(device_of(self.model), users=users, items=items)
        return self.model.predict_rating(pairs).cpu().numpy()

    def ranked(
        self, users: np.ndarray, k: int, hidden: csr_matrix | None, among: Any
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """The best k movies of each user.

        Args:
            hidden: movies that a user does not get, [len(users), N or fewer].
            among: movies to choose from, by id or title; None: all.

        Returns:
            Which of ``users`` each row of the table is for, int [n], and the table: rank, item_id, title, year, score
            and, if the model predicts ratings, rating.
        """
        check_k(k)
        if isinstance(self.model, MultitaskRecommender):
            _ = self.model.ranker  # raises InputError for a model without a task that ranks
        movies = self.data.movies
        allowed = None if among is None else movies.resolve(among)
        rows, items, scores = best_movies(self._scores, users, k, hidden, allowed, item_num=len(movies))
        found = movies.frame(items)
        found.insert(0, "rank", np.arange(len(rows)) - np.searchsorted(rows, rows) + 1)
        found["score"] = scores
        if self.rates:
            found["rating"] = self._ratings(users[rows], items)
        return rows, found

    def _scores(self, users: np.ndarray) -> Tensor:
        """Ranking scores [B, N]; pair by pair for built-in models without `full_sort_predict`."""
        model, device, movies = self.model, device_of(self.model), len(self.data.movies)
        try:
            return model.full_sort_predict(self.data.interaction(device, users=users)).view(len(users), -1)
        except NotImplementedError:
            items = np.tile(np.arange(movies), len(users))
            pairs = self.data.interaction(device, users=np.repeat(users, movies), items=items)
            return model.predict(pairs).view(len(users), -1)
        except KeyError as error:  # a sequential model asks for a history
            raise InputError(
                f"{type(model).__name__} needs {error} to rank, which recommend() does not give"
            ) from error
