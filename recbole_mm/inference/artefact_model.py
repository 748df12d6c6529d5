"""The model of a file: built empty at its sizes, then filled with the file's tensors, each of which must fit."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from recbole_mm.config.config import Config
from recbole_mm.data.labels import ItemSplit, MovieLabels
from recbole_mm.data.modality import Modality
from recbole_mm.errors import InputError
from recbole_mm.model import variants
from recbole_mm.model.recommender import MultitaskRecommender
from recbole_mm.model.registry import MODELS

# Parts of a name: what training alone needs, or what is rebuilt from the histories.
_NOT_SERVED = {"users", "history", "targets", "training_movies"}


@dataclass(frozen=True)
class EmptyDataset:
    """As much of a `MultimodalDataset` as a model is built from: sizes, without content.

    Its only row is of [PAD]: it has no movie with ratings, so that nothing is fitted.
    """

    dataset_name: str
    uid_field: str
    iid_field: str
    user_num: int
    item_num: int
    modalities: Mapping[str, Modality]
    labels: Mapping[str, MovieLabels]
    inter_feat: Mapping[str, Tensor] = field(default_factory=dict)

    def num(self, name: str) -> int:
        """Number of ids of a field."""
        return {self.uid_field: self.user_num, self.iid_field: self.item_num}[name]

    @property
    def label_items(self) -> dict[str, ItemSplit]:
        """[PAD] alone has labels to train on."""
        return {task: ItemSplit(*[torch.zeros(1, dtype=torch.long)] * 3) for task in self.labels}


class NoLargerThan(TorchFunctionMode):
    """Refuse to create a tensor of more numbers than ``limit``, before memory is taken.

    A file of a few bytes could otherwise ask for any amount of memory by its options.
    """

    FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in self.FACTORIES and func(*args, **{**kwargs, "device": "meta"}).numel() > self.limit:
            raise ValueError("a tensor would be larger than all of the file")
        return func(*args, **kwargs)


def build_model(
    path: str | Path, content: Mapping[str, Any], sizes: tuple[int, int], numbers: int | None = None
) -> MultitaskRecommender:
    """The model that the content describes, without any of its numbers.

    Args:
        path: the file, for messages.
        content: model, dataset, options, modalities and labels, of the kinds that `recbole_mm.inference.artefact`
            checks.
        sizes: numbers of users and movies, [PAD] included.
        numbers: how many numbers all tensors of the file have, where it is a file that is read.

    Raises:
        InputError: an option is wrong, or the sizes contradict the options.
    """
    if content["model"] not in MODELS:
        raise InputError(f"{path}: holds a {content['model'][:40]!r}, not one of {', '.join(MODELS)}")
    # No file lies below a file: options beside a data set that happens to be here have no influence.
    options = {**content["options"], "data_path": str(path)}
    options |= {"model": content["model"], "dataset": content["dataset"]}
    try:
        config = Config.from_plain(options)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    users, movies = sizes
    names = [one["name"] for one in content["modalities"]]
    if names != list(config["modalities"]) or set(content["labels"]) - set(config["tasks"]):
        raise InputError(f"{path}: its modalities or labels are not those of its options; save the model again")
    numbers = sys.maxsize if numbers is None else numbers
    if movies * sum(one["components"] for one in content["modalities"]) > numbers:
        raise InputError(f"{path}: has fewer vectors than its modalities need; save the model again")
    tasks, components = config["tasks"], config["regression_components"] if config["regression_weight"] else 0
    if "rating" in tasks and components**2 > numbers:  # the prior of the first regression has more
        raise InputError(f"{path}: has fewer numbers than its regression_components need; save the model again")
    rotated = {one["name"]: one for one in content["modalities"] if config["pca_components"]}
    dataset = EmptyDataset(
        content["dataset"],
        config["USER_ID_FIELD"],
        config["ITEM_ID_FIELD"],
        users,
        movies,
        {one["name"]: _no_vectors(movies, one["components"]) for one in content["modalities"]},
        {
            task: MovieLabels(list(names), torch.zeros(1, len(names)).expand(movies, -1))
            for task, names in content["labels"].items()
        },
        {
            config["USER_ID_FIELD"]: torch.zeros(1, dtype=torch.long),
            config["ITEM_ID_FIELD"]: torch.zeros(1, dtype=torch.long),
            config["RATING_FIELD"]: torch.tensor([float(config["like_threshold"])]),
        },
    )
    try:
        with NoLargerThan(numbers):
            model = config.model_class({**config.final_config_dict, "pca_components": None}, dataset)
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: no model can be built from its options ({type(error).__name__}: {error}); save the model again"
        ) from error
    for name, one in rotated.items():
        model.catalogue.field(name).standardizer.rotate_first(one["dimension"])
    return variants.without_raters(model.eval()).to(config["device"])


def tensors_of(model: MultitaskRecommender) -> dict[str, Tensor]:
    """Parameters and buffers by name, as far as predictions for people outside the data set need them."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor for name, tensor in named if not _NOT_SERVED & set(name.split("."))}


def fill(path: str | Path, model: MultitaskRecommender, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors in the place of the model's own.

    Raises:
        InputError: one is missing, unknown, of another shape or type than the model's own, or not finite.
    """
    own = tensors_of(model)
    parameters = {name for name, _ in model.named_parameters()}
    if different := sorted(own.keys() ^ tensors.keys()):
        state = "missing" if different[0] in own else "unknown"
        raise InputError(f"{path}: tensor 'model.{different[0][:60]}' is {state}; save the model again")
    for name, tensor in tensors.items():
        wanted = own[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise InputError(
                f"{path}: tensor 'model.{name}' is {tensor.dtype} {tuple(tensor.shape)}, but the model's options need "
                f"{wanted.dtype} {tuple(wanted.shape)}; save the model again"
            )
        if tensor.is_floating_point() and not _is_sound(tensor, name in parameters):
            raise InputError(f"{path}: tensor 'model.{name}' has values that are nan or infinite; use another file")
        _put(model, name, tensor.to(wanted.device))
    model.use_encoded(None)
    with torch.no_grad():
        if not all(part.isfinite().all() for part in model.encoded().movies.of_task.values()):
            raise InputError(f"{path}: its movies are encoded to values that are not finite; use another file")
    model.use_encoded(None)


def _is_sound(tensor: Tensor, is_parameter: bool) -> bool:
    """Buffers may hold infinity: the deviation of a column that a rotation drops."""
    return bool(tensor.isfinite().all() if is_parameter else ~tensor.isnan().any())


def _put(model: nn.Module, name: str, tensor: Tensor) -> None:
    *path, last = name.split(".")
    module = model.get_submodule(".".join(path))
    is_parameter = isinstance(getattr(module, last), nn.Parameter)
    setattr(module, last, nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor)


def _no_vectors(movies: int, dimension: int) -> Modality:
    return Modality(torch.zeros(1, dimension).expand(movies, dimension), torch.zeros(movies, dtype=torch.bool))
