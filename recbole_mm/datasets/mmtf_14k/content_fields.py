"""Fields text, words, meta and keywords of MMTF-14K, from tables that the user brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_mm.datasets.atomic_writer import Blocks, Movie, title_and_year
from recbole_mm.datasets.content_tables import read_contents
from recbole_mm.datasets.movie_content import MovieContent, keywords_of, metadata_of, texts_of
from recbole_mm.datasets.source_files import SourceFile
from recbole_mm.datasets.text_vectors import fit_texts
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import FieldEncoder, fit_names, fit_words

OF_TEXTS, OF_METADATA = ("text", "words"), ("meta", "keywords")
WHAT = {
    "text": "sentence embedding of the summary",
    "words": "words of the summary",
    "meta": "directors, first five of the cast, companies, countries, language, content rating, decade",
    "keywords": "keywords and their single words",
}


@dataclass(frozen=True)
class ContentField:
    """Vectors [n, k] of the movies ``ids``, and what made them."""

    ids: list[str]
    values: np.ndarray
    encoder: FieldEncoder

    def blocks(self) -> Blocks:
        """As `write_dataset` takes them."""
        return [(self.ids, self.values)]


def content_fields(
    movies: dict[str, Movie], texts: Path | None, metadata: Path | None, links: SourceFile | None, kept: Path
) -> dict[str, ContentField]:
    """The fields that can be made of the files.

    Args:
        movies: of the data set, by id.
        texts, metadata: tables (`read_contents`); one file may be both.
        links: MovieLens's links.csv, for tables by TMDB or IMDb id.
        kept: file of sentence embeddings computed so far.

    Raises:
        InputError: a file is wrong, or has nothing for the movies.
    """
    years = {movie: title_and_year(about)[1] for movie, about in movies.items()}
    fields: dict[str, ContentField] = {}

    def add(name: str, found: tuple[list[str], list], fit: Callable) -> None:
        if found[0]:
            encoder, values = fit(*found)
            fields[name] = ContentField(found[0], values, encoder)

    if texts is not None:
        found = texts_of(_of(texts, movies, links), movies)
        if not found[0]:
            raise InputError(f"--texts: {texts} has no text for any of the {len(movies):,} movies; check its columns")
        add("words", found, lambda ids, raw: fit_words(raw, 128))
        add("text", found, lambda ids, raw: fit_texts(ids, raw, 128, kept))
    if metadata is not None:
        content = _of(metadata, movies, links)
        add("meta", metadata_of(content, years), lambda ids, raw: fit_names(raw, 64, "metadata"))
        add("keywords", keywords_of(content, movies), lambda ids, raw: fit_names(raw, 64, "keywords"))
        if not {"meta", "keywords"} & fields.keys():
            raise InputError(f"--metadata: {metadata} has no metadata for any of the {len(movies):,} movies")
    return fields


def _of(path: Path, movies: dict[str, Movie], links: SourceFile | None) -> dict[str, MovieContent]:
    content = read_contents(path, links)
    if not content.keys() & movies.keys():
        raise InputError(
            f"{path}: none of its {len(content):,} movies is one of the {len(movies):,} of the release; it needs "
            f"MovieLens movie ids, or links.csv to translate its ids"
        )
    return content
