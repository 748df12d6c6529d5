"""Raw sources that several builders read: a csv as text columns, descriptors in one cell, mise-en-scène features."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.datasets.source_files import SourceFile
from recbole_mm.errors import InputError

MISE_EN_SCENE = "LLVisualFeatures13K_Log.csv"


def read_table(path: Path | SourceFile, columns: tuple[str, ...], listed_in: str, separator: str = ",") -> pd.DataFrame:
    """A csv as text columns, also with gzip (``….gz``); an empty cell is ''.

    Args:
        columns: that must be there.
        listed_in: the page that lists the source files.

    Raises:
        InputError: the file is missing, damaged or empty, or has no such column.
    """
    if isinstance(path, Path):
        if not path.is_file():
            raise InputError(f"{path}: this source file is missing; --source needs the files listed in {listed_in}")
        path = SourceFile.of(path)
    compression = "gzip" if path.name.endswith(".gz") else None
    try:
        with path.open() as handle:
            table = pd.read_csv(
                handle, sep=separator, dtype=str, keep_default_na=False, index_col=False, compression=compression
            )
    except InputError:
        raise
    except (ValueError, EOFError, OSError, zlib.error, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path.path}: cannot be read as a table ({reason}); it may be truncated: fetch it again"
        ) from None
    missing = [column for column in columns if column not in table]
    if missing or table.empty:
        raise InputError(
            f"{path.path}: must have rows with the columns {', '.join(columns)}; missing: "
            f"{', '.join(missing) or 'rows'}"
        )
    return table


def read_embeddings(path: Path, listed_in: str) -> tuple[list[str], np.ndarray]:
    """Item ids [n] and values [n, d] of a file whose column ``embedding`` holds "v1,v2,…"; inf and nan are kept."""
    table = read_table(path, ("itemId", "embedding"), listed_in)
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


def read_mise(path: Path, listed_in: str) -> tuple[list[str], np.ndarray]:
    """MovieLens-20M ids [n] and mise-en-scène features [n, 7] (log scale)."""
    features = [f"f{i}" for i in range(1, 8)]
    table = read_table(path, ("ML_Id", *features), listed_in)
    try:
        values = table[features].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: columns f1..f7 must hold numbers ({error})") from None
    return table["ML_Id"].tolist(), values
