"""Writes movies, ratings and vectors as the files of a dataset. The folder appears complete or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.data.vector_stream import streaming_npz
from recbole_mm.datasets.leftovers import move_others
from recbole_mm.datasets.movielens import RATING_COLUMNS
from recbole_mm.datasets.row_shuffle import RowShuffle
from recbole_mm.errors import InputError

Blocks = Iterable[tuple[list[str], np.ndarray]]  # movie ids [n] and values [n, d]
_ORDER_SEED = 14
_OWN_FILES = re.compile(
    r"PROVENANCE\.md|.*\.(inter|item|(ivector|blf|avf|alexnet)_\w+\.npz|tags\.npz|\w+\.encoder\.npz)"
    r"|anime\.(text|words|meta)"
)


@dataclass(frozen=True)
class Movie:
    """A movie as the .item file describes it."""

    title: str
    year: str
    genres: list[str]


@dataclass
class FieldCounts:
    """Numbers of rows of one vector file: written, and dropped by reason.

    Attributes:
        vectors: movies of the dataset that have a vector.
        dimension: length of a vector.
        non_finite: dropped, with inf or nan.
        unknown: dropped, the release does not describe the movie.
        repeated: dropped, the movie had a row already.
        unrated: dropped, the movie has no rating.
    """

    vectors: int = 0
    dimension: int = 0
    non_finite: int = 0
    unknown: int = 0
    repeated: int = 0
    unrated: int = 0


@dataclass
class Counts:
    """Numbers of movies, users and ratings in a dataset that was built, and of what was left out."""

    movies_in_release: int
    movies: int
    users: int
    ratings: int
    ratings_left_out: int
    movies_without_genre: int
    fields: dict[str, FieldCounts] = field(default_factory=dict)
    movies_without_vector: int = 0

    def lines(self) -> list[str]:
        """The numbers as lines of text."""
        unrated = self.movies_in_release - self.movies
        lines = [
            f"movies: {self.movies:,} of {self.movies_in_release:,}; {unrated:,} have no rating and are left out",
            f"ratings: {self.ratings:,} of {self.users:,} users; "
            f"{self.ratings_left_out:,} of other movies are left out",
            f"movies without a genre: {self.movies_without_genre:,}",
        ]
        for name, rows in self.fields.items():
            lines.append(
                f"{name}: {rows.vectors:,} movies, {rows.dimension}-d; rows left out: {rows.non_finite:,} with inf or "
                f"nan, {rows.unrated:,} without ratings, {rows.unknown:,} of unknown movies, {rows.repeated:,} repeated"
            )
        return [*lines, f"movies without any vector: {self.movies_without_vector:,}"]


def write_dataset(
    folder: Path,
    movies: dict[str, Movie],
    ratings: Iterable[pd.DataFrame],
    fields: dict[str, Callable[[], Blocks]],
    dataset: str,
    paths: Mapping[str, str],
) -> Counts:
    """Write .inter, .item and an npz of each field into ``folder``. Movies without ratings are left out.

    Args:
        movies: by movie id.
        ratings: chunks with the columns userId, movieId, rating, timestamp.
        fields: field -> a function that starts its stream of rows.
        paths: field, or ``ratings`` -> the file that it is read from, for messages.

    Raises:
        InputError: no rating, or no vector of a field, belongs to one of the movies.
    """
    rated, n_users, n_kept, n_left_out = write_ratings(folder / f"{dataset}.inter", movies, ratings)
    if not rated:
        raise InputError(
            f"{paths['ratings']}: none of the {n_kept + n_left_out:,} ratings belongs to one of the {len(movies):,} "
            f"movies; both need MovieLens-20M movie ids"
        )
    kept_movies = {movie: movies[movie] for movie in movies if movie in rated}
    write_items(folder / f"{dataset}.item", kept_movies)
    without_genre = sum(not movie.genres for movie in kept_movies.values())
    counts = Counts(len(movies), len(rated), n_users, n_kept, n_left_out, without_genre)
    with_vector: set[str] = set()
    for name, start in fields.items():
        path = folder / f"{dataset}.{name}.npz"
        counts.fields[name] = _write_field(path, start(), rated, movies, with_vector, f"{paths[name]}: field '{name}'")
    counts.movies_without_vector = len(rated - with_vector)
    return counts


def write_ratings(
    path: Path,
    movies: Iterable[str],
    chunks: Iterable[pd.DataFrame],
    user_names: Callable[[pd.Series], pd.Series] | None = None,
    timestamps: bool = True,
) -> tuple[set[str], int, int, int]:
    """Write an .inter file; returns the rated movies, and the numbers of users, ratings and ratings of other movies.

    Rows are written in random order. Protocols u1 … u5 are blocks of rows, and a block must be a random part of the
    ratings, as in MovieLens-100K. MovieLens-20M orders rows by user, so its blocks would be all ratings of some users.

    Args:
        movies: ids of the movies of the data set.
        chunks: with the columns userId, movieId, rating, timestamp, all numbers.
        user_names: ids of users as they are written, from the column userId; by default the numbers.
        timestamps: whether the ratings have a time.
    """
    columns = RATING_COLUMNS if timestamps else RATING_COLUMNS[:3]
    movie_ids = np.array([int(movie) for movie in movies])
    rated, users = (np.empty(0, np.int64) for _ in range(2))
    n_kept = n_left_out = 0
    with (
        open(path, "w", encoding="utf-8", newline="\n") as handle,
        RowShuffle(path.parent, len(columns), _ORDER_SEED) as shuffle,
    ):
        handle.write("\t".join(["user_id:token", "item_id:token", "rating:float", "timestamp:float"][: len(columns)]))
        handle.write("\n")
        for chunk in chunks:
            kept = chunk[chunk["movieId"].isin(movie_ids)]
            shuffle.add(kept[columns].to_numpy())
            rated = np.union1d(rated, kept["movieId"])
            users = np.union1d(users, kept["userId"])
            n_kept, n_left_out = n_kept + len(kept), n_left_out + len(chunk) - len(kept)
        for rows in shuffle.blocks():
            table = pd.DataFrame(rows, columns=columns)
            table = table.astype({name: np.int64 for name in columns if name != "rating"})
            if user_names is not None:
                table["userId"] = user_names(table["userId"])
            table.to_csv(handle, sep="\t", header=False, index=False)
    return set(map(str, rated.tolist())), len(users), n_kept, n_left_out


def write_items(path: Path, movies: dict[str, Movie]) -> None:
    """Write an .item file."""
    with open(path, "w", encoding="utf-8", newline="\n") as handle:
        handle.write("item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n")
        for movie_id, movie in movies.items():
            title, year = title_and_year(movie)
            genres = " ".join(genre.replace(" ", "-") for genre in movie.genres)
            handle.write(f"{movie_id}\t{title or f'movie {movie_id}'}\t{year or 'unknown'}\t{genres}\n")


def title_and_year(movie: Movie) -> tuple[str, str]:
    """Title and year. MovieLens writes the year after the title; it is used where the release has no year."""
    title = " ".join(movie.title.split())
    if match := re.fullmatch(r"(.*\S)\s*\(((?:18|19|20)\d\d)\)", title):
        return match.group(1), movie.year or match.group(2)
    return title, movie.year


def _write_field(
    path: Path, blocks: Blocks, rated: set[str], described: dict[str, Movie], with_vector: set[str], told: str
) -> FieldCounts:
    counts, seen = FieldCounts(), set()
    with streaming_npz(path) as stream:
        for ids, values in blocks:
            finite = np.isfinite(values).all(axis=1).tolist()
            kept = []
            for row, movie in enumerate(ids):
                if movie not in described:
                    counts.unknown += 1
                elif movie in seen:
                    counts.repeated += 1
                elif not finite[row]:
                    counts.non_finite += 1
                elif movie not in rated:
                    counts.unrated += 1
                else:
                    kept.append(row)
                seen.add(movie)
            stream.append([ids[row] for row in kept], values[kept])
        counts.vectors, counts.dimension = stream.shape
        with_vector.update(stream.item_ids)
    if not counts.vectors:
        raise InputError(
            f"{told}: none of its {len(seen):,} rows is a finite vector of a rated movie of the release; it needs "
            f"MovieLens-20M movie ids"
        )
    return counts


# ---------------------------------------------------------------------------------------------------------- folders


def is_built(folder: Path, dataset: str) -> bool:
    """Whether ``folder`` holds the atomic files."""
    return all((folder / f"{dataset}.{suffix}").is_file() for suffix in ("inter", "item"))


def is_own_file(name: str) -> bool:
    """Whether a builder of this package writes a file of this name; all others are the user's."""
    return _OWN_FILES.fullmatch(name) is not None


@contextmanager
def replacing_folder(folder: Path, is_own: Callable[[str], bool] = is_own_file) -> Iterator[Path]:
    """A temporary folder that replaces ``folder`` when the block succeeds and is removed when the block fails.

    Files in the old ``folder`` that no builder of this package writes are kept. What a killed process leaves is
    cleaned by `recbole_mm.datasets.leftovers` before the next one builds.

    Args:
        is_own: whether a file of this name in the folder is written by whoever builds it.
    """
    folder = folder.resolve()
    temporary, earlier = (folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("partial", "earlier"))
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            folder.rename(earlier)
        try:
            temporary.rename(folder)
        except BaseException:
            if earlier.exists():
                earlier.rename(folder)
            raise
        if earlier.exists():
            move_others(earlier, folder, is_own)
            shutil.rmtree(earlier)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
