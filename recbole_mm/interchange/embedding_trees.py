"""Folders of Ducho and Elliot: trees with an npy file for each item, beside tables without a header.

Ducho    reviews.tsv (user, item, rating); visual_embeddings/torch/ResNet50/avgpool/ITEM.npy, textual_embeddings/…
Elliot   train_indexed.tsv, val_indexed.tsv, test_indexed.tsv (user, item, rating); visual_embeddings_indexed/…/0.npy;
         map.tsv and features.tsv: attributes of the items
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.interchange.contents import RawVectors, Source, Table
from recbole_mm.interchange.row_vectors import field_name
from recbole_mm.interchange.table_files import read_table
from recbole_mm.interchange.vector_files import read_tree

COLUMNS = ("user_id", "item_id", "rating", "timestamp")
REVIEWS = "reviews.tsv"
PARTS = {"train": ("train",), "valid": ("val", "validation", "valid"), "test": ("test",)}
NEEDED = {"train", "test"}  # without a validation part, a run draws one


def is_ducho(folder: Path) -> bool:
    """Whether reviews.tsv and a tree of embeddings are there."""
    return (folder / REVIEWS).is_file() and bool(_tops(folder))


def is_elliot(folder: Path) -> bool:
    """Whether the tables of the parts are there."""
    return _parts(folder).keys() >= NEEDED


def read_ducho(folder: Path) -> Source:
    """Ratings and vectors of a folder in which Ducho has extracted.

    Raises:
        InputError: reviews.tsv is absent, or a file of the trees is no vector.
    """
    path = folder / REVIEWS
    if not path.is_file():
        raise InputError(
            f"{folder}: has no {REVIEWS} (user, item, rating; no header); without ratings in this form use recbole-mm "
            f"import --ratings=… --vectors visual={folder}/visual_embeddings"
        )
    source = Source(
        read_table(path, header=COLUMNS, separator="\t", quoted=False), notes=[f"ratings: {REVIEWS} of Ducho"]
    )
    source.vectors = read_trees(folder)
    return source


def read_elliot(folder: Path) -> Source:
    """Ratings, split, vectors and attributes of a folder prepared for Elliot.

    Raises:
        InputError: a part is absent, or a file of the trees is no vector.
    """
    files = _parts(folder)
    absent = ", ".join(f"{part}.tsv" for part in sorted(NEEDED - files.keys()))
    if absent:
        raise InputError(f"{folder}: has no {absent} (or …_indexed.tsv); a run needs training and test rows")
    tables = {part: read_table(path, header=COLUMNS, separator="\t", quoted=False) for part, path in files.items()}
    frame = pd.concat([table.frame.assign(split=part) for part, table in tables.items()], ignore_index=True)
    source = Source(
        Table(frame, str(folder)), notes=[f"ratings: {', '.join(p.name for p in files.values())} of Elliot"]
    )
    source.vectors = read_trees(folder)
    if (folder / "map.tsv").is_file():
        source.vectors["attributes"] = _attributes(folder / "map.tsv")
        source.notes.append("attributes: map.tsv, one column for each feature")
    return source


def read_trees(folder: Path) -> dict[str, RawVectors]:
    """Field -> vectors, for each folder below that holds an npy file for each item.

    The field is what is embedded (visual, textual); with several models or layers of it their names are added.
    """
    vectors: dict[str, RawVectors] = {}
    for top in _tops(folder):
        base = re.sub(r"_(embeddings|features)(_indexed)?$", "", top.name)
        places = sorted({path.parent for path in top.rglob("*.npy")})
        for place in places:
            name = base if len(places) == 1 else f"{base}_{place.relative_to(top)}"
            vectors[field_name(name)] = read_tree(place)
    return vectors


def _tops(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and any(path.rglob("*.npy"))]


def _parts(folder: Path) -> dict[str, Path]:
    found = {}
    for part, names in PARTS.items():
        places = [folder / f"{name}{end}.tsv" for end in ("_indexed", "") for name in names]
        if path := next((path for path in places if path.is_file()), None):
            found[part] = path
    return found


def _attributes(path: Path) -> RawVectors:
    """One row an item, 1 where it has the feature: ``item<TAB>feature<TAB>feature…``."""
    items, features = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        item, *own = line.rstrip("\t").split("\t")
        if not item or not all(one.isdecimal() for one in own):
            raise InputError(f"{path}: line {number}: must be an item and the numbers of its features; correct it")
        if own:
            items.append(item)
            features.append([int(one) for one in own])
    columns = {feature: j for j, feature in enumerate(sorted({one for own in features for one in own}))}
    values = np.zeros((len(items), len(columns)), np.float32)
    for row, own in enumerate(features):
        values[row, [columns[one] for one in own]] = 1
    return RawVectors(np.array(items, dtype=object), values, str(path), lambda row: f"{path}: item {items[row]}")
