"""What a model class can do and what it needs, for the code that runs any model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recbole_mm.model.tasks.base import Task


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of a model class; the defaults hold for a built-in model of RecBole.

    Attributes:
        tasks: tasks that a multitask model can learn, by name, in the order in which they are created; empty for every
            other model. The option ``tasks`` chooses among them.
        predicts_ratings: it has ``predict_rating`` and is trained on ratings (of a model without ``tasks``).
        is_rating_form: it is a built-in model of RecBole that is trained on ratings with a squared error.
        reads_vectors: it needs the vectors of the movies.
        reads_genres: genres are an input of the model, as its label in tables of results says.
        reads_attributes: attributes of users and the year of a movie are inputs of the model.
    """

    tasks: Mapping[str, type[Task]] = field(default_factory=dict)
    predicts_ratings: bool = False
    is_rating_form: bool = False
    reads_vectors: bool = False
    reads_genres: bool = False
    reads_attributes: bool = False


def capabilities_of(model_class: type) -> Capabilities:
    """The attribute ``capabilities`` of a model of this package, the defaults for a built-in model."""
    return getattr(model_class, "capabilities", Capabilities())
