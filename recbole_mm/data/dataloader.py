"""From a split to what a trainer iterates over and evaluates on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from recbole.data import create_samplers
from recbole.data.dataloader import AbstractDataLoader, TrainDataLoader
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.data.utils import get_dataloader
from recbole.sampler import KGSampler
from recbole.utils import ModelType
from torch import Tensor

from recbole_mm.data.splits import Split


@dataclass(frozen=True)
class EvaluationData:
    """One part of a split, as the three metric families need it.

    Attributes:
        rows: the part's interactions, for rating metrics.
        ranking: RecBole's loader of the same rows for ranking (or its value) metrics; None if none is asked for.
        candidates: movies that may be ranked, bool [item_num]; None for the whole catalogue.
        genre_items: movies whose held-out genres are predicted, ids [n]; None if no genre metric is asked for.
        genres: their targets, 0/1 [n, G].
    """

    rows: Dataset
    ranking: AbstractDataLoader | None
    candidates: Tensor | None
    genre_items: Tensor | None
    genres: Tensor | None


class RatingDataLoader(TrainDataLoader):
    """RecBole's training loader for rows without negatives, with batches as slices of the shuffled rows.

    RecBole looks each batch's rows and their users' and items' fields up anew, through a Python list.
    """

    def __init__(self, config, dataset, sampler, shuffle=False) -> None:
        super().__init__(config, dataset, sampler, shuffle=shuffle)
        self.rows = dataset[:]  # with the fields of users and items, where the model reads any

    def __iter__(self) -> Iterator[Interaction]:
        rows = self.rows
        if self.shuffle:
            order = torch.randperm(len(rows), generator=self.generator)
            rows = Interaction({name: rows[name][order] for name in rows.columns})
        return (rows[start : start + self.step] for start in range(0, len(rows), self.step))


def data_preparation(config, dataset: Dataset, split: Split):
    """Training loader and the evaluation data of the validation and the test part.

    Samplers and loaders are RecBole's own.
    """
    parts = [split.train, split.valid, split.test]
    train_sampler, *evaluation_samplers = create_samplers(config, dataset, parts)
    extra = ()
    if config["MODEL_TYPE"] == ModelType.KNOWLEDGE:
        arguments = config["train_neg_sample_args"]
        extra = (KGSampler(dataset, arguments["distribution"], arguments["alpha"]),)
    loader = RatingDataLoader if config.predicts_ratings else get_dataloader(config, "train")
    train = loader(config, split.train, train_sampler, *extra, shuffle=config["shuffle"])
    valid, test = (
        _evaluation_data(config, phase, split, sampler)
        for phase, sampler in zip(("valid", "test"), evaluation_samplers)
    )
    return train, valid, test


def _evaluation_data(config, phase: str, split: Split, sampler) -> EvaluationData:
    rows = getattr(split, phase)
    ranking = candidates = genre_items = genres = None
    if config["metrics"]:
        ranking = get_dataloader(config, phase)(config, rows, sampler, shuffle=False)
    if split.cold_items is not None:
        candidates = torch.zeros(rows.item_num, dtype=torch.bool)
        candidates[getattr(split.cold_items, phase)] = True
    if config["genre_metrics"] and split.genre_items is not None:
        genre_items = getattr(split.genre_items, phase)
        genres = rows.genres[genre_items]
    return EvaluationData(rows, ranking, candidates, genre_items, genres)
