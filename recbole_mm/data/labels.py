"""Labels of movies: what tasks such as genre classification predict."""

from __future__ import annotations

from collections.abc import Sequence
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
        InputError: the field is absent or holds no genre, or its texts cannot be split into genres.
    """
    field, item_file = dataset.config["genre_field"], f"{dataset.dataset_name}.item"
    if dataset.item_feat is None or field not in dataset.item_feat.columns:
        fields = [] if dataset.item_feat is None else list(dataset.item_feat.columns)
        raise InputError(
            f"{item_file}: no field '{field}' to take genres from.{nearest(field, fields)} "
            f"Set genre_field to the genre column of the file and list it in load_col: item."
        )
    tokens = dataset.field2id_token[field]
    written = [
        " ".join(tokens[ids[ids > 0]].tolist())
        for ids in (np.atleast_1d(np.asarray(row)) for row in dataset.item_feat[field])
    ]
    genres = split_genres(written, f"{item_file}: field '{field}'")
    # By name, not in the order of the file: there the first held-out movie could decide the columns.
    names = sorted({genre for of_movie in genres for genre in of_movie if genre.lower() not in NO_GENRE})
    if not names:
        raise InputError(
            f"{item_file}: field '{field}' holds no genre, and genre classification needs at least one; add genres, or "
            f"leave 'genre' out of the option tasks"
        )
    column = {name: j for j, name in enumerate(names)}
    targets = torch.zeros(dataset.item_num, len(names))
    for item, of_movie in zip(dataset.item_feat[dataset.iid_field], genres):
        for genre in of_movie:
            if genre in column:
                targets[int(item), column[genre]] = 1.0
    counts = targets.sum(0).int().tolist()
    dataset.logger.info(f"genres: {', '.join(f'{name} {count}' for name, count in zip(names, counts))}")
    return MovieLabels(names, targets)


def split_genres(written: Sequence[str], place: str) -> list[list[str]]:
    """Genres of each movie, from texts such as ``Action Drama``, ``Action|Science Fiction`` and ``Action, Drama``.

    One separator holds for the whole column: the bar if some text has one, else the comma, else the space.

    Args:
        place: file and field, for messages.

    Raises:
        InputError: a list in brackets, or a column in which some texts are separated in another way than others.
    """
    for text in written:
        if any(bracket in text for bracket in "[]{}"):
            raise InputError(
                f"{place} has '{text}', a list in brackets; write the genres of a movie with spaces or | between them"
            )
    separator = next((mark for mark in "|," if any(mark in text for text in written)), None)
    genres = [[genre.strip() for genre in text.split(separator) if genre.strip()] for text in written]
    if separator is not None:
        names = {genre for of_movie in genres for genre in of_movie}
        for name in sorted(names):
            words = name.replace(",", " ").split()
            if len(words) > 1 and names.issuperset(words):
                raise InputError(
                    f"{place} separates some genres by '{separator}', but has '{name}' too, which are several genres; "
                    f"write '{separator.join(words)}'"
                )
    return genres
