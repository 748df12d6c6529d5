"""A task: a head on the movies' representation, its losses, its predictions and its metrics.

Shapes: N movies of the catalogue, U users, B pairs, R users of a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from recbole_mm.evaluation.families import MetricFamily
from recbole_mm.model.catalogue import Catalogue
from recbole_mm.model.users import Users

Batch = Mapping[str, Tensor]
"""Rows of a step by field: RecBole's Interaction, or a dict."""


class Requirement(NamedTuple):
    """A field that a task needs: the option that names it, and the atomic file that holds it (inter, item)."""

    option: str
    file: str


@dataclass(frozen=True)
class MovieRepresentations:
    """Representations of the same movies for the tasks.

    Attributes:
        of_task: task -> its representation of the movies, [N, size].
        shared: s, [N, d].
        private: task -> the private part, [N, d'], if the model has any.
    """

    of_task: Mapping[str, Tensor]
    shared: Tensor
    private: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class EncodedCatalogue:
    """All movies encoded once, and the users: the input of losses and predictions.

    Attributes:
        has_identity: movies that keep their identity, bool [N]; see `Catalogue.draw_identity`.
        learned: vectors that the tasks have learned from a movie's ratings only, without gradient, [N, a]; None if no
            task learns such vectors.
        states: task -> what its predictions need besides the movies; empty in training.
    """

    catalogue: Catalogue
    users: Users
    has_identity: Tensor
    movies: MovieRepresentations
    learned: Callable[[], Tensor | None]
    states: Mapping[str, Any] = field(default_factory=dict)


class Task(nn.Module, ABC):
    """One of the things that a model learns from the same movies.

    A task owns its head, its losses and its predictions. The model calls the task and never looks at its name. A task
    that the option ``tasks`` does not list does not exist in the model.

    Args:
        size: length of the representation that the model gives the task.
        catalogue: the movies; the task may read its sizes, and keeps no reference to it.
        dataset: the **training** part.
        config: options of the run.
        learned_size: length of `EncodedCatalogue.learned`.

    Attributes:
        name: of the task in the option ``tasks``.
        family: the metrics that measure it.
        ranks: it has ``score`` and ``score_catalogue``, so that the catalogue can be ordered for a user.
        batch_size: number of movies or users that it draws in a step, besides the batch; None if it draws none.
    """

    name: ClassVar[str]
    family: ClassVar[MetricFamily]
    ranks: ClassVar[bool] = False
    batch_size: int | None = None
    # Their arguments are (user, movie) pairs or movies, by task; the last two are there only where ``ranks``.
    predict: Callable[..., Tensor]
    score: Callable[..., Tensor]
    score_catalogue: Callable[..., Tensor]

    @classmethod
    def requires(cls) -> tuple[Requirement, ...]:
        """Fields of the atomic files without which the task cannot be learned."""
        return ()

    @classmethod
    def weight(cls, config) -> float:
        """Weight of its losses in the sum."""
        return config[f"{cls.name}_weight"]

    @classmethod
    def learned_size(cls, config) -> int:
        """Length of the vectors of `learned`; 0 if there are none."""
        return 0

    # ------------------------------------------------------------------ training

    def draw(self, batch: Batch) -> Tensor | None:
        """Ids of the movies of the task in this step; None for a task about users."""
        return None

    @abstractmethod
    def losses(self, encoded: EncodedCatalogue, batch: Batch, drawn: Tensor | None) -> dict[str, Tensor]:
        """Weighted losses by name.

        Args:
            batch: rows of the training part with user, item and, if the data have ratings, rating, each [B].
            drawn: result of `draw`.
        """

    def learned(self, catalogue: Catalogue, has_identity: Tensor) -> Tensor | None:
        """Vectors that the task has learned from each movie's ratings only, without gradient, [N, learned_size]."""
        return None

    # ------------------------------------------------------------------ prediction

    def state(self, encoded: EncodedCatalogue) -> Any:
        """What predictions need of all users and movies, computed once; see `EncodedCatalogue.states`."""
        return None

    def with_candidates(self, state: Any, other: Any) -> Any:
        """The users of ``state`` with the movies of ``other``, which is a state of the same task."""
        return state

    # ------------------------------------------------------------------ the same weights for others

    def with_catalogue(self, catalogue: Catalogue) -> Task:
        """The task for another catalogue.

        Args:
            catalogue: the same movies, perhaps with more at its end, with fewer vectors or without ratings.
        """
        return self

    def with_people(self, number: int) -> Task:
        """The task for other users, who were not in training."""
        return self

    def without_raters(self) -> Task:
        """The task with the same predictions, which no longer needs to know who rated which movie in training."""
        return self
