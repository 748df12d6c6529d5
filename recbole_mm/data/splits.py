"""Who is trained, validated and tested on what: rows of ratings, candidate movies, and labels held out.

The splits work on any RecBole dataset, so built-in models and ours see the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import cat_interactions
from torch import Tensor

from recbole_mm.data.atomic import PARTS
from recbole_mm.data.dataset import same_movie_groups
from recbole_mm.data.labels import ItemSplit, MovieLabels
from recbole_mm.data.loaded import check_repeated_pairs
from recbole_mm.errors import InputError

FOLDS = 5


@dataclass(frozen=True)
class Split:
    """One protocol applied to one dataset.

    Attributes:
        train, valid, test: datasets that share everything but their interactions.
        cold_items: under ``cold-item``, the movies whose ratings are only in that part; they are the candidates
            of the ranking there. None elsewhere: the candidates are the whole catalogue.
        label_items: for each task that predicts labels of movies, whose labels are trained on, validated and tested.
    """

    train: Dataset
    valid: Dataset
    test: Dataset
    cold_items: ItemSplit | None
    label_items: dict[str, ItemSplit]


def build_split(dataset: Dataset, config) -> Split:
    """Split ``dataset`` by the protocol in ``config`` (options ``split_by``, ``test_fold``, … and ``seed``).

    Raises:
        InputError: a part would be empty, a fold is asked of rows that were filtered, or a pair of user and item
            stands in several parts.
    """
    cold_items = None
    if config["split_by"] == "recbole":
        if config["eval_args"]["order"] == "TO" and not config["benchmark_filename"]:
            order_by_time(dataset)
        parts: list[Any] = dataset.build()
        if len(parts) == 2:
            parts = _with_drawn_validation(dataset, config, *parts)
    else:
        dataset._change_feat_format()
        generator = np.random.default_rng(config["seed"])
        if config["split_by"] == "file_fold":
            rows = _file_fold_rows(dataset, config["test_fold"], config["valid_ratio"], generator)
        elif config["split_by"] == "label":
            rows = _label_rows(dataset, config["split_field"])
        else:
            groups = same_movie_groups(dataset)
            cold_items = _split_items(groups, config["cold_valid_ratio"], config["cold_test_ratio"], generator)
            rows = _cold_item_rows(dataset, cold_items)
        dataset._drop_unused_col()  # as build() does: columns read for the split (titles, parts) are no input
        interactions: Any = dataset.inter_feat
        parts = [dataset.copy(interactions[part]) for part in rows]
        if config["split_by"] == "label" and not len(parts[1]):
            train, _, test = parts
            parts = _with_drawn_validation(dataset, config, train, test)
    for name, part in zip(("training", "validation", "test"), parts):
        if not len(part):
            raise InputError(
                f"{dataset.dataset_name}.inter: protocol '{config['protocol']}' leaves no {name} row; "
                f"use more ratings or another --protocol"
            )
    check_repeated_pairs(dataset, config, parts)
    labels: dict[str, MovieLabels] = getattr(dataset, "labels", {})
    label_items = {
        task: _label_split(dataset, of_task.labelled.numpy(), config, cold_items) for task, of_task in labels.items()
    }
    for part in parts:
        part.label_items = label_items
    return Split(*parts, cold_items=cold_items, label_items=label_items)


def with_validation(split: Split) -> Split:
    """The split whose training part has the validation part's rows and labels too. The other parts are the same."""
    train, valid = split.train, split.valid
    rows: Any = cat_interactions([train.inter_feat, valid.inter_feat])
    larger: Any = train.copy(rows)
    larger.label_items = {
        task: ItemSplit(torch.cat([items.train, items.valid]).sort().values, items.valid, items.test)
        for task, items in split.label_items.items()
    }
    return replace(split, train=larger, label_items=larger.label_items)


def _with_drawn_validation(dataset: Any, config, train: Any, test: Any) -> list[Any]:
    """Three parts of data that are split in two: a random ``valid_ratio`` of the training rows is the validation part.

    At least one row of each is left, where there are two.
    """
    rows = np.random.default_rng(config["seed"]).permutation(len(train))
    size = max(1, round(len(rows) * config["valid_ratio"]))
    chosen = [torch.from_numpy(np.sort(part)) for part in (rows[size:], rows[:size])]
    dataset.logger.warning(
        f"{dataset.dataset_name}: the split has two parts, so that {size:,} of the {len(train):,} training rows, drawn "
        f"at random, are the validation part (option valid_ratio)"
    )
    return [*(train.copy(train.inter_feat[part]) for part in chosen), test]


