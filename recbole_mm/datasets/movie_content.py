"""Texts and metadata of movies by MovieLens movieId, from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_mm.datasets.raw_sources import read_table
from recbole_mm.features.metadata import Metadata, keyword_names, metadata_names
from recbole_mm.features.summaries import without_reception

TEXT_COLUMNS = ("overview", "wikipedia_extract")
METADATA_COLUMNS = (
    *("directors", "cast", "companies", "countries", "original_language", "content_rating", "keywords"),
)
_SEPARATOR = "|"


@dataclass(frozen=True)
class MovieContent:
    """A movie's text ('' if there is none) and metadata."""

    text: str
    metadata: Metadata


def read_content(path: Path, listed_in: str) -> dict[str, MovieContent]:
    """Texts and metadata by movie id, of a tab separated file with the columns movieId and those named above.

    The text is the overview; where there is none, the lead of the Wikipedia page `without_reception`.

    Raises:
        InputError: the file is missing or damaged, or lacks a column.
    """
    table = read_table(path, ("movieId", *TEXT_COLUMNS, *METADATA_COLUMNS), listed_in, separator="\t")
    return {row["movieId"]: _content(row) for row in table.to_dict("records")}


def _content(row: dict[str, str]) -> MovieContent:
    names = {name: _split(row[name]) for name in ("directors", "cast", "companies", "countries", "keywords")}
    metadata = Metadata(**names, language=row["original_language"], content_rating=row["content_rating"])
    return MovieContent(row["overview"].strip() or without_reception(row["wikipedia_extract"]), metadata)


def _split(cell: str) -> list[str]:
    return [name.strip() for name in cell.split(_SEPARATOR) if name.strip()]


def texts_of(content: dict[str, MovieContent], movies: Sequence[str]) -> tuple[list[str], list[str]]:
    """Ids and texts of the movies that have a text."""
    found = {movie: content[movie].text for movie in movies if movie in content and content[movie].text}
    return list(found), list(found.values())


def names_of(
    content: dict[str, MovieContent], years: dict[str, str], genres: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Ids and `metadata_names` of the movies of ``years`` (year of release by movie) that have metadata."""
    known = {movie: content[movie].metadata for movie in years if movie in content}
    found = {movie: metadata_names(of, years[movie], genres) for movie, of in known.items() if not of.is_empty}
    return _not_empty(found)


def keywords_of(
    content: dict[str, MovieContent], movies: Sequence[str], genres: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Ids and `keyword_names` of the movies that have keywords."""
    found = {movie: keyword_names(content[movie].metadata.keywords, genres) for movie in movies if movie in content}
    return _not_empty(found)


def _not_empty(found: dict[str, list[str]]) -> tuple[list[str], list[list[str]]]:
    found = {movie: names for movie, names in found.items() if names}
    return list(found), list(found.values())
