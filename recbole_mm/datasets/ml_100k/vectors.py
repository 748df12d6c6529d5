"""Text, audio and video vectors of MovieLens-100K movies from their raw sources.

``recbole-mm prepare ml-100k-mm --source DIR`` computes the vectors shipped with the package. DIR holds

    ids/ml100k_to_ml20m.tsv                                          MovieLens-100K to MovieLens-20M ids
    text/ml100k_wikipedia_text.csv                                   first paragraphs of Wikipedia pages
    mmtf14k-subset/ivector/IVec_splitItem_fold_1_gmm_128_tvDim_100.csv   audio i-vectors of trailers (MMTF-14K)
    mmtf14k-subset/avf_avg.csv                                       aesthetic visual features of trailers (MMTF-14K)
    visual/LLVisualFeatures13K_Log.csv                               mise-en-scène features of trailers

Text, audio and video are clipped, standardised, rotated to their principal components and divided by one number, which
keeps the ratios of distances. Metadata has its own module. The repository holds the computed vectors, not the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.datasets.ml_100k.metadata import movie_entities, movie_facts
from recbole_mm.datasets.raw_sources import MISE_EN_SCENE, read_embeddings, read_mise, read_table
from recbole_mm.datasets.vector_files import write_field
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import fit_names, fit_numbers, fit_standard, fit_text, fit_words

LIST = "dataset/ml-100k-mm/PROVENANCE.md"  # the page that lists the source files
Numbers = tuple[list[str], np.ndarray]  # item ids [n] and values [n, d]


def build_vectors(source: Path, folder: Path, dataset: str, fields: Iterable[str] | None = None) -> None:
    """Compute ``folder/<dataset>.<field>`` and its encoder from the raw sources: ``fields``, or all of `FIELDS`.

    Raises:
        InputError: a source file is missing or malformed, or sentence-transformers is not installed.
    """
    for field in FIELDS if fields is None else fields:
        read, fit = FIELDS[field]
        item_ids, raw = read(source)
        encoder, values = fit(raw)
        write_field(folder, dataset, field, item_ids, values, encoder)


def read_summaries(source: Path) -> tuple[list[str], list[str]]:
    """Item ids and summaries of the movies that have a summary."""
    table = read_table(source / "text" / "ml100k_wikipedia_text.csv", ("item_id", "text"), LIST)
    table = table[table["text"].str.strip() != ""]
    return table["item_id"].tolist(), table["text"].tolist()


def read_audio(source: Path) -> Numbers:
    """i-vectors of the trailers' sound (Gaussian mixture of 128, 100-d), fitted per item fold; this is fold 1."""
    path = source / "mmtf14k-subset" / "ivector" / "IVec_splitItem_fold_1_gmm_128_tvDim_100.csv"
    return _of_ml_100k(source, path, *read_embeddings(path, LIST))


def read_aesthetic(source: Path) -> Numbers:
    """Aesthetic visual features of the trailers (107-d, averaged over key frames). Rows with inf count as missing."""
    path = source / "mmtf14k-subset" / "avf_avg.csv"
    return _of_ml_100k(source, path, *read_embeddings(path, LIST))


def read_mise_en_scene(source: Path) -> Numbers:
    """Shot length, colour variance, motion, lighting key and number of shots of the trailers (7-d, log scale)."""
    path = source / "visual" / MISE_EN_SCENE
    return _of_ml_100k(source, path, *read_mise(path, LIST))


def read_entities(source: Path, with_genres: bool = False) -> tuple[list[str], list[list[str]]]:
    """Item ids and `movie_entities`."""
    entities = movie_entities(read_ml_20m_ids(source), with_genres)
    return list(entities), list(entities.values())


# Field -> function from the source folder to item ids and raw content, and function from the content to an encoder and
# its vectors.
FIELDS: dict[str, tuple[Callable[[Path], tuple], Callable[..., tuple]]] = {
    "text": (read_summaries, partial(fit_text, max_components=128)),
    "words": (read_summaries, partial(fit_words, components=128)),
    "audio": (read_audio, partial(fit_numbers, max_components=64)),
    "avf": (read_aesthetic, partial(fit_numbers, max_components=48)),
    "mise": (read_mise_en_scene, partial(fit_numbers, max_components=7)),
    "meta": (read_entities, partial(fit_names, components=64)),
    "facts": (lambda source: movie_facts(read_ml_20m_ids(source)), fit_standard),
    # For the ablation only, and not shipped: it contains the target of the genre task.
    "meta_genre": (partial(read_entities, with_genres=True), partial(fit_names, components=64)),
}


def read_ml_20m_ids(source: Path) -> pd.Series:
    """MovieLens-20M id by MovieLens-100K item id; a movie listed twice in ml-100k has the same id for both."""
    path = source / "ids" / "ml100k_to_ml20m.tsv"
    table = read_table(path, ("ml100k_id", "ml20m_25m_id"), LIST, separator="\t").set_index("ml100k_id")
    table = table["ml20m_25m_id"]
    return table[table != ""]


def _of_ml_100k(source: Path, path: Path, ml_20m_ids: list[str], values: np.ndarray) -> Numbers:
    """The finite rows of ``path`` by MovieLens-100K item id, in the order of the table of ids."""
    finite = np.isfinite(values).all(axis=1)
    row = {ml_20m_id: i for i, ml_20m_id in enumerate(ml_20m_ids) if finite[i]}
    rows = read_ml_20m_ids(source).map(row).dropna().astype(int)
    if rows.empty:
        raise InputError(f"{path}: none of its movies is in MovieLens-100K; it needs MovieLens-20M movie ids")
    return rows.index.tolist(), values[rows.to_numpy()]
