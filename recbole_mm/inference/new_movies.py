"""Reading a table of movies that nobody has rated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError, nearest
from recbole_mm.features.encoders import FieldEncoder
from recbole_mm.finite import floats_of, is_finite, shown
from recbole_mm.inference.lookup import Movies, as_token
from recbole_mm.inference.new_trailers import check_trailers, made_of_trailers, vectors_of_trailer

_COLUMNS = ("item_id", "title", "year")
_SUMMARY, _RAW, _TRAILER = "summary", "_raw", "trailer"


@dataclass(frozen=True)
class NewMovies:
    """M movies; ``vectors`` are float32 [M, dimension] for each modality, rows of NaN where missing."""

    tokens: list[str]
    titles: list[str]
    years: pd.Series
    vectors: dict[str, np.ndarray]


def read_new_movies(
    table: pd.DataFrame | Mapping[str, Any],
    catalogue: Movies,
    dimensions: dict[str, int],
    encoders: Mapping[str, FieldEncoder],
) -> NewMovies:
    """Check and read the table of `Recommender.add_movies`; see there for its columns and errors.

    Args:
        catalogue: the movies that are there already.
        dimensions: length of a vector of each modality.
        encoders: of the modalities that have one.
    """
    columns = _columns(table)
    of_summary = [name for name, encoder in encoders.items() if encoder.content in ("text", "words")]
    of_trailer, cells_are_files = made_of_trailers(encoders), _TRAILER not in dimensions  # else a modality of that name
    names = [*_COLUMNS, *dimensions, *([_SUMMARY] if of_summary else []), *(f"{name}{_RAW}" for name in encoders)]
    names += [_TRAILER] if of_trailer and cells_are_files else []
    if unknown := [name for name in columns if name not in (*names, _TRAILER)]:
        raise InputError(
            f"add_movies: there is no column '{unknown[0]}'; columns are {', '.join(names)}."
            f"{nearest(str(unknown[0]), names)}"
        )
    if not columns.get("title"):
        raise InputError("add_movies: the table needs a column 'title' and at least one movie")
    count = len(columns["title"])
    if uneven := [name for name, cells in columns.items() if len(cells) != count]:
        raise InputError(f"add_movies: '{uneven[0]}' has {len(columns[uneven[0]])} rows, 'title' has {count}")
    titles = [_title(title) for title in columns["title"]]
    tokens = [as_token(token, "movie") for token in columns.get("item_id", titles)]
    if wrong := [year for year in columns.get("year", []) if not _is_year(year)]:
        raise InputError(f"add_movies: year {shown(wrong[0])} is no year; give a number such as 1979, or None")
    years = pd.Series(columns.get("year", [None] * count), dtype=object)
    _check_new(catalogue.extended(tokens, titles, years), len(catalogue))
    missing = [None] * count
    files = columns.get(_TRAILER, missing) if cells_are_files else missing
    trailers = [(row, path) for row, path in enumerate(files) if not _is_missing(path)]
    check_trailers([(titles[row], path) for row, path in trailers], encoders)
    vectors = {name: _vectors(columns.get(name, missing), titles, name, size) for name, size in dimensions.items()}
    for name, encoder in encoders.items():
        columns_of_raw = [f"{name}{_RAW}", *([_SUMMARY] if name in of_summary else [])]
        for column in columns_of_raw:
            _encode(columns.get(column, missing), titles, column, encoder, vectors[name], name)
    for row, path in trailers:
        wanted = {name: encoders[name] for name in of_trailer if np.isnan(vectors[name][row, 0])}
        for name, vector in vectors_of_trailer(path, titles[row], wanted).items():
            vectors[name][row] = vector
    return NewMovies(tokens, titles, years, vectors)


def _columns(table: pd.DataFrame | Mapping[str, Any]) -> dict[str, list]:
    if not isinstance(table, pd.DataFrame) and isinstance(table.get("title"), str):
        return {name: [cell] for name, cell in table.items()}  # one movie
    for name in table:
        if isinstance(table[name], (str, os.PathLike)) or not isinstance(table[name], Iterable):
            raise InputError(
                f"add_movies: '{name}' is {table[name]!r:.60}, not a column; give a list with a cell for each movie"
            )
    return {name: list(table[name]) for name in table}


def _title(title: Any) -> str:
    if not isinstance(title, str) or not title.strip():
        raise InputError(f"add_movies: title {title!r} is not text; give each movie a title")
    return title.strip()


def _vectors(cells: list, titles: list[str], name: str, dimension: int) -> np.ndarray:
    values = np.full((len(cells), dimension), np.nan, np.float32)
    for row, (cell, title) in enumerate(zip(cells, titles)):
        if _is_missing(cell):
            continue
        try:
            vector = floats_of(cell)
        except ValueError as error:
            raise InputError(f"add_movies: '{name}' of '{title}' is not a vector of numbers ({error})") from error
        if vector.shape != (dimension,):
            shown = f"{len(vector)} values" if vector.ndim == 1 else f"shape {vector.shape}"
            raise InputError(f"add_movies: '{name}' of '{title}' has {shown}, but the model takes {dimension}")
        if not (np.abs(vector) <= np.finfo(np.float32).max).all():  # nan is not
            raise InputError(
                f"add_movies: '{name}' of '{title}' holds inf or nan or a number beyond float32; give None where it is "
                "missing"
            )
        values[row] = vector
    return values


def _encode(cells: list, titles: list[str], column: str, encoder: FieldEncoder, values: np.ndarray, name: str) -> None:
    """Put the vectors of raw content into ``values`` [M, dimension]; a summary does not replace what is there."""
    rows = [row for row, cell in enumerate(cells) if not _is_missing(cell)]
    there = [row for row in rows if not np.isnan(values[row, 0])]
    if there and column != _SUMMARY:
        raise InputError(f"add_movies: '{titles[there[0]]}' has both '{name}' and '{column}'; leave one out")
    rows = [row for row in rows if row not in there]
    for row in rows:
        try:
            encoder.check(cells[row])
        except InputError as error:
            raise InputError(f"add_movies: '{column}' of '{titles[row]}' {error}") from None
    if not rows:
        return
    try:
        vectors = encoder([cells[row] for row in rows])
    except InputError as error:  # what the encoder needs is not installed
        raise InputError(f"add_movies: '{column}' for '{name}': {error}") from None
    if vectors.shape[1] != values.shape[1]:
        raise InputError(
            f"add_movies: the encoder of '{name}' makes {vectors.shape[1]} values, but the model takes "
            f"{values.shape[1]}; the encoder beside the data set belongs to other vectors"
        )
    values[rows] = vectors


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (np.isscalar(cell) and bool(pd.isna(cell)))


def _is_year(cell: Any) -> bool:
    return _is_missing(cell) or isinstance(cell, str) or is_finite(cell)


def _check_new(all_movies: Movies, old_num: int) -> None:
    """Refuse an id that is there twice, and a title that is there twice unless the years differ."""
    exact, _ = all_movies.by_title
    ids = {token: i for i, token in reversed(list(enumerate(all_movies.tokens))) if i}
    for i in range(old_num, len(all_movies)):
        token, title, year = all_movies.tokens[i], all_movies.titles[i], all_movies.years[i]
        if ids[token] != i:
            raise InputError(
                f"add_movies: id '{token}' already belongs to '{all_movies.titles[ids[token]]}'; use another"
            )
        for other in exact[all_movies.key(title)]:
            if other != i and (pd.isna(year) or pd.isna(all_movies.years[other]) or year == all_movies.years[other]):
                raise InputError(
                    f"add_movies: title '{title}' already belongs to movie {all_movies.tokens[other]}; give the year "
                    f"of both, or another title"
                )
