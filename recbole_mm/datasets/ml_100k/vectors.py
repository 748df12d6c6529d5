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
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.data.vectors import write_vectors
from recbole_mm.datasets.ml_100k.metadata import fact_vectors, metadata_vectors
from recbole_mm.datasets.source_files import naming_malformed
from recbole_mm.errors import InputError
from recbole_mm.features.components import principal_components, word_components
from recbole_mm.features.genre_words import mask_genre_words
from recbole_mm.features.sentence_encoder import load_encoder

Rows = tuple[list[str], np.ndarray]  # item ids [n] and values [n, d]


def build_vectors(source: Path, folder: Path, dataset: str, fields: Iterable[str] | None = None) -> None:
    """Compute the vector files ``folder/<dataset>.<field>`` from the raw sources: ``fields``, or all of `FIELDS`.

    Raises:
        InputError: a source file is missing or malformed, or sentence-transformers is not installed.
    """
    for field in FIELDS if fields is None else fields:
        item_ids, values = FIELDS[field](source)
        write_vectors(folder / f"{dataset}.{field}", field, item_ids, values, decimals=3)


def read_text(source: Path) -> Rows:
    """Sentence embeddings (all-MiniLM-L6-v2, 384-d) of the summaries. Genre words are removed first."""
    item_ids, texts = read_summaries(source)
    masked = [mask_genre_words(text) for text in texts]
    return item_ids, load_encoder().encode(masked, batch_size=32, show_progress_bar=False)


def word_vectors(source: Path) -> Rows:
    """Words of the summaries (tf-idf, truncated SVD). Genre words are removed first.

    The sentence embedding gives the topic of a summary, but loses single words ("acclaimed", "award", "sequel").
    """
    item_ids, texts = read_summaries(source)
    return item_ids, word_components([mask_genre_words(text) for text in texts], 128)


def read_summaries(source: Path) -> tuple[list[str], list[str]]:
    """Item ids and summaries of the movies that have a summary."""
    table = _read_table(source / "text" / "ml100k_wikipedia_text.csv", ("item_id", "text"))
    table = table[table["text"].str.strip() != ""]
    return table["item_id"].tolist(), table["text"].tolist()


def read_audio(source: Path) -> Rows:
    """i-vectors of the trailers' sound (Gaussian mixture of 128, 100-d), fitted per item fold; this is fold 1."""
    path = source / "mmtf14k-subset" / "ivector" / "IVec_splitItem_fold_1_gmm_128_tvDim_100.csv"
    return _of_ml_100k(source, path, *_read_embeddings(path))


def read_aesthetic(source: Path) -> Rows:
    """Aesthetic visual features of the trailers (107-d, averaged over key frames). Rows with inf count as missing."""
    path = source / "mmtf14k-subset" / "avf_avg.csv"
    return _of_ml_100k(source, path, *_read_embeddings(path))


def read_mise_en_scene(source: Path) -> Rows:
    """Shot length, colour variance, motion, lighting key and number of shots of the trailers (7-d, log scale)."""
    path = source / "visual" / "LLVisualFeatures13K_Log.csv"
    features = [f"f{i}" for i in range(1, 8)]
    table = _read_table(path, ("ML_Id", *features))
    try:
        values = table[features].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: columns f1..f7 must hold numbers ({error})") from None
    return _of_ml_100k(source, path, table["ML_Id"].tolist(), values)


def _rotated(read: Callable[[Path], Rows], max_components: int) -> Callable[[Path], Rows]:
    def compute(source: Path) -> Rows:
        item_ids, raw = read(source)
        return item_ids, principal_components(raw, max_components)

    return compute


# Field -> function from the source folder to its vectors.
FIELDS: dict[str, Callable[[Path], Rows]] = {
    "text": _rotated(read_text, 128),
    "words": word_vectors,
    "audio": _rotated(read_audio, 64),
    "avf": _rotated(read_aesthetic, 48),
    "mise": _rotated(read_mise_en_scene, 7),
    "meta": lambda source: metadata_vectors(read_ml_20m_ids(source)),
    "facts": lambda source: fact_vectors(read_ml_20m_ids(source)),
    # For the ablation only, and not shipped: it contains the target of the genre task.
    "meta_genre": lambda source: metadata_vectors(read_ml_20m_ids(source), with_genres=True),
}


def read_ml_20m_ids(source: Path) -> pd.Series:
    """MovieLens-20M id by MovieLens-100K item id; a movie listed twice in ml-100k has the same id for both."""
    path = source / "ids" / "ml100k_to_ml20m.tsv"
    table = _read_table(path, ("ml100k_id", "ml20m_25m_id"), separator="\t").set_index("ml100k_id")["ml20m_25m_id"]
    return table[table != ""]


def _of_ml_100k(source: Path, path: Path, ml_20m_ids: list[str], values: np.ndarray) -> Rows:
    """The finite rows of ``path`` by MovieLens-100K item id, in the order of the table of ids."""
    finite = np.isfinite(values).all(axis=1)
    row = {ml_20m_id: i for i, ml_20m_id in enumerate(ml_20m_ids) if finite[i]}
    rows = read_ml_20m_ids(source).map(row).dropna().astype(int)
    if rows.empty:
        raise InputError(f"{path}: none of its movies is in MovieLens-100K; it needs MovieLens-20M movie ids")
    return rows.index.tolist(), values[rows.to_numpy()]


def _read_embeddings(path: Path) -> Rows:
    """Item ids and values of a file whose column ``embedding`` holds "v1,v2,…"."""
    table = _read_table(path, ("itemId", "embedding"))
    rows = []
    for item_id, text in zip(table["itemId"], table["embedding"], strict=True):
        try:
            rows.append(np.array(text.split(","), dtype=np.float64))
        except ValueError as error:
            raise InputError(f"{path}: the embedding of item '{item_id}' must be numbers ({error})") from None
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"{path}: the embedding of item '{item_id}' has {len(rows[-1])} values, the first has {len(rows[0])}"
            )
    return table["itemId"].tolist(), np.array(rows)


def _read_table(path: Path, columns: tuple[str, ...], separator: str = ",") -> pd.DataFrame:
    if not path.is_file():
        raise InputError(
            f"{path}: this source file is missing; --source needs the files listed in dataset/ml-100k-mm/PROVENANCE.md"
        )
    with naming_malformed(path):
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    missing = [column for column in columns if column not in table]
    if missing or table.empty:
        raise InputError(
            f"{path}: must have rows with the columns {', '.join(columns)}; missing: {', '.join(missing) or 'rows'}"
        )
    return table
