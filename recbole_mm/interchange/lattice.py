"""Folders of LATTICE, MICRO and MMSSL: json files of who met what, and matrices by row.

5-core/train.json, val.json, test.json     {"user": [item, …], …}; also without the folder
image_feat.npy, text_feat.npy              row i is the vector of item i
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.interchange.contents import Source, Table
from recbole_mm.interchange.row_vectors import add_row_vectors

PARTS = ("train", "val", "test")


def is_lattice(folder: Path) -> bool:
    """Whether the json files are there."""
    return _place(folder) is not None


def read_lattice(folder: Path) -> Source:
    """Pairs, split and vectors of a folder.

    Raises:
        InputError: a json file is absent or is none of users and their items, or a matrix has too few rows.
    """
    place = _place(folder)
    if place is None:
        raise InputError(f"{folder}: has no train.json, val.json and test.json, neither here nor in a folder N-core")
    rows: list[tuple[str, str, str]] = []
    for part in PARTS:
        rows += [(user, item, part) for user, item in _pairs(place / f"{part}.json")]
    table = Table(pd.DataFrame(rows, columns=["user_id", "item_id", "split"]), str(place))
    source = Source(table, notes=[f"ratings: {place}/{{{','.join(PARTS)}}}.json, in LATTICE's layout"])
    add_row_vectors(source, folder, table.frame["item_id"], "item")
    return source


def _place(folder: Path) -> Path | None:
    places = [folder, *sorted(path for path in folder.glob("*-core") if path.is_dir())]
    return next((place for place in places if all((place / f"{part}.json").is_file() for part in PARTS)), None)


def _pairs(path: Path) -> list[tuple[str, str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path}: is no json ({' '.join(str(error).split())}); take the file again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is a {type(content).__name__}, but must be an object: user -> list of items")
    pairs = []
    for user, items in content.items():
        if not isinstance(items, list) or not all(isinstance(one, (int, str)) for one in items):
            raise InputError(f"{path}: user '{user}': {str(items)[:40]} is no list of items; correct the file")
        pairs += [(user, str(item)) for item in items]
    return pairs
