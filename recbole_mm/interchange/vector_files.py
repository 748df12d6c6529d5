"""Vectors of items from users' files: npy with ids, npz, csv, parquet, and folders with an npy file for each item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.interchange.columns import find_columns, named
from recbole_mm.interchange.contents import RawVectors, Table
from recbole_mm.interchange.pickles import load_npy, load_npz, refuse_pickle
from recbole_mm.interchange.table_files import PARQUET, read_table

ID_ARRAYS = ("item_id", "item_ids", "ids", "id", "items")
KINDS = "an .npy, .npz, .csv or .parquet file, or a folder with an .npy file for each item"


def read_vector_source(source: str, encoding: str = "utf-8") -> RawVectors:
    """Vectors from ``PATH`` or ``PATH:IDS``.

    Args:
        source: for an .npy matrix, IDS is a text file with one id a line, an .npy file of ids, or a csv or parquet file
            with a column of items; the order is that of the matrix's rows. Other kinds of files have the ids in them.

    Raises:
        InputError: a file is absent, of another kind, or holds pickled objects; ids are missing or more or fewer than
            rows; or a value is no number.
    """
    path, ids = _split_source(source)
    refuse_pickle(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; vectors are {KINDS}")
    suffix = path.suffix.lower()
    if ids is not None and suffix != ".npy":
        raise InputError(f"{source}: only an .npy matrix takes ids from another file; leave ':{ids}' out")
    if path.is_dir():
        return read_tree(path)
    if suffix == ".npy":
        if ids is None:
            raise InputError(
                f"{path}: an .npy matrix holds no item ids; name a file with them: {path}:ids.txt (one id a line, in "
                f"the order of the rows), or the csv file of the items, if its rows are in the same order"
            )
        return pair(read_ids(ids, encoding), load_npy(path), str(path), str(ids))
    if suffix == ".npz":
        return _from_npz(path)
    if suffix in (".csv", ".tsv", ".txt", *PARQUET):
        return from_table(read_table(path, encoding))
    raise InputError(f"{path}: vectors are {KINDS}; convert the file to one of these")


def _split_source(source: str) -> tuple[Path, Path | None]:
    """At the last colon, if what stands before it is there or looks like a matrix (a path may hold colons)."""
    path, colon, ids = source.rpartition(":")
    if colon and ids and (Path(path).exists() or path.lower().endswith(".npy")) and not Path(source).exists():
        return Path(path), Path(ids)
    return Path(source), None


def read_ids(path: Path, encoding: str = "utf-8") -> np.ndarray:
    """The item ids of a file, in its order; see `read_vector_source`."""
    refuse_pickle(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; it must hold one item id a line, in the order of the vectors")
    if path.suffix.lower() == ".npy":
        return load_npy(path).ravel()
    if path.suffix.lower() in (".csv", ".tsv", *PARQUET):
        table = read_table(path, encoding)
        return table.frame[find_columns(table, ("item",), ("item",), {})["item"]].to_numpy()
    try:
        text = path.read_text(encoding="utf-8-sig" if encoding == "utf-8" else encoding)
    except (UnicodeError, LookupError) as error:
        raise InputError(
            f"{path}: cannot be read as {encoding} ({error}); name its encoding with --encoding"
        ) from error
    return np.array([line for line in text.replace("\r\n", "\n").split("\n") if line.strip()], dtype=object)


def pair(ids: Sequence[Any] | np.ndarray, values: Any, name: str, ids_name: str = "its ids") -> RawVectors:
    """Ids [n] and a matrix [n, d] as vectors.

    Raises:
        InputError: the matrix is none of numbers, or has another number of rows than there are ids.
    """
    ids = np.asarray(ids, dtype=object).ravel()
    try:
        values = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"{name}: is no matrix of numbers ({error}); all vectors must have the same length") from error
    if values.ndim == 1 and len(values) == len(ids) and values.dtype == object:
        values = stack(values, name, lambda row: f"row {row}")
    if values.ndim != 2 or values.dtype.kind not in "fiub" or not values.shape[1]:
        raise InputError(
            f"{name}: is an array of shape {list(values.shape)} and type {values.dtype}, but must be a matrix "
            f"of numbers "
            f"[items, dimension]"
        )
    if len(values) != len(ids):
        raise InputError(f"{name}: has {len(values):,} rows, but {ids_name} has {len(ids):,} ids; give one id a row")
    return RawVectors(ids, values, name, lambda row: f"{name}: row {row}")


def stack(rows: Sequence[Any], name: str, place) -> np.ndarray:
    """A matrix from n sequences of numbers, or texts of them ('0.1 0.2', '[0.1, 0.2]'): float32 [n, d].

    Args:
        place: where row i is, for messages.
    """
    vectors = []
    for row, value in enumerate(rows):
        try:
            numbers = _numbers_of(value) if isinstance(value, str) else value
            vector = np.asarray(numbers, dtype=np.float64).ravel()
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{name}: {place(row)}: {str(value)[:40]!r} is no vector; write numbers") from error
        if len(vector) != len(vectors[0] if vectors else vector) or not len(vector):
            raise InputError(
                f"{name}: {place(row)} has {len(vector)} values, the first row has "
                f"{len(vectors[0]) if vectors else 0}; "
                f"all vectors must have the same length, at least 1"
            )
        with np.errstate(over="ignore"):
            vectors.append(vector.astype(np.float32))
    return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)


def _numbers_of(text: str) -> list[float]:
    plain = text.strip().removeprefix("[").removesuffix("]")
    return [float(number) for number in plain.replace(",", " ").split()]


def from_table(table: Table) -> RawVectors:
    """Vectors of a table: a column of ids, and one column of vectors or one column for each number.

    The ids are in the column that is recognised as the item, or in the first.
    """
    frame = named(table.frame)
    item = find_columns(Table(frame, table.name), ("item",), (), {}).get("item", frame.columns[0])
    others = [column for column in frame.columns if column != item]
    if not others:
        raise InputError(f"{table.name}: has one column alone; vectors need ids and numbers")
    if len(others) == 1 and frame[others[0]].dtype == object:
        values = stack(frame[others[0]].tolist(), table.name, lambda row: table.place(row).split(": ")[-1])
    else:
        values = np.empty((len(frame), len(others)), np.float32)
        for j, column in enumerate(others):
            values[:, j] = _numbers(frame[column], table, column)
    return RawVectors(frame[item].to_numpy(dtype=object), values, table.name, table.place)


def _numbers(column: pd.Series, table: Table, name: str) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    text = column.astype(str).str.strip().str.lower()
    wrong = (numbers.isna() & ~text.isin(["nan", "", "none", "<na>"])).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{table.place(row)}: column '{name}' is '{column.iloc[row]}', which is no number; a file of vectors has "
            f"ids and numbers alone"
        )
    with np.errstate(over="ignore"):
        return numbers.to_numpy(dtype=np.float64).astype(np.float32)


def _from_npz(path: Path) -> RawVectors:
    arrays = load_npz(path)
    matrices = {name: array for name, array in arrays.items() if array.ndim == 2}
    ids = {name: array for name, array in arrays.items() if array.ndim == 1 and (name in ID_ARRAYS or len(arrays) == 2)}
    if len(matrices) == 1 and len(ids) == 1:
        return pair(next(iter(ids.values())), next(iter(matrices.values())), str(path))
    if arrays and not matrices and all(array.ndim == 1 for array in arrays.values()):
        return pair(list(arrays), stack(list(arrays.values()), str(path), lambda row: list(arrays)[row]), str(path))
    found = ", ".join(f"{name} {list(array.shape)}" for name, array in list(arrays.items())[:8])
    raise InputError(
        f"{path}: holds {found or 'no arrays'}; write item_id [n] and vectors [n, d] into it (numpy.savez(path, "
        f"item_id=ids, vectors=matrix)), or one array for each item, named by its id"
    )


def read_tree(folder: Path) -> RawVectors:
    """Vectors of a folder with ``ITEM.npy`` for each item, each [d] or [1, d].

    Raises:
        InputError: no such files, or they lie in several folders, or a file is no vector of the length of the first.
    """
    files = sorted(folder.rglob("*.npy"))
    places = sorted({path.parent for path in files})
    if len(places) != 1:
        found = f"they are in several folders: {', '.join(map(str, places[:4]))}" if places else "there is none"
        raise InputError(f"{folder}: takes one folder with an .npy file for each item, but {found}; name one folder")
    vectors = []
    for path in files:
        vector = load_npy(path)
        if vector.ndim == 2 and len(vector) == 1:
            vector = vector[0]
        if vector.ndim != 1 or vector.dtype.kind not in "fiub":
            raise InputError(
                f"{path}: is an array of shape {list(vector.shape)} and type {vector.dtype}, but must be one vector [d]"
            )
        vectors.append(vector)
    values = stack(vectors, str(folder), lambda row: files[row].name)
    ids = np.array([path.stem for path in files], dtype=object)
    return RawVectors(ids, values, str(folder), lambda row: str(files[row]))
