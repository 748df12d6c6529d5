"""The MovieLens-100K files inside the installed recbole package.

GroupLens does not allow redistribution, so this package has no copy: it reads them from the recbole package.
"""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pandas as pd

from recbole_mm.datasets.source_files import naming_malformed
from recbole_mm.errors import InputError

# Two rows of the .item file are corrupted: item id -> (title, year).
ITEM_CORRECTIONS = {
    "267": ("unknown", "unknown"),
    "1412": ("Land Before Time III: The Time of the Great Giving", "1995"),
}


def wheel_file(suffix: str) -> Path:
    """Path of ``ml-100k.<suffix>``, found without importing recbole.

    Raises:
        InputError: recbole is not installed, or the file is missing.
    """
    spec = importlib.util.find_spec("recbole")
    if spec is None or spec.origin is None:
        raise InputError(
            "ml-100k-mm is built from files of recbole, which is not installed; type: pip install recbole==1.2.1"
        )
    path = Path(spec.origin).parent / "dataset_example" / "ml-100k" / f"ml-100k.{suffix}"
    if not path.is_file():
        raise InputError(f"{path}: this file of the recbole package is missing; reinstall recbole==1.2.1")
    return path


def read_wheel(suffix: str) -> pd.DataFrame:
    """The file as text columns; column names without types (``item_id``, not ``item_id:token``)."""
    path = wheel_file(suffix)
    with naming_malformed(path):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    return table.rename(columns=lambda column: column.partition(":")[0])


def read_items() -> pd.DataFrame:
    """Columns item_id, movie_title, release_year and class (genres), with `ITEM_CORRECTIONS` applied."""
    items = read_wheel("item").set_index("item_id", drop=False)
    for item_id, correction in ITEM_CORRECTIONS.items():
        items.loc[item_id, ["movie_title", "release_year"]] = correction
    return items.reset_index(drop=True)
