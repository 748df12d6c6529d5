"""Movies, ratings and streams of vectors to a dataset's files, in one folder that appears whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.data.vector_stream import streaming_npz
from recbole_mm.datasets.movielens import RATING_COLUMNS
from recbole_mm.datasets.row_shuffle import RowShuffle
from recbole_mm.errors import InputError

Blocks = Iterable[tuple[list[str], np.ndarray]]  # movie ids [n] and values [n, d]
_ORDER_SEED = 14
_OWN_FILES = re.compile(r"PROVENANCE\.md|.*\.(inter|item|(ivector|blf|avf|alexnet)_\w+\.npz|tags\.npz)")


@dataclass(frozen=True)
class Movie:
    """What the .item file says of a movie."""

    title: str
    year: str
    genres: list[str]


@dataclass
class FieldCounts:
    """What became of the rows of one file of vectors.

    Attributes:
        vectors, dimension: movies of the dataset that have a vector, and its length.
        non_finite: rows with inf or nan, dropped.
        unknown: rows of movies that the release does not describe, dropped.
        repeated: rows of a movie that had a row already, dropped.
        unrated: rows of movies without a rating, dropped.
    """

    vectors: int = 0
    dimension: int = 0
    non_finite: int = 0
    unknown: int = 0
    repeated: int = 0
    unrated: int = 0


@dataclass
class Counts:
    """What a dataset was built from."""

    described: int
    movies: int
    users: int
    ratings: int
    other_ratings: int
    without_genre: int
    fields: dict[str, FieldCounts] = field(default_factory=dict)
    without_vector: int = 0

    def lines(self) -> list[str]:
        """One line of text for each check."""
        unrated = self.described - self.movies
        lines = [
            f"movies: {self.movies:,} of {self.described:,}; {unrated:,} have no rating and are left out",
            f"ratings: {self.ratings:,} of {self.users:,} users; {self.other_ratings:,} of other movies are left out",
            f"movies without a genre: {self.without_genre:,}",
        ]
        for name, of in self.fields.items():
            lines.append(
                f"{name}: {of.vectors:,} movies, {of.dimension}-d; rows left out: {of.non_finite:,} with inf or nan, "
                f"{of.unrated:,} without ratings, {of.unknown:,} of unknown movies, {of.repeated:,} repeated"
            )
        return [*lines, f"movies without any vector: {self.without_vector:,}"]


def write_dataset(
    folder: Path,
    movies: dict[str, Movie],
    ratings: Iterable[pd.DataFrame],
    fields: dict[str, Callable[[], Blocks]],
    dataset: str,
) -> Counts:
    """Write .inter, .item and an npz of each field into ``folder``. Movies without ratings are left out.

    Args:
        movies: by movie id.
        ratings: chunks with the columns userId, movieId, rating, timestamp.
        fields: for each field, a function that starts its stream of rows.

    Raises:
        InputError: no rating, or no vector of a field, belongs to one of the movies.
    """
    rated, users, kept, others = _write_ratings(folder / f"{dataset}.inter", movies, ratings)
    if not rated:
        raise InputError(
            f"none of the {kept + others:,} ratings is of one of the {len(movies):,} movies; their ids must be those "
            f"of MovieLens-20M"
        )
    kept_movies = {movie: movies[movie] for movie in movies if movie in rated}
    _write_items(folder / f"{dataset}.item", kept_movies)
    without_genre = sum(not movie.genres for movie in kept_movies.values())
    counts = Counts(len(movies), len(rated), users, kept, others, without_genre)
    with_vector: set[str] = set()
    for name, start in fields.items():
        counts.fields[name] = _write_field(folder / f"{dataset}.{name}.npz", start(), rated, movies, with_vector)
    counts.without_vector = len(rated - with_vector)
    return counts


def _write_ratings(path: Path, movies: Iterable[str], chunks: Iterable[pd.DataFrame]) -> tuple[set[str], int, int, int]:
    """Rated movies, number of users, of ratings kept and of those of other movies.

    MovieLens's files are ordered by user; here rows are in random order, so that a block of rows (protocols u1 … u5) is
    a random part of them as in MovieLens-100K, and not all ratings of some users.
    """
    known = np.array([int(movie) for movie in movies])
    rated, users = (np.empty(0, np.int64) for _ in range(2))
    kept = others = 0
    with (
        open(path, "w", encoding="utf-8", newline="\n") as handle,
        RowShuffle(path.parent, len(RATING_COLUMNS), _ORDER_SEED) as shuffle,
    ):
        handle.write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n")
        for chunk in chunks:
            ours = chunk[chunk["movieId"].isin(known)]
            shuffle.add(ours[RATING_COLUMNS].to_numpy())
            rated = np.union1d(rated, ours["movieId"])
            users = np.union1d(users, ours["userId"])
            kept, others = kept + len(ours), others + len(chunk) - len(ours)
        for rows in shuffle.blocks():
            table = pd.DataFrame(rows, columns=RATING_COLUMNS)
            table = table.astype({"userId": np.int64, "movieId": np.int64, "timestamp": np.int64})
            table.to_csv(handle, sep="\t", header=False, index=False)
    return set(map(str, rated.tolist())), len(users), kept, others


def _write_items(path: Path, movies: dict[str, Movie]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as handle:
        handle.write("item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n")
        for movie_id, movie in movies.items():
            title, year = _title_and_year(movie)
            genres = " ".join(genre.replace(" ", "-") for genre in movie.genres)
            handle.write(f"{movie_id}\t{title or f'movie {movie_id}'}\t{year or 'unknown'}\t{genres}\n")


def _title_and_year(movie: Movie) -> tuple[str, str]:
    """Title without the year that MovieLens writes behind it, which stands in where no other is known."""
    title = " ".join(movie.title.split())
    if match := re.fullmatch(r"(.*\S)\s*\(((?:18|19|20)\d\d)\)", title):
        return match.group(1), movie.year or match.group(2)
    return title, movie.year


def _write_field(
    path: Path, blocks: Blocks, rated: set[str], described: dict[str, Movie], with_vector: set[str]
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
            f"field '{path.name.split('.')[-2]}': none of its {len(seen):,} rows is a finite vector of a movie of the "
            f"release with ratings; movie ids must be those of MovieLens-20M"
        )
    return counts


# ---------------------------------------------------------------------------------------------------------- folders


def is_built(folder: Path, dataset: str) -> bool:
    """Whether the atomic files are there."""
    return all((folder / f"{dataset}.{suffix}").is_file() for suffix in ("inter", "item"))


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its place when the block ends well and vanishes when it does not.

    Files of an earlier folder that no builder of this package writes are carried over.
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
            for path in earlier.iterdir():
                if not _OWN_FILES.fullmatch(path.name):
                    path.rename(folder / path.name)
            shutil.rmtree(earlier)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
