"""Folders of MMRec, and of tools with its layout (MRLib, M3L and others).

NAME.inter            tab: userID, itemID, rating, timestamp, x_label (0 training, 1 validation, 2 test)
image_feat.npy …      a matrix each; row i is the vector of item i
"""

from __future__ import annotations

from pathlib import Path

from recbole_mm.errors import InputError
from recbole_mm.interchange.columns import find_columns
from recbole_mm.interchange.contents import Source
from recbole_mm.interchange.row_vectors import add_row_vectors
from recbole_mm.interchange.table_files import read_table

SUFFIXES = (".inter", ".tsv", ".csv")
LABEL = "x_label"


def is_mmrec(folder: Path) -> bool:
    """Whether the folder holds a table with a column x_label and untyped names."""
    return bool(_tables(folder))


def read_mmrec(folder: Path) -> Source:
    """Ratings, split and vectors of a folder.

    Raises:
        InputError: no such table, or several; an item that is no row number; a matrix with too few rows.
    """
    tables = _tables(folder)
    named = [path for path in tables if path.stem == folder.name]
    if len(named or tables) != 1:
        found = f"has {', '.join(path.name for path in tables)}" if tables else f"has no table with a column {LABEL}"
        raise InputError(f"{folder}: {found}; MMRec's layout has one NAME.inter with {LABEL}: keep one of them")
    path = (named or tables)[0]
    table = read_table(path, quoted=False)
    item = find_columns(table, ("item",), ("item",), {})["item"]
    source = Source(table, notes=[f"ratings: {path.name}, in MMRec's layout"])
    add_row_vectors(source, folder, table.frame[item].str.strip(), item)
    return source


def _tables(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in SUFFIXES and path.is_file() and LABEL in _first_line(path)
    ]


def _first_line(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(4096).strip()
    return line.replace(",", "\t").split("\t")
