"""Ratings of movies without ratings: each user's regression on content, in closed form.

Shapes: N movies, U users, n training rows, K inputs of a movie, k of them in one regression, R people.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.model.closed_form.inputs import ContentInputs
from recbole_mm.model.closed_form.regression import fit_regression
from recbole_mm.model.content import ContentVectors
from recbole_mm.model.sharing import shared_copy
from recbole_mm.model.users import Users

# People whose k x k matrices are in memory at once.
CHUNK = 512


class TrainingRows(NamedTuple):
    """Ratings to fit on.

    Attributes:
        users, items: ids, [n].
        centred: ratings minus their mean, [n].
        is_liked: whether the user likes the movie of the row, bool [n].
    """

    users: np.ndarray
    items: np.ndarray
    centred: np.ndarray
    is_liked: np.ndarray


class RegressionState(NamedTuple):
    """w of every user [U, K]; c of every movie [N, K]."""

    users: Tensor
    movies: Tensor


class UserRegression(nn.Module):
    """w_u · c_m        what the content of a movie without ratings says of a rating, minus the mean rating

        w_u = (w'_u + w''_u) / 2        w'_u is fitted on all components of c_m, w''_u on half of them and the labels

    Each of the two is a weighted combination of the movies that u rated (`OneRegression`): the user of the models, in
    closed form. Regressions that read different inputs err differently, and a mean of two errs less. c_m are
    `ContentInputs`.

    It is solved from the training rows when the model is built, has no loss, and is not saved in a checkpoint.

    Args:
        rows: of training.
        inputs: c.
        user_num: U.
    """

    def __init__(self, rows: TrainingRows, inputs: ContentInputs, user_num: int) -> None:
        super().__init__()
        self.inputs, self.columns = inputs, inputs.views()
        values = inputs.movies.double().numpy()
        self.views = nn.ModuleList(OneRegression(rows, values[:, columns], user_num) for columns in self.columns)

    def state(self, users: Users) -> RegressionState:
        """What predictions need of the movies of the catalogue and of ``users``."""
        movies, total = self.inputs.movies, None
        for view, columns in zip(self._views(), self.columns):
            weights = view.weights_of(users, movies[:, columns])
            total = weights.new_zeros(len(weights), movies.shape[1]) if total is None else total
            total[:, columns] += weights / len(self.columns)
        assert total is not None
        return RegressionState(total, movies)

    def score(self, state: RegressionState, users: Tensor, items: Tensor) -> Tensor:
        """Of pairs, [B]."""
        return (state.users[users] * state.movies[items]).sum(dim=1)

    def score_catalogue(self, state: RegressionState, users: Tensor) -> Tensor:
        """Of every movie for each user, [R, N]."""
        return state.users[users] @ state.movies.T

    def with_people(self, number: int) -> UserRegression:
        """The same for other people."""
        others = shared_copy(self)
        others.views = nn.ModuleList(view.with_people(number) for view in self._views())
        return others

    def with_catalogue(self, content: tuple[ContentVectors, ...], number: int) -> UserRegression:
        """The same for a catalogue of ``number`` movies: others at its end have no ratings, vectors may be missing."""
        other, more = shared_copy(self), number - len(self.inputs.movies)
        other.inputs = self.inputs.with_catalogue(content, number)
        if more:
            other.views = nn.ModuleList(view.with_movies(more) for view in self._views())
        return other

    def _views(self) -> list[OneRegression]:
        return [cast("OneRegression", view) for view in self.views]


class OneRegression(nn.Module):
    """w_u · c_m + b_m, minus the mean rating: posterior means of `fit_regression`

    For a person who was not in training w_u is the posterior mean, where a liked movie counts as the mean rating of
    liked movies in training, a disliked one as that of disliked ones.

    Args:
        rows: of training.
        inputs: c of the catalogue, float64 [N, k].
        user_num: U.

    Attributes:
        of_training: its users are those of the training rows, with w in ``weights``.
    """

    # Steps of expectation maximisation. On the validation part of ml-100k-mm twice as many were worse by .001.
    STEPS = 15

    weights: Tensor
    item_bias: Tensor
    mean: Tensor
    precision: Tensor
    values: Tensor

    def __init__(self, rows: TrainingRows, inputs: np.ndarray, user_num: int) -> None:
        super().__init__()
        # A column of zeros, such as a component that the vectors do not have, would only cost time.
        used = np.flatnonzero(inputs.any(axis=0))
        prior, weights, item_bias = fit_regression(
            rows.users, rows.items, rows.centred, inputs[:, used], user_num, self.STEPS
        )
        size = inputs.shape[1]
        precision = np.eye(size)
        precision[np.ix_(used, used)] = prior.precision * prior.noise
        sets = (rows.is_liked, ~rows.is_liked)
        of_sets = [rows.centred[chosen].mean() if chosen.any() else 0.0 for chosen in sets]
        for name, array in {
            "weights": _spread(weights, used, size),
            "item_bias": item_bias,
            "mean": _spread(prior.mean, used, size),
            "precision": precision,
            "values": np.array(of_sets),
        }.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, np.float32)), persistent=False)
        self.of_training = True

    def weights_of(self, users: Users, movies: Tensor) -> Tensor:
        """w, [U, k], of the users in training or of other people, from c of the catalogue, [N, k].

        Of other people: (Σ c cᵀ + σ²Σ⁻¹)⁻¹ (Σ c (y - b) + σ²Σ⁻¹ w).
        """
        if self.of_training:
            return self.weights
        people = [
            self._posterior_of(users, movies, torch.arange(start, min(start + CHUNK, len(users))))
            for start in range(0, len(users), CHUNK)
        ]
        return torch.cat(people) if people else movies.new_zeros(0, movies.shape[1])

    def with_people(self, number: int) -> OneRegression:
        """The same for other people."""
        others = shared_copy(self)
        others.of_training, others.weights = False, self.mean.repeat(number, 1)
        return others

    def with_movies(self, number: int) -> OneRegression:
        """The same for a catalogue with more movies at its end, which nobody has rated."""
        larger = shared_copy(self)
        larger.item_bias = F.pad(self.item_bias, (0, number))
        return larger

    def _posterior_of(self, users: Users, movies: Tensor, people: Tensor) -> Tensor:
        gram = self.precision.double().repeat(len(people), 1, 1)
        moments = (self.precision @ self.mean).double().repeat(len(people), 1)
        for histories, value in zip((users.liked, users.disliked), self.values):
            sets = histories.of(people.to(self.mean.device))
            padded = _padded(sets.row, sets.movie, len(people), len(movies))  # [R, most movies of one person]
            c = F.pad(movies, (0, 0, 0, 1))[padded].double()
            left = F.pad(value - self.item_bias, (0, 1))[padded].double()
            gram += c.transpose(1, 2) @ c
            moments += (c * left[:, :, None]).sum(dim=1)
        return torch.linalg.solve(gram, moments).float()


def _spread(values: np.ndarray, columns: np.ndarray, size: int) -> np.ndarray:
    """``values`` [..., k] in some columns of [..., size], zero in the others."""
    spread = np.zeros((*values.shape[:-1], size))
    spread[..., columns] = values
    return spread


def _padded(rows: Tensor, movies: Tensor, row_num: int, filler: int) -> Tensor:
    """Movies of each row beside each other, [row_num, most movies of a row], ``filler`` where a row has fewer."""
    counts = torch.bincount(rows, minlength=row_num)
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    padded = torch.full((row_num, int(counts.max()) if len(counts) else 0), filler, device=rows.device)
    padded[rows, place] = movies
    return padded
