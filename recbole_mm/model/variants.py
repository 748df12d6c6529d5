"""A trained model over other movies, other people or fewer modalities: the same weights, nothing is trained.

Each function returns a model that shares its weights with the one given, which stays as it is. All methods of a model
work on a variant: movies added here are to it what cold movies of the data set are, people are users without a bias.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.errors import InputError, nearest
from recbole_mm.model.recommender import MultimodalMultitaskRecommender as Model
from recbole_mm.model.users import UserHistories

_Module = TypeVar("_Module", bound=nn.Module)


def with_movies(model: Model, vectors: dict[str, Tensor]) -> Model:
    """The model over a catalogue of M more movies that nobody has rated, with ids ``n_items`` to ``n_items`` + M - 1.

    Args:
        vectors: for each modality that the movies have, raw vectors [M, dimension]; a modality left out, or a row with
            a number that is not finite, is missing.

    Raises:
        InputError: an unknown modality, or vectors of another shape than the model was trained on.
    """
    count = max((len(given) for given in vectors.values()), default=0)
    if unknown := sorted(set(vectors) - set(model.modalities)):
        raise InputError(
            f"vectors: no modality '{unknown[0]}'; the model has {', '.join(model.modalities)}."
            f"{nearest(unknown[0], model.modalities)}"
        )
    larger = _shared_copy(model)
    for name in model.modalities:
        values, present = getattr(model, f"values_{name}"), getattr(model, f"present_{name}")
        dimension = model.standardizers[f"field_{name}"].dimension
        given = vectors.get(name, values.new_full((count, dimension), float("nan"))).to(values)
        if given.shape != (count, dimension):
            raise InputError(
                f"vectors: '{name}' has shape {tuple(given.shape)}, but the model takes ({count}, {dimension})"
            )
        here = given.isfinite().all(dim=1)
        standard = torch.where(here[:, None], model.standardizers[f"field_{name}"](given), 0.0)
        setattr(larger, f"values_{name}", torch.cat([values, standard]))
        setattr(larger, f"present_{name}", torch.cat([present, here]))
    larger.n_items = model.n_items + count
    larger.trained = F.pad(model.trained, (0, count))
    if model.identity is not None:
        larger.identity = _with_rows(model.identity, "vectors", count)
        larger.identity.trained = larger.trained
    if model.ranks:
        larger.ranking_head = _with_rows(model.ranking_head, "residual", count)
    if model.ease_weight:
        larger.ease = _shared_copy(model.ease)
        larger.ease.weights = F.pad(model.ease.weights, (0, count, 0, count))
    larger.liked, larger.disliked = (_of_catalogue(sets, larger.n_items) for sets in (model.liked, model.disliked))
    larger.vectors_changed()
    return larger


def with_people(model: Model, liked: Sequence[Sequence[int]], disliked: Sequence[Sequence[int]]) -> Model:
    """The model with other users, ids 0 to R - 1: each is the movies they like and those they do not, and has bias 0.

    Args:
        liked, disliked: for each of the R people, ids of movies.
    """
    others = _shared_copy(model)
    others.n_users = len(liked)
    others.liked, others.disliked = (_averages(sets, model) for sets in (liked, disliked))
    if model.rating_bias:
        others.user_bias = nn.Parameter(torch.zeros(len(liked)).to(model.user_bias), requires_grad=False)
    others._encoded = None
    return others


def with_modalities(model: Model, names: Collection[str]) -> Model:
    """The model in which all movies lack the modalities that are not among ``names``.

    Raises:
        InputError: an unknown modality.
    """
    if unknown := sorted(set(names) - set(model.modalities)):
        raise InputError(
            f"modalities: the model has no '{unknown[0]}' but {', '.join(model.modalities)}."
            f"{nearest(unknown[0], model.modalities)}"
        )
    narrower = _shared_copy(model)
    narrower._encoded = None
    for name in set(model.modalities) - set(names):
        narrower.set_present(name, torch.zeros_like(getattr(model, f"present_{name}")))
    return narrower


def with_candidates(model: Model, other: Model) -> Model:
    """The users of ``model``, as they are there, before the movies as ``other`` sees them (both: one catalogue)."""
    mixed = _shared_copy(model)
    if model.ease_weight:
        mixed.ease = other.ease
    theirs = other._evaluation_state()
    mixed._encoded = replace(model._evaluation_state(), movies=theirs.movies, ranked=theirs.ranked)
    return mixed


def without_ratings(model: Model) -> Model:
    """The model in which no movie has what its ratings taught beside its content: all are as cold movies are."""
    colder = _shared_copy(model)
    colder.trained = torch.zeros_like(model.trained)
    if model.identity is not None:
        colder.identity = _shared_copy(model.identity)
        colder.identity.trained = colder.trained
    if model.ease_weight:
        colder.ease = _shared_copy(model.ease)
        colder.ease.weights = torch.zeros_like(model.ease.weights)
    colder._encoded = None
    return colder


def _shared_copy(module: _Module) -> _Module:
    """A module of the same tensors, any of which can be replaced there without touching the first."""
    other = copy.copy(module)
    for name in ("_parameters", "_buffers", "_modules"):
        other.__dict__[name] = dict(module.__dict__[name])
    return other


def _with_rows(module: _Module, name: str, count: int) -> _Module:
    """A module whose parameter ``name`` [N, …] has rows of zeros for ``count`` movies without ratings."""
    other = _shared_copy(module)
    setattr(other, name, nn.Parameter(F.pad(getattr(module, name).detach(), (0, 0, 0, count)), requires_grad=False))
    return other


def _of_catalogue(sets: UserHistories, item_num: int) -> UserHistories:
    pairs = sets.pairs.cpu().numpy()
    larger = UserHistories(pairs // sets.item_num, pairs % sets.item_num, len(sets.counts), item_num)
    return larger.to(sets.counts.device)


def _averages(sets: Sequence[Sequence[int]], model: Model) -> UserHistories:
    people = np.repeat(np.arange(len(sets)), [len(movies) for movies in sets])
    movies = np.concatenate([np.asarray(movies, dtype=np.int64) for movies in sets]) if len(sets) else people
    return UserHistories(people, movies, len(sets), model.n_items).to(model.mean_rating.device)
