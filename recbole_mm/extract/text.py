"""Summaries from a csv file, without their genre words."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from recbole_mm.data.partial import text_fingerprint
from recbole_mm.errors import InputError, nearest
from recbole_mm.extract.sources import Source, Sources, column
from recbole_mm.features.genre_words import genre_pattern, mask_and_count

COLUMNS = ("item_id", "text")


def read_texts(path: Path, genres: list[str]) -> tuple[Sources, str]:
    """Texts without genre words (genre is a target, so it must not be an input), and a note with their number.

    Args:
        path: csv, UTF-8, with a header that has ``item_id`` and ``text``; other columns are ignored.
        genres: names of genres to mask besides those of MovieLens.

    Raises:
        InputError: no such file, not UTF-8, not csv, a missing column or no text.
    """
    table = _read_csv(path)
    pattern = genre_pattern(genres)
    sources, masked_words, masked_texts = Sources(), 0, 0
    for row, (item_id, text) in enumerate(zip(table["item_id"], table["text"], strict=True), start=1):
        name = f"row {row} (item '{item_id}')"
        if not text.strip():
            sources.skipped.append((name, "has no text"))
            continue
        text, n_words = mask_and_count(text, pattern)
        masked_words, masked_texts = masked_words + n_words, masked_texts + bool(n_words)
        if not text:
            sources.skipped.append((name, "has nothing but genre words"))
            continue
        sources.add(Source(item_id, name, text, text_fingerprint(text)))
    if not sources.usable:
        raise InputError(f"{path}: no row has both an item_id and a text")
    return sources, f"{masked_words:,} genre words masked in {masked_texts:,} of {len(table):,} texts"


def genre_names(path: Path, field: str) -> list[str]:
    """Names of the genres in column ``field`` of an .item file, separated by spaces there.

    Raises:
        InputError: the file is missing or has no such column.
    """
    return sorted({name for genres in column(path, field) for name in genres.split()})


def _read_csv(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"--texts={path}: no such file; it must be a csv file with the columns {', '.join(COLUMNS)}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 (csv UTF-8 in a spreadsheet)"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            f"{path}: cannot be read as csv ({' '.join(str(error).split())}); put a text with commas or quotes in "
            "double quotes"
        ) from None
    for name in COLUMNS:
        if name not in table:
            columns = ", ".join(map(str, table.columns))
            raise InputError(f"{path}: no column '{name}' in the header ({columns}).{nearest(name, table.columns)}")
    return table
