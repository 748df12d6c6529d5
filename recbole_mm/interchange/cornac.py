"""Folders of Cornac: ratings, texts and features.

rating.txt (data.txt)    tab: user, item, rating, and maybe the time; no header
text.txt                 ITEM::TEXT on each line
image_features.npy …     a matrix each; item_ids.txt has the id of each row
"""

from __future__ import annotations

from pathlib import Path

from recbole_mm.errors import InputError
from recbole_mm.interchange.contents import Source
from recbole_mm.interchange.pickles import load_npy
from recbole_mm.interchange.row_vectors import feature_files
from recbole_mm.interchange.table_files import read_table
from recbole_mm.interchange.vector_files import pair, read_ids

RATINGS = ("rating.txt", "ratings.txt", "data.txt")
TEXTS = ("text.txt", "texts.txt")
IDS = "item_ids.txt"


def is_cornac(folder: Path) -> bool:
    """Whether a file of ratings in Cornac's form is there."""
    return _ratings(folder) is not None


def read_cornac(folder: Path) -> Source:
    """Ratings, texts and vectors of a folder.

    Raises:
        InputError: there are no ratings, a line of the texts has no '::', or the ids of the vectors are missing.
    """
    path = _ratings(folder)
    if path is None:
        raise InputError(f"{folder}: has no {' or '.join(RATINGS)} (tab: user, item, rating; no header)")
    header = ("user_id", "item_id", "rating", "timestamp")
    source = Source(read_table(path, header=header, separator="\t", quoted=False))
    source.notes.append(f"ratings: {path.name} of Cornac")
    for name in TEXTS:
        if (folder / name).is_file():
            source.texts = _texts(folder / name)
            source.notes.append(
                f"texts: {len(source.texts):,} of {name}, kept in texts.csv; vectors of them: recbole-mm extract"
            )
    for field, file in feature_files(folder).items():
        own = folder / f"{field}_ids.txt"
        ids = own if own.is_file() else folder / IDS
        if not ids.is_file():
            raise InputError(f"{file}: its rows have no ids; write {IDS} beside it, one item id a line, in their order")
        source.vectors[field] = pair(read_ids(ids), load_npy(file), str(file), str(ids))
        source.notes.append(f"{field}: {file.name}, ids of {ids.name}")
    return source


def _ratings(folder: Path) -> Path | None:
    return next((folder / name for name in RATINGS if (folder / name).is_file()), None)


def _texts(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as UTF-8 ({error}); save it as UTF-8") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        item, mark, text = line.rstrip("\r").partition("::")
        if not mark or not item.strip():
            raise InputError(f"{path}: line {number}: is not of the form ITEM::TEXT; correct it")
        if item.strip() in texts:
            raise InputError(f"{path}: line {number}: item '{item.strip()}' is there twice; remove one")
        texts[item.strip()] = text
    return texts
