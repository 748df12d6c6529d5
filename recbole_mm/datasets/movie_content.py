"""Texts and metadata of movies by MovieLens movieId, from a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_mm.datasets.raw_sources import read_table
from recbole_mm.features.metadata import Metadata, decade_of, keyword_names, metadata_names
from recbole_mm.features.summaries import without_reception

TEXT_COLUMNS = ("overview", "wikipedia_extract")
# Kind of metadata -> its column.
_KINDS = {
    "director": "directors",
    "cast": "cast",
    "company": "companies",
    "country": "countries",
    "language": "original_language",
    "content rating": "content_rating",
}
METADATA_COLUMNS = (*_KINDS.values(), "keywords")
_SEPARATOR = "|"


@dataclass(frozen=True)
class MovieContent:
    """A movie's text ('' if there is none), metadata (empty if there is none) and keywords."""

    text: str
    metadata: Metadata
    keywords: list[str]


def read_content(path: Path, listed_in: str) -> dict[str, MovieContent]:
    """Texts and metadata by movie id, of a tab separated file with the columns movieId and those named above.

    The text is the overview; where there is none, the lead of the Wikipedia page `without_reception`.

    Raises:
        InputError: the file is missing or damaged, or lacks a column.
    """
    table = read_table(path, ("movieId", *TEXT_COLUMNS, *METADATA_COLUMNS), listed_in, separator="\t")
    return {row["movieId"]: _content(row) for row in table.to_dict("records")}


def _content(row: dict[str, str]) -> MovieContent:
    metadata = {kind: _split(row[column]) for kind, column in _KINDS.items()}
    text = row["overview"].strip() or without_reception(row["wikipedia_extract"])
    return MovieContent(text, {kind: names for kind, names in metadata.items() if names}, _split(row["keywords"]))


def _split(cell: str) -> list[str]:
    return [name.strip() for name in cell.split(_SEPARATOR) if name.strip()]


def texts_of(content: dict[str, MovieContent], movies: Iterable[str]) -> tuple[list[str], list[str]]:
    """Ids and texts of the movies that have a text."""
    return _not_empty({movie: content[movie].text for movie in movies if movie in content})


def metadata_of(
    content: dict[str, MovieContent], years: dict[str, str], genres: Sequence[str] = ()
) -> tuple[list[str], list[Metadata]]:
    """Ids and metadata, with the decade, of the movies of ``years`` (year of release by movie) that have metadata."""
    known = {movie: content[movie].metadata for movie in years if movie in content and content[movie].metadata}
    known = {movie: {**metadata, "decade": decade_of(years[movie])} for movie, metadata in known.items()}
    return _not_empty({movie: metadata for movie, metadata in known.items() if metadata_names(metadata, genres)})


def keywords_of(
    content: dict[str, MovieContent], movies: Iterable[str], genres: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Ids and keywords of the movies that have keywords, words for genres aside."""
    known = {movie: content[movie].keywords for movie in movies if movie in content}
    return _not_empty({movie: keywords for movie, keywords in known.items() if keyword_names(keywords, genres)})


def _not_empty(found: dict[str, Any]) -> tuple[list[str], list[Any]]:
    found = {movie: raw for movie, raw in found.items() if raw}
    return list(found), list(found.values())
