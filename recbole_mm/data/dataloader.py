"""From a split to what a trainer iterates over and evaluates on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from recbole.data import create_samplers
from recbole.data.dataloader import AbstractDataLoader, KnowledgeBasedDataLoader, TrainDataLoader
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.data.utils import get_dataloader
from recbole.sampler import KGSampler
from recbole.utils import ModelType
from torch import Tensor

from recbole_mm.data.catalogue_loader import CatalogueLoader
from recbole_mm.data.labels import HeldOutLabels
from recbole_mm.data.row_groups import places_of_runs, stable_order
from recbole_mm.data.splits import Split

Phase = Literal["valid", "test"]
PHASES: tuple[Phase, Phase] = ("valid", "test")


@dataclass(frozen=True)
class EvaluationData:
    """One part of a split, as the metric families need it.

    Attributes:
        rows: the part's interactions, for rating metrics.
        ranking: RecBole's loader of the same rows for ranking (or its value) metrics; None if none is asked for.
        candidates: movies that may be ranked, bool [item_num]; None for the whole catalogue.
        labels: for each task whose metrics are asked for, the movies of the part whose labels are held out.
    """

    rows: Dataset
    ranking: AbstractDataLoader | None
    candidates: Tensor | None
    labels: dict[str, HeldOutLabels]


class RatingDataLoader(TrainDataLoader):
    """RecBole's training loader for rows without negatives, with batches as slices of the shuffled rows.

    RecBole looks each batch's rows and their users' and items' fields up anew, through a Python list.

    With ``batches_of: users`` the users are shuffled and a user's rows stay together, so that a step needs the profiles
    of few users: with random rows, those of almost all.
    """

    def __init__(self, config, dataset, sampler, shuffle=False) -> None:
        super().__init__(config, dataset, sampler, shuffle=shuffle)
        self.rows = dataset[:]  # with the fields of users and items, where the model reads any
        self.by_user = None
        if config["batches_of"] == "users":
            users = dataset.inter_feat[dataset.uid_field]
            order = stable_order(users.numpy(), dataset.user_num)
            self.by_user = UserRows(torch.from_numpy(order), users.bincount(minlength=dataset.user_num))

    def __iter__(self) -> Iterator[Interaction]:
        rows = self.rows
        if not self.shuffle:
            return (rows[start : start + self.step] for start in range(0, len(rows), self.step))
        order = self.by_user.shuffled(self.generator) if self.by_user else self._random_order()
        return (rows[order[start : start + self.step]] for start in range(0, len(order), self.step))

    def _random_order(self) -> Tensor:
        return torch.randperm(len(self.rows), generator=self.generator)


@dataclass(frozen=True)
class UserRows:
    """Which rows are whose.

    Attributes:
        rows: rows in the order of their users, [n].
        counts: rows of each user, [U].
    """

    rows: Tensor
    counts: Tensor

    def shuffled(self, generator: torch.Generator | None) -> Tensor:
        """All rows, [n], a user's together, the users in random order."""
        users = torch.randperm(len(self.counts), generator=generator)
        starts = self.counts.cumsum(0) - self.counts
        return self.rows[places_of_runs(starts[users], self.counts[users])]


def data_preparation(config, dataset: Dataset, split: Split):
    """Training loader and the evaluation data of the validation and the test part.

    Samplers and loaders are RecBole's own, but for training on rows without negatives and for ranking the catalogue.
    """
    parts = [split.train, split.valid, split.test]
    needs_samplers = not config.trains_on_rows or any(not _ranks_catalogue(config, phase) for phase in PHASES)
    train_sampler, *evaluation_samplers = create_samplers(config, dataset, parts) if needs_samplers else [None] * 3
    extra = ()
    if config["MODEL_TYPE"] == ModelType.KNOWLEDGE:
        arguments = config["train_neg_sample_args"]
        extra = (KGSampler(dataset, arguments["distribution"], arguments["alpha"]),)
    loader = RatingDataLoader if config.trains_on_rows else _recbole_loader(config, "train")
    train = loader(config, split.train, train_sampler, *extra, shuffle=config["shuffle"])
    valid, test = (
        _evaluation_data(config, phase, split, sampler) for phase, sampler in zip(PHASES, evaluation_samplers)
    )
    return train, valid, test


def loaders_of(train: Any) -> list[Any]:
    """The loaders that shuffle: a knowledge model has one of ratings and one of triples, any other model one."""
    if isinstance(train, KnowledgeBasedDataLoader):
        return [train.general_dataloader, train.kg_dataloader]
    return [train]


def _recbole_loader(config, phase: Literal["train"] | Phase) -> Callable[..., Any]:
    """RecBole's loader class; its arguments depend on the kind of model."""
    return get_dataloader(config, phase)


def _ranks_catalogue(config, phase: Phase) -> bool:
    return config["eval_args"]["mode"][phase] == "full" and config["MODEL_TYPE"] != ModelType.SEQUENTIAL


def _evaluation_data(config, phase: Phase, split: Split, sampler) -> EvaluationData:
    rows = getattr(split, phase)
    ranking = candidates = None
    if config["metrics"] and _ranks_catalogue(config, phase):
        ranking = CatalogueLoader(config, rows, [split.train] if phase == "valid" else [split.train, split.valid])
    elif config["metrics"]:
        ranking = _recbole_loader(config, phase)(config, rows, sampler, shuffle=False)
    if split.cold_items is not None:
        candidates = torch.zeros(rows.item_num, dtype=torch.bool)
        candidates[getattr(split.cold_items, phase)] = True
    labels = {}
    for task, items in split.label_items.items():
        if task in config["metrics_of"]:
            held_out = getattr(items, phase)
            labels[task] = HeldOutLabels(held_out, rows.labels[task].targets[held_out])
    return EvaluationData(rows, ranking, candidates, labels)
