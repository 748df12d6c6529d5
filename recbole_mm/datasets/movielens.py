"""Ratings, titles and genres in MovieLens's own files (20M, latest-small): ratings.csv and movies.csv.

The oldest releases of latest-small have no header row; their columns are in the same order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np
import pandas as pd
from tqdm import tqdm

from recbole_mm.datasets.source_files import SourceFile, naming_malformed
from recbole_mm.errors import InputError

RATING_COLUMNS = ["userId", "movieId", "rating", "timestamp"]
SCALE = (0.5, 5.0)
# IMAX is a film format; MovieLens's README does not list it as a genre.
_NO_GENRES = ("(no genres listed)", "IMAX", "")
_ROWS_AT_A_TIME = 1_000_000


def read_ratings(file: SourceFile, progress: bool = True) -> Iterator[pd.DataFrame]:
    """The rows of ratings.csv in chunks of a million: userId, movieId, rating, timestamp.

    Raises:
        InputError: a column is missing, or a rating is not on the half-star scale 0.5 … 5. Names file and line.
    """
    names = _header(file)
    header = names is not None
    columns = {"header": 0 if header else None, "names": names or RATING_COLUMNS}
    types = {"userId": np.int64, "movieId": np.int64, "rating": np.float64, "timestamp": np.int64}
    with (
        file.open() as handle,
        tqdm(
            total=file.size, desc=file.name, unit="B", unit_scale=True, leave=False, disable=None if progress else True
        ) as bar,
    ):
        try:
            for chunk in pd.read_csv(
                handle,
                usecols=RATING_COLUMNS,
                dtype=types,
                chunksize=_ROWS_AT_A_TIME,
                index_col=False,
                quoting=csv.QUOTE_NONE,  # numbers stand without quotes; with them, a stray one would hide rows
                **columns,
            ):
                _check_scale(chunk, file, first_line=1 + header)
                yield chunk[RATING_COLUMNS]
                bar.update(handle.tell() - bar.n)
        except (ValueError, pd.errors.ParserError) as error:
            if isinstance(error, InputError):
                raise
            reason = " ".join(str(error).split())
            raise InputError(
                f"{file.path}: is not MovieLens's ratings.csv ({reason}); it needs the columns "
                f"{', '.join(RATING_COLUMNS)}"
            ) from None


def _header(file: SourceFile) -> list[str] | None:
    """Names of the columns, which may be in quotes; None if the first line has numbers already."""
    with file.open() as handle:
        line = handle.readline(1000).removeprefix(b"\xef\xbb\xbf").decode("latin1").strip()
    if line.lstrip('" ')[:1].isdigit():
        return None
    return [name.strip().strip('"') for name in line.split(",")]


def _check_scale(chunk: pd.DataFrame, file: SourceFile, first_line: int) -> None:
    rating = chunk["rating"].to_numpy()
    wrong = ~((rating >= SCALE[0]) & (rating <= SCALE[1]) & (rating * 2 == np.round(rating * 2)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{file.path} line {chunk.index[row] + first_line}: rating {rating[row]:g} is not on the scale 0.5, 1, … 5"
        )


def read_genres(file: SourceFile) -> dict[str, list[str]]:
    """Genres by movie id, from movies.csv; raises as `read_movies`."""
    return {movie: genres for movie, (_, genres) in read_movies(file).items()}


def read_movies(file: SourceFile) -> dict[str, tuple[str, list[str]]]:
    """Title and genres by movie id, from movies.csv.

    Raises:
        InputError: the file has no column movieId, title or genres, or a row of it has none.
    """
    columns = ("movieId", "title", "genres")
    names = None if _header(file) is not None else columns
    with file.open() as handle:
        text = io.StringIO(handle.read().decode("utf-8-sig", errors="replace"), newline="")
    with naming_malformed(file.path):
        rows = csv.DictReader(text, names)
        if not set(columns) <= set(rows.fieldnames or []):
            raise InputError(f"{file.path}: is not MovieLens's movies.csv: it needs the columns {', '.join(columns)}")
        movies = {}
        for row in rows:
            if any(row[column] is None for column in columns):
                raise InputError(
                    f"{file.path} line {rows.line_num}: the row has not all of {', '.join(columns)}; the file is "
                    f"truncated or damaged: download it again"
                )
            movies[row["movieId"]] = (row["title"], split_genres(row["genres"]))
    return movies


def split_genres(text: str) -> list[str]:
    """Genre names in MovieLens's form.

    >>> split_genres("Action|Sci-Fi|IMAX"), split_genres("(no genres listed)")
    (['Action', 'Sci-Fi'], [])
    """
    return [genre for genre in text.split("|") if genre not in _NO_GENRES]
