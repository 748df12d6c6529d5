"""Texts, metadata and keywords of movies by MovieLens movieId."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from recbole_mm.features.metadata import Metadata, decade_of, keyword_names, metadata_names


@dataclass(frozen=True)
class MovieContent:
    """A movie's text ('' if there is none), metadata (empty if there is none) and keywords."""

    text: str
    metadata: Metadata
    keywords: list[str]


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
