"""Vectors whose row number is the item's number: ``image_feat.npy``, ``text_feat.npy`` of MMRec and its relatives."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.interchange.contents import RawVectors, Source, Table
from recbole_mm.interchange.pickles import WAY_OUT, load_npy

_FEATURES = re.compile(r"(?P<field>.+?)[_-]?(feat|feats|feature|features|emb|embs|embeddings)$", re.IGNORECASE)


def field_name(text: str) -> str:
    """A field's name of any text: letters, digits and '_', a letter first.

    >>> field_name("sentence-transformers/all-mpnet"), field_name("3d")
    ('sentence_transformers_all_mpnet', 'f_3d')
    """
    plain = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "vectors"
    return plain if plain[0].isalpha() else f"f_{plain}"


def feature_files(folder: Path) -> dict[str, Path]:
    """Field -> ``<field>_feat.npy`` and the like, of a folder."""
    found = {}
    for path in sorted(folder.glob("*.npy")):
        if match := _FEATURES.fullmatch(path.stem):
            found[field_name(match["field"])] = path
    return found


def add_row_vectors(source: Source, folder: Path, numbers: pd.Series, column: str) -> None:
    """Read the feature files of the folder into the source; row i is the vector of item i.

    Args:
        numbers: the items of the ratings, as text.
        column: of these, for messages.

    Raises:
        InputError: an item is no whole number, or a matrix has fewer rows than there are items.
    """
    items = item_count(source.ratings, numbers, column)
    files = feature_files(folder)
    for field, path in files.items():
        matrix = load_npy(path)
        if matrix.ndim != 2 or matrix.dtype.kind not in "fiub":
            raise InputError(
                f"{path}: is an array of shape {list(matrix.shape)}, but must be a matrix, one row an item"
            )
        if len(matrix) < items:
            raise InputError(
                f"{path}: has {len(matrix):,} rows, but the ratings have item {items - 1}, whose vector is row "
                f"{items - 1}; take the matrix of these ratings"
            )
        source.vectors[field] = RawVectors(
            np.arange(len(matrix)), matrix, str(path), lambda row, path=path: f"{path}: row {row}"
        )
        source.notes.append(f"{field}: {path.name}, row i is item i")
    source.items = Table(pd.DataFrame({"item_id": np.arange(items)}), source.ratings.name)
    for path in sorted(folder.glob("*.npy")):
        if path not in files.values():
            source.notes.append(f"{path.name}: not read ({'pickled' if _is_pickled(path) else 'no *_feat.npy'})")


def item_count(table: Table, numbers: pd.Series, column: str) -> int:
    """Number of items of a tool that numbers them from 0."""
    wrong = ~numbers.str.fullmatch(r"\d{1,15}").to_numpy(dtype=bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{table.place(row)}: column '{column}' is '{numbers.iloc[row]}', but an item is its row number in the "
            f"matrices, from 0; use recbole-mm import with a file of ids for other ids"
        )
    return int(numbers.astype(np.int64).max()) + 1


def _is_pickled(path: Path) -> bool:
    try:
        load_npy(path)
    except InputError as error:
        return WAY_OUT in str(error)
    return False
