"""`from_frames`: data frames and arrays of a program to a data set that every command knows by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.interchange.assemble import assemble, check_field
from recbole_mm.interchange.contents import RawVectors, Table
from recbole_mm.interchange.vector_files import from_table, pair, stack
from recbole_mm.interchange.writer import Imported, check_target, write_contents


def from_frames(
    ratings: Any,
    items: Any = None,
    users: Any = None,
    vectors: Mapping[str, Any] | None = None,
    name: str = "mine",
    *,
    columns: Mapping[str, str] | None = None,
    genre_separator: str | None = None,
    like_threshold: float | None = None,
    data_path: str | Path = "dataset",
    force: bool = False,
) -> Imported:
    """Write data frames and arrays as the data set ``name``, with a file of its options beside it.

        recbole_mm.from_frames(ratings, movies, vectors={"text": (movies["id"], matrix)}, name="mine")
        recbole_mm.run("MMASP", "mine")

    A frame is a pandas DataFrame, anything with ``__dataframe__`` or Arrow's interface (polars, pyarrow, …), or a dict
    of columns.

    Args:
        ratings: a row for each rating, or for each item that a user met: user, item and, where there are any, rating,
            time and the part of a published split (0, 1, 2 or train, valid, test).
        items: a row for each item: item and, where there are any, title, year and genres.
        users: a row for each user: user, and attributes.
        vectors: field -> (item ids [n], matrix [n, d]), a dict from item id to vector, or a frame of both. An item
            without a row has no vector.
        columns: role -> column, where a column is not recognised: user, item, rating, time, split, title, year, genres.
        genre_separator: what stands between two genres of a text; by default it is found, and told.
        like_threshold: rating from which on a movie is liked; by default three quarters of the scale.
        data_path: folder of data sets.
        force: replace a data set of this name.

    Returns:
        Name, folder, and what was recognised and chosen; ``print`` shows it.

    Raises:
        InputError: naming the argument, the row and the column of what is wrong. Nothing is written then.
    """
    folder = check_target(name, data_path, force)
    tables = [
        None if given is None else Table(to_pandas(given, argument), argument)
        for argument, given in (("ratings", ratings), ("items", items), ("users", users))
    ]
    if tables[0] is None:
        raise InputError("ratings: is None; give a frame with users and items")
    raw = {field: _raw_vectors(field, given) for field, given in (vectors or {}).items()}
    contents = assemble(tables[0], *tables[1:], raw, columns, genre_separator, like_threshold)
    return write_contents(contents, name, folder, "recbole_mm.from_frames")


def to_pandas(frame: Any, argument: str) -> pd.DataFrame:
    """A frame of any library as a DataFrame of pandas.

    Args:
        argument: for messages.

    Raises:
        InputError: it is no frame, or cannot be turned into one.
    """
    if isinstance(frame, pd.DataFrame):
        return frame.reset_index(drop=True)
    try:
        if isinstance(frame, Mapping):
            return pd.DataFrame(dict(frame))
        if hasattr(frame, "__arrow_c_stream__") and (arrow := _pyarrow()) is not None:
            return arrow.table(frame).to_pandas()
        if hasattr(frame, "__dataframe__"):
            return pd.api.interchange.from_dataframe(frame)
    except Exception as error:  # whatever the other library raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{argument}: cannot be read as a data frame ({reason}); give a pandas DataFrame") from error
    if hasattr(frame, "__arrow_c_stream__"):
        raise InputError(f"{argument}: Arrow data need pyarrow; type: pip install 'recbole-mm[import]'")
    raise InputError(
        f"{argument}: is a {type(frame).__name__}, but must be a pandas DataFrame, a frame with __dataframe__ "
        f"or Arrow's "
        f"interface, or a dict of columns"
    )


def _pyarrow():
    try:
        import pyarrow
    except ImportError:
        return None
    return pyarrow


def _raw_vectors(field: str, given: Any) -> RawVectors:
    check_field(field)
    name = f"vectors['{field}']"
    if isinstance(given, tuple) and len(given) == 2:
        ids, matrix = given
        if isinstance(ids, (str, bytes)) or not hasattr(ids, "__len__"):
            raise InputError(f"{name}: the first of the pair must be the item ids, in the order of the rows")
        if hasattr(matrix, "detach"):
            matrix = matrix.detach().cpu()
        if isinstance(matrix, Sequence) and not isinstance(matrix, str):
            matrix = stack(list(matrix), name, lambda row: f"row {row}")
        return pair(ids, np.asarray(matrix), name, "the first of the pair")
    if isinstance(given, Mapping) and all(np.ndim(vector) == 1 for vector in given.values()):
        return pair(list(given), stack(list(given.values()), name, lambda row: f"item '{list(given)[row]}'"), name)
    if isinstance(given, pd.DataFrame) or hasattr(given, "__dataframe__") or hasattr(given, "__arrow_c_stream__"):
        return from_table(Table(to_pandas(given, name), name))
    raise InputError(f"{name}: takes (item ids, matrix), a dict from item id to vector, or a frame with both")
