"""A trained model with other movies, other people or fewer modalities: the same weights, no training.

Each function returns a model that shares its weights with ``model``, which does not change. All methods of a model
work on a variant. Movies added here are like cold movies of the data set; people are users with bias 0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from recbole_mm.model.catalogue import Catalogue
from recbole_mm.model.recommender import MultitaskRecommender as Model
from recbole_mm.model.sharing import shared_copy
from recbole_mm.model.tasks.base import Task
from recbole_mm.model.users import Users


def with_movies(model: Model, vectors: Mapping[str, Tensor]) -> Model:
    """The model over a catalogue of M more movies that nobody has rated, with ids ``n_items`` to ``n_items`` + M - 1.

    Args:
        vectors: for each modality that the movies have, raw vectors [M, dimension]; a modality left out, or a row with
            a number that is not finite, is missing.

    Raises:
        InputError: an unknown modality, or vectors of another shape than the model was trained on.
    """
    number = max((len(rows) for rows in vectors.values()), default=0)
    larger = _variant(model, model.catalogue.with_movies(vectors, number))
    larger.n_items = model.n_items + number
    larger.users = model.users.with_catalogue(larger.n_items)
    return larger


def with_people(model: Model, liked: Sequence[Sequence[int]], disliked: Sequence[Sequence[int]]) -> Model:
    """The model with other users, ids 0 to R - 1: each has the movies they like and dislike, and bias 0.

    Args:
        liked, disliked: for each of the R people, ids of movies.
    """
    others = _with_tasks(model, lambda task: task.with_people(len(liked)))
    others.n_users = len(liked)
    others.users = Users.of_people(liked, disliked, model.n_items).to(model.catalogue.has_ratings.device)
    with torch.no_grad():
        encoded = replace(model.encoded(), users=others.users)  # the movies are the same: they are not encoded again
        states = {name: task.state(encoded) for name, task in others.learned_tasks.items()}
    others.use_encoded(replace(encoded, states=states))
    return others


def with_modalities(model: Model, names: Collection[str]) -> Model:
    """The model in which all movies lack the modalities that are not among ``names``.

    Raises:
        InputError: an unknown modality.
    """
    return _variant(model, model.catalogue.with_modalities(names))


def with_presence(model: Model, present: Mapping[str, Tensor]) -> Model:
    """The model in which only the movies of ``present``, bool [N] for each modality named, have a vector."""
    return _variant(model, model.catalogue.with_presence(present))


def without_ratings(model: Model) -> Model:
    """The model in which every movie is cold: it loses all that was learned from its ratings."""
    return _variant(model, model.catalogue.without_ratings())


def without_raters(model: Model) -> Model:
    """The model with the same predictions, which no longer needs to know who rated which movie in training.

    Its users keep their profiles; `with_people` gives it others.
    """
    return _with_tasks(model, lambda task: task.without_raters())


def with_candidates(model: Model, other: Model) -> Model:
    """The users of ``model`` with the movies of ``other``; both models have the same catalogue."""
    mixed = shared_copy(model)
    mine, theirs = model.encoded(), other.encoded()
    states = {
        name: task.with_candidates(mine.states[name], theirs.states[name]) for name, task in model.learned_tasks.items()
    }
    mixed.use_encoded(replace(theirs, users=mine.users, states=states))
    return mixed


def _variant(model: Model, catalogue: Catalogue) -> Model:
    """The model with another catalogue."""
    other = _with_tasks(model, lambda task: task.with_catalogue(catalogue))
    other.catalogue = catalogue
    return other


def _with_tasks(model: Model, change: Callable[[Task], Task]) -> Model:
    """The model with changed tasks."""
    other = shared_copy(model)
    other.tasks = nn.ModuleDict({name: change(task) for name, task in model.learned_tasks.items()})
    other.use_encoded(None)
    return other
