"""RecBole's atomic files plus one vector file per modality, aligned by item token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import recbole.data.dataset
import torch
from recbole.data.dataset import Dataset, KnowledgeBasedDataset, SequentialDataset
from recbole.utils import ModelType

from recbole_mm.data.corruption import corrupt
from recbole_mm.data.labels import ItemSplit, MovieLabels
from recbole_mm.data.modality import Modality
from recbole_mm.data.row_groups import rows_by_ratio
from recbole_mm.data.vectors import align, read_vectors

# A field that so few items have is logged as a warning: its ids may be those of another data set.
RARE = 0.05


class MultimodalDataset(Dataset):
    """RecBole's dataset with side-feature fields of movies and the targets of the genre task.

    The vectors stay out of ``item_feat``: RecBole would copy them into every batch.

    Attributes:
        modalities: one `Modality` for each field named by the option ``modalities``.
        labels: labels of the movies, for each task of the run that predicts some.
        label_items: for the same tasks, whose labels are trained on, validated and tested; set by `build_split`.

    Raises:
        InputError: a vector file is missing or wrong, or a field of labels is absent.
    """

    inter_feat: Any  # RecBole leaves the first two untyped: a table while it reads the files, an Interaction afterwards
    item_feat: Any
    modalities: dict[str, Modality]
    labels: dict[str, MovieLabels]
    label_items: dict[str, ItemSplit]

    def _data_processing(self) -> None:
        super()._data_processing()
        self.modalities = read_modalities(self)
        readers = {task.name: task.read_labels for task in self.config.task_classes if hasattr(task, "read_labels")}
        self.labels = {name: read(self) for name, read in readers.items()}

    def titles(self) -> np.ndarray:
        """Title of each item, str [item_num]; empty where there is none."""
        field = self.config["title_field"]
        if self.item_feat is None or field not in self.item_feat.columns:
            return np.full(self.item_num, "")
        tokens, titles = self.field2id_token[field], [""] * self.item_num
        for item, words in zip(self.item_feat[self.iid_field], self.item_feat[field]):
            words = np.atleast_1d(np.asarray(words))
            titles[int(item)] = " ".join(tokens[words[words != 0]])
        return np.array(titles)

    def split_by_ratio(self, ratios, group_by=None):
        """RecBole's split into the same parts, without a list of row numbers for each user."""
        if group_by is None:
            return super().split_by_ratio(ratios)
        ratios = [ratio / sum(ratios) for ratio in ratios]
        parts = rows_by_ratio(self.inter_feat[group_by].numpy(), lambda rows: self._calcu_split_ids(rows, ratios))
        self._drop_unused_col()
        return [self.copy(self.inter_feat[torch.from_numpy(part)]) for part in parts]

    def join(self, df):
        """Interactions as they are: models of this package look features up by id, batches need no copy."""
        return df


class KnowledgeDataset(KnowledgeBasedDataset):
    """RecBole's dataset of a knowledge graph, also for data that are split already (RecBole issue 1718).

    RecBole leaves out links of items that are not rated, and of entities without a triple, only where it splits the
    data itself; elsewhere such a link is a KeyError.
    """

    def _remap_ID_all(self) -> None:
        if self.benchmark_filename_list is not None:
            rows = self.inter_feat
            self.inter_feat = rows.copy()
            self._filter_link()
            self.inter_feat = rows  # items without an entity keep their rows, whose numbers say which part they are
        super()._remap_ID_all()


def dataset_class_of(config) -> type[Dataset]:
    """Class of a run's data set: ours for a multitask model, RecBole's for any other.

    RecBole's own `create_dataset` reads a pickled data set instead where it finds one, and that can run code.
    """
    if config.is_multitask:
        return MultimodalDataset
    of_type = {ModelType.SEQUENTIAL: SequentialDataset, ModelType.KNOWLEDGE: KnowledgeDataset}
    own = getattr(recbole.data.dataset, f"{config['model']}Dataset", None)
    return own or of_type.get(config["MODEL_TYPE"], Dataset)


def read_modalities(dataset: Dataset) -> dict[str, Modality]:
    """The fields named by the option ``modalities``, aligned with the items of any RecBole dataset.

    The option ``modality_corruption`` corrupts them, which shows what they are worth (`recbole_mm.data.corruption`).

    Raises:
        InputError: a vector file is missing or wrong.
    """
    config, token2id = dataset.config, dataset.field2token_id[dataset.iid_field]
    modalities = {}
    for field in config["modalities"]:
        if field == "meta" and config["metadata_genre"]:
            field = "meta_genre"  # the ablation: metadata that give the genre away, under a name that says so
        table = read_vectors(
            Path(dataset.dataset_path), dataset.dataset_name, field, non_finite=config["non_finite_vectors"]
        )
        values, present = align(table, token2id, dataset.item_num)
        modalities[field] = Modality(torch.from_numpy(values), torch.from_numpy(present))
        covered, items = int(present.sum()), dataset.item_num - 1
        tell = dataset.logger.warning if covered < RARE * items else dataset.logger.info
        tell(f"{field}: {covered:,} of {items:,} items have a vector, {table.dimension}-d")
    return corrupt(modalities, config["modality_corruption"], config["missing_ratio"], config["seed"])


def same_movie_groups(dataset: Dataset) -> np.ndarray:
    """Group number of each item, int [item_num]: items of the same title and year are one movie.

    MovieLens-100K lists some movies under two ids; a split by movie must keep both on one side. Without a
    title field each item is a group of its own.
    """
    groups = np.arange(dataset.item_num)
    title_field, year_field = dataset.config["title_field"], dataset.config["year_field"]
    features = dataset.item_feat
    if features is None or title_field not in features.columns:
        return groups
    first: dict[tuple, int] = {}
    items = np.asarray(features[dataset.iid_field])
    titles = [tuple(np.atleast_1d(np.asarray(title)).tolist()) for title in features[title_field]]
    years = np.asarray(features[year_field]) if year_field in features.columns else np.zeros(len(items))
    for item, title, year in zip(items, titles, years):
        title = tuple(token for token in title if token != 0)
        if item and title:
            groups[item] = first.setdefault((title, int(year)), item)
    return groups
