"""Sentence embeddings of many texts: with a progress bar, and resumed after an interruption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recbole_mm.data.partial import PartialResults, text_fingerprint
from recbole_mm.features.encoders import FieldEncoder, fit_embedded, mask_genres
from recbole_mm.features.sentence_encoder import PACKAGED, load_encoder

_TEXTS_AT_A_TIME = 32


def fit_texts(
    item_ids: Sequence[str], texts: Sequence[str], max_components: int, kept: Path, genres: Sequence[str] = ()
) -> tuple[FieldEncoder, np.ndarray]:
    """`fit_text` of recbole_mm.features.encoders, resumed where an interrupted call stopped.

    Args:
        kept: folder of the embeddings computed so far; the one that ``recbole-mm extract`` would keep for these texts.
    """
    masked = mask_genres(texts, genres)
    partial = PartialResults(kept, {"encoder": PACKAGED})
    sources = [(item_id, text_fingerprint(text), text) for item_id, text in zip(item_ids, masked, strict=True)]
    to_do = [source for source in sources if not partial.has(*source[:2])]
    if to_do:
        encoder = load_encoder()
    with partial, tqdm(total=len(to_do), desc="text", unit=" texts", disable=None if to_do else True) as bar:
        for start in range(0, len(to_do), _TEXTS_AT_A_TIME):
            batch = to_do[start : start + _TEXTS_AT_A_TIME]
            vectors = encoder.encode([text for *_, text in batch], batch_size=_TEXTS_AT_A_TIME, show_progress_bar=False)
            partial.add([item_id for item_id, *_ in batch], [of for _, of, _ in batch], vectors)
            bar.update(len(batch))
    embeddings = np.concatenate(list(partial.blocks([source[:2] for source in sources])))
    return fit_embedded(embeddings, max_components, genres)