def order_by_time(dataset: Any) -> None:
    """Order the rows by the times of the file; equal times stay in file order.

    RecBole orders them later, by float32 numbers: 64 to 128 seconds of today's Unix times are one such number. Its
    order is stable, so that it keeps this one.
    """
    rows, field = dataset.inter_feat, dataset.time_field
    if field not in rows:
        raise InputError(
            f"option 'load_col' does not read the field '{field}', which orders the rows; add it to 'inter'"
        )
    times = rows[field].str[0] if rows[field].dtype == object else rows[field]  # a list where it is discretized
    order = np.argsort(times.to_numpy(dtype=np.float64), kind="stable")
    dataset.inter_feat = rows.iloc[order].reset_index(drop=True)


def _file_fold_rows(dataset: Dataset, fold: int, valid_ratio: float, generator: np.random.Generator) -> list[Tensor]:
    """Test: one of five blocks in file order (MovieLens-100K's u1..u5); validation: a random part of the rest."""
    total = len(dataset)
    in_file = _count_rows(Path(dataset.dataset_path) / f"{dataset.dataset_name}.inter")
    if total != in_file:
        raise InputError(
            f"{dataset.dataset_name}.inter: {in_file - total} of {in_file} rows were filtered out, so fold {fold} is "
            f"not the canonical one; remove val_interval, *_inter_num_interval and rm_dup_inter, or use another "
            f"protocol"
        )
    test = np.arange((fold - 1) * total // FOLDS, fold * total // FOLDS)
    rest = generator.permutation(np.setdiff1d(np.arange(total), test))
    valid_size = round(len(rest) * valid_ratio)
    return [torch.from_numpy(np.sort(part)) for part in (rest[valid_size:], rest[:valid_size], test)]


def _label_rows(dataset: Dataset, field: str) -> list[Tensor]:
    """The rows of each part as the data set's publisher has split them (`recbole_mm.data.atomic.PARTS`)."""
    interactions: Any = dataset.inter_feat
    part = dataset.field2id_token[field][interactions[field].numpy()]
    return [torch.from_numpy(np.flatnonzero(part == word)) for word in PARTS]


def _count_rows(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip()) - 1


def _cold_item_rows(dataset: Dataset, cold: ItemSplit) -> list[Tensor]:
    part = torch.zeros(dataset.item_num, dtype=torch.long)
    part[cold.valid], part[cold.test] = 1, 2
    interactions: Any = dataset.inter_feat
    of_row = part[interactions[dataset.iid_field]]
    return [torch.nonzero(of_row == k).squeeze(1) for k in range(3)]


def _split_items(
    groups: np.ndarray,
    valid_ratio: float,
    test_ratio: float,
    generator: np.random.Generator,
    eligible: np.ndarray | None = None,
) -> ItemSplit:
    """Random split of the items 1..N-1 (or the ``eligible`` ones) by movie: a group never spans two parts."""
    items = np.arange(1, len(groups)) if eligible is None else eligible
    movies = generator.permutation(np.unique(groups[items]))
    test_size, valid_size = round(len(movies) * test_ratio), round(len(movies) * valid_ratio)
    test, valid = movies[:test_size], movies[test_size : test_size + valid_size]
    in_test, in_valid = np.isin(groups[items], test), np.isin(groups[items], valid)
    parts = (items[~in_test & ~in_valid], items[in_valid], items[in_test])
    return ItemSplit(*(torch.from_numpy(part) for part in parts))


def _label_split(dataset: Dataset, labelled: np.ndarray, config, cold_items: ItemSplit | None) -> ItemSplit:
    """Movies whose labels are held out: the cold movies where there are any, else a seeded random part.

    Args:
        labelled: movies with labels, bool [item_num].
    """
    if cold_items is not None:
        parts = (cold_items.train, cold_items.valid, cold_items.test)
        return ItemSplit(*(part[torch.from_numpy(labelled[part.numpy()])] for part in parts))
    # A generator of its own: the labels held out are the same under every protocol of one seed.
    generator = np.random.default_rng([config["seed"], 1])
    return _split_items(
        same_movie_groups(dataset),
        config["genre_valid_ratio"],
        config["genre_test_ratio"],
        generator,
        eligible=np.flatnonzero(labelled),
    )
