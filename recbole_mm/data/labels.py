"""Labels of movies: what tasks such as genre classification predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from recbole.data.dataset import Dataset
from torch import Tensor

from recbole_mm.errors import InputError, nearest

# What releases write where a movie has no genre: MovieLens-100K, MovieLens-20M and MMTF-14K.
NO_GENRE = {"unknown", "(no genres listed)"}


@dataclass(frozen=True)
class MovieLabels:
    """Labels of every movie of a catalogue.

    Attributes:
        names: the G labels, in column order.
        targets: 0/1, float32 [item_num, G].
        labelled: movies with at least one label, bool [item_num].
    """

    names: list[str]
    targets: Tensor

    @property
    def labelled(self) -> Tensor:
        return self.targets.any(dim=1)


@dataclass(frozen=True)
class HeldOutLabels:
    """Movies of one part whose labels are held out: ids [n], and their targets, 0/1 [n, G]."""

    items: Tensor
    targets: Tensor


@dataclass(frozen=True)
class ItemSplit:
    """Items of each part, integer ids; [PAD] is in none of them."""

    train: Tensor
    valid: Tensor
    test: Tensor


def read_genres(dataset: Dataset) -> MovieLabels:
    """Genres from the genre field of the .item file, in alphabetical order.

    Raises:
        InputError: the field is absent or holds no genre.
    """
    field, item_file = dataset.config["genre_field"], f"{dataset.dataset_name}.item"
    if dataset.item_feat is None or field not in dataset.item_feat.columns:
        fields = [] if dataset.item_feat is None else list(dataset.item_feat.columns)
        raise InputError(
            f"{item_file}: no field '{field}' to take genres from.{nearest(field, fields)} "
            f"Set genre_field to the genre column of the file and list it in load_col: item."
        )
    tokens = dataset.field2id_token[field]
    # By name, not in the order of the file: there the first held-out movie could decide the columns.
    kept = sorted((i for i in range(1, len(tokens)) if tokens[i].lower() not in NO_GENRE), key=lambda i: tokens[i])
    if not kept:
        raise InputError(
            f"{item_file}: field '{field}' holds no genre, and genre classification needs at least one; add genres, or "
            f"leave 'genre' out of the option tasks"
        )
    column = {token_id: j for j, token_id in enumerate(kept)}
    targets = torch.zeros(dataset.item_num, len(kept))
    for item, sequence in zip(dataset.item_feat[dataset.iid_field], dataset.item_feat[field]):
        for token_id in np.atleast_1d(np.asarray(sequence)):
            if int(token_id) in column:
                targets[int(item), column[int(token_id)]] = 1.0
    return MovieLabels([str(tokens[i]) for i in kept], targets)
