"""Vectors of mmtf-14k-small from their raw sources.

``recbole-mm prepare mmtf-14k-small --source DIR`` computes the vectors shipped with the package. DIR holds

    mmtf14k-subset/movie_list.csv                                        ids and titles of the 1,807 movies
    mmtf14k-subset/ivector/IVec_splitItem_fold_1_gmm_128_tvDim_100.csv   audio i-vectors of trailers (MMTF-14K)
    mmtf14k-subset/avf_avg.csv                                           aesthetic visual features of trailers
    visual/LLVisualFeatures13K_Log.csv                                   mise-en-scène features of trailers
    mmtf-text-metadata/movie_text_metadata.tsv.gz                        overviews, Wikipedia leads, metadata, keywords

All are by MovieLens-20M movieId. No statistic here sees a rating or a genre.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from recbole_mm.datasets.content_tables import read_contents
from recbole_mm.datasets.movie_content import keywords_of, metadata_of, texts_of
from recbole_mm.datasets.raw_sources import MISE_EN_SCENE, read_embeddings, read_mise, read_table
from recbole_mm.datasets.vector_files import write_field
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import fit_names, fit_numbers, fit_text, fit_words

LIST = "dataset/mmtf-14k-small/PROVENANCE.md"
SUBSET, CONTENT = "mmtf14k-subset", Path("mmtf-text-metadata", "movie_text_metadata.tsv.gz")


class Sources:
    """The raw sources in a folder; the movies are those of the subset, in its order.

    Raises:
        InputError: a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        table = read_table(folder / SUBSET / "movie_list.csv", ("id", "title"), LIST)
        self.years = {movie: _year(title) for movie, title in zip(table["id"], table["title"])}
        self._content = None

    def texts(self) -> tuple[list[str], list[str]]:
        """Ids and texts of the movies that have one."""
        return texts_of(self.content, list(self.years))

    def metadata(self) -> tuple[list[str], list]:
        """Ids and metadata of the movies that have any."""
        return metadata_of(self.content, self.years)

    def keywords(self) -> tuple[list[str], list[list[str]]]:
        """Ids and keywords."""
        return keywords_of(self.content, list(self.years))

    def audio(self) -> tuple[list[str], np.ndarray]:
        """i-vectors of the trailers' sound (Gaussian mixture of 128, 100-d), fitted per item fold; this is fold 1."""
        path = self._folder / SUBSET / "ivector" / "IVec_splitItem_fold_1_gmm_128_tvDim_100.csv"
        return self._finite(path, *read_embeddings(path, LIST))

    def aesthetic(self) -> tuple[list[str], np.ndarray]:
        """Aesthetic visual features of the trailers (107-d, averaged over key frames)."""
        path = self._folder / SUBSET / "avf_avg.csv"
        return self._finite(path, *read_embeddings(path, LIST))

    def mise_en_scene(self) -> tuple[list[str], np.ndarray]:
        """Mise-en-scène features of the trailers (7-d, log scale)."""
        path = self._folder / "visual" / MISE_EN_SCENE
        return self._finite(path, *read_mise(path, LIST))

    @property
    def content(self) -> dict:
        """Texts and metadata by movie."""
        if self._content is None:
            self._content = read_contents(self._folder / CONTENT, None)
        return self._content

    def _finite(self, path: Path, ids: list[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The finite rows, in the order of the movies."""
        row = {movie: i for i, movie in enumerate(ids) if np.isfinite(values[i]).all()}
        movies = [movie for movie in self.years if movie in row]
        if not movies:
            raise InputError(f"{path}: none of its movies is in the list of {len(self.years):,}; check its ids")
        return movies, values[[row[movie] for movie in movies]]


# Field -> reader of item ids and raw content, and function from the content to an encoder and its vectors.
FIELDS: dict[str, tuple[Callable[[Sources], tuple], Callable[..., tuple]]] = {
    "text": (Sources.texts, partial(fit_text, max_components=128)),
    "words": (Sources.texts, partial(fit_words, components=128)),
    "meta": (Sources.metadata, partial(fit_names, components=64, content="metadata")),
    "keywords": (Sources.keywords, partial(fit_names, components=64, content="keywords")),
    "audio": (Sources.audio, partial(fit_numbers, max_components=64)),
    "avf": (Sources.aesthetic, partial(fit_numbers, max_components=48)),
    "mise": (Sources.mise_en_scene, partial(fit_numbers, max_components=7)),
}


def build_vectors(source: Path, folder: Path, dataset: str, fields: Iterable[str] = tuple(FIELDS)) -> None:
    """Compute ``folder/<dataset>.<field>`` and its encoder for each field from the raw sources.

    Raises:
        InputError: a source file is missing or malformed, or sentence-transformers is not installed.
    """
    sources = Sources(source)
    for field in fields:
        read, fit = FIELDS[field]
        movies, raw = read(sources)
        encoder, values = fit(raw)
        write_field(folder, dataset, field, movies, values, encoder)


def _year(title: str) -> str:
    match = re.search(r"\(((?:18|19|20)\d\d)\)\s*$", title)
    return match.group(1) if match else ""
