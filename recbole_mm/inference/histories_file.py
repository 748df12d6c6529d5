"""People who are in no data set, from a csv or parquet file of what they rated, read a part at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError, nearest
from recbole_mm.inference.people import Taste, TasteReader

USER, ITEM, RATING = "user_id", "item_id", "rating"
_ROWS_AT_ONCE = 1_000_000


def read_people(path: str | Path, tastes: TasteReader, batch_size: int) -> Iterator[tuple[list[str], list[Taste]]]:
    """People in the order of the file, ``batch_size`` at a time (the last batch may have fewer): ids and tastes.

    The file has the columns user_id, item_id (an id of the catalogue, not a title) and, for data with ratings, rating;
    other columns are not read. Without ratings every movie is liked. The rows of one person stand together. Memory
    holds a million rows, and the ids of the people so far.

    Raises:
        InputError: the file is absent, is neither csv nor parquet, lacks a column, or has a row that is wrong: a movie
            that is not in the catalogue, a rating outside the scale, or a person whose rows do not stand together.
    """
    path, index = Path(path), pd.Index(tastes.movies.tokens)
    names: set[str] = set()
    batch: tuple[list[str], list[Taste]] = [], []
    rest: pd.DataFrame | None = None
    for table in _tables(path):
        checked = _checked(path, table, index, tastes)
        if rest is not None:
            checked = pd.concat([rest, checked])
        # The last person of this part may go on in the next.
        last = checked[USER].to_numpy() == checked[USER].iloc[-1]
        start = len(last) - int(np.argmin(last[::-1])) if not last.all() else 0
        rest = checked.iloc[start:]
        yield from _batches(path, checked.iloc[:start], tastes, names, batch, batch_size)
    if rest is not None:
        yield from _batches(path, rest, tastes, names, batch, batch_size)
    if batch[0]:
        yield batch


def _batches(
    path: Path, rows: pd.DataFrame, tastes: TasteReader, names: set[str], batch: tuple[list, list], batch_size: int
) -> Iterator[tuple[list[str], list[Taste]]]:
    """Batches that these rows fill; what is left over stays in ``batch``."""
    users = rows[USER].to_numpy()
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.zeros(0, int)
    items, liked, lines = (rows[name].to_numpy() for name in ("item", "liked", "line"))
    for start, end in zip(starts, [*starts[1:], len(users)]):
        name = users[start]
        if name in names:
            raise InputError(f"{path}: line {lines[start]}: {USER} '{name}' has rows above; put each person's together")
        names.add(name)
        mine, likes = items[start:end], liked[start:end]
        taste = Taste(*(list(dict.fromkeys(mine[chosen].tolist())) for chosen in (likes, ~likes)))
        if both := set(taste.liked) & set(taste.disliked):
            token = tastes.movies.tokens[min(both)]
            raise InputError(f"{path}: {USER} '{name}' likes and dislikes {ITEM} '{token}'; leave one of the rows out")
        batch[0].append(name)
        batch[1].append(taste)
        if len(batch[0]) == batch_size:
            yield list(batch[0]), list(batch[1])
            batch[0].clear()
            batch[1].clear()


def _checked(path: Path, table: pd.DataFrame, index: pd.Index, tastes: TasteReader) -> pd.DataFrame:
    """Columns user_id, item (internal id), liked and line of a part of the file."""
    items = index.get_indexer(table[ITEM])
    wrong = (items <= 0) | table[USER].isna().to_numpy() | (table[USER] == "").to_numpy()
    liked = np.ones(len(table), bool)
    if RATING in table:
        ratings = pd.to_numeric(table[RATING], errors="coerce").to_numpy(float)
        low, high = tastes.rating_scale or (-np.inf, np.inf)
        wrong |= ~(np.isfinite(ratings) & (ratings >= low) & (ratings <= high))
        liked = ratings >= tastes.like_threshold
    if wrong.any():
        row = table.iloc[int(np.argmax(wrong))]
        raise InputError(f"{path}: line {row['line']}: {_why(row, items[int(np.argmax(wrong))], tastes)}")
    return pd.DataFrame({USER: table[USER].to_numpy(), "item": items, "liked": liked, "line": table["line"].to_numpy()})


def _why(row: pd.Series, item: int, tastes: TasteReader) -> str:
    if pd.isna(row[USER]) or not row[USER]:
        return f"{USER} is empty; give each row one"
    if item <= 0:
        close = nearest(str(row[ITEM]), tastes.movies.tokens[1:].tolist())
        return f"{ITEM} '{row[ITEM]}' is no id of the catalogue.{close} Remove the row"
    low, high = tastes.rating_scale or (-np.inf, np.inf)
    return f"{RATING} is '{row[RATING]}', but must be a number from {low:g} to {high:g}"


def _tables(path: Path) -> Iterator[pd.DataFrame]:
    """Parts of the file, ids as text, with the column ``line`` (of a csv file; else the number of the row)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a csv or parquet file with the columns {USER} and {ITEM}")
    parts = {".csv": _csv, ".parquet": _parquet}
    if path.suffix not in parts:
        raise InputError(f"{path}: the name must end in .csv or .parquet")
    start, empty = (2 if path.suffix == ".csv" else 1), True
    for table in parts[path.suffix](path):
        table = table.reset_index(drop=True)
        table["line"] = np.arange(start, start + len(table))
        start += len(table)
        if len(table):
            empty = False
            yield table
    if empty:
        raise InputError(f"{path}: has no rows; give the movies of at least one person")


def _csv(path: Path) -> Iterator[pd.DataFrame]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            names = next(reader, [])
            columns, first = _columns(path, names), 2
            while rows := list(islice(reader, _ROWS_AT_ONCE)):
                for number, row in enumerate(rows):
                    if len(row) != len(names):
                        raise InputError(
                            f"{path}: line {first + number}: has {len(row)} values, the header has {len(names)} columns"
                        )
                first += len(rows)
                yield pd.DataFrame({name: [row[names.index(name)] for row in rows] for name in columns}, dtype=object)
    except InputError:
        raise
    except (ValueError, OSError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as csv ({' '.join(str(error).split())}); correct it") from error


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: parquet needs pyarrow: pip install 'recbole-mm[import]'; or use csv") from error
    try:
        with parquet.ParquetFile(path) as file:
            columns = _columns(path, file.schema_arrow.names)
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
                table = batch.to_pandas()
                for name in (USER, ITEM):
                    if not pd.api.types.is_integer_dtype(table[name]) and not all(
                        isinstance(value, str) for value in table[name]
                    ):
                        raise InputError(f"{path}: column '{name}' must hold text or whole numbers, and no nulls")
                    table[name] = table[name].astype(str).astype(object)
                yield table
    except (ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as parquet ({' '.join(str(error).split())})") from error


def _columns(path: Path, names: list[str]) -> list[str]:
    for name in (USER, ITEM):
        if name not in names:
            shown = ", ".join(names)[:200] or "none"
            raise InputError(f"{path}: no column '{name}' (columns: {shown}).{nearest(name, names)} Add it")
    return [name for name in (USER, ITEM, RATING) if name in names]
