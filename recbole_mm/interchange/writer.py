"""Writes `Contents` as the files of a data set: atomic files, vectors and NAME.yaml, which every command reads."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.config.sources import write_value
from recbole_mm.data.vectors import write_vectors_npz
from recbole_mm.datasets.atomic_writer import replacing_folder
from recbole_mm.datasets.leftovers import clean_leftovers
from recbole_mm.datasets.registry import PREPARABLE
from recbole_mm.errors import InputError
from recbole_mm.files import why
from recbole_mm.interchange.contents import Contents

TYPES = {
    **{"rating": "float", "timestamp": "float"},
    **{"movie_title": "token_seq", "class": "token_seq"},
}
TEXTS = "texts.csv"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Imported:
    """A data set that was written; as text, what was recognised and chosen.

    Attributes:
        name: of the data set, for ``--dataset`` and `recbole_mm.run`.
        folder: of its files.
        notes: what was recognised, chosen and left out.
    """

    name: str
    folder: Path
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.notes)


def check_target(name: str, data_path: str | Path, force: bool) -> Path:
    """The folder of a new data set.

    Raises:
        InputError: the name is none, or is taken: by a data set of the package, or by files that are there.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"name: '{name}' is no name of a data set; take letters, digits, '-', '_' and '.'")
    if name in (*PREPARABLE, "ml-100k"):
        raise InputError(f"name: '{name}' is a data set of the package itself; choose another name")
    folder = Path(data_path) / name
    there = [path.name for path in sorted(folder.glob("*")) if _is_own(path.name, name)] if folder.is_dir() else []
    if there and not force:
        raise InputError(
            f"{folder}: holds {', '.join(there[:4])} already; choose another name, or replace it with --force "
            f"(in Python: "
            f"force=True)"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; choose another name")
    return folder


def write_contents(contents: Contents, name: str, folder: Path, command: str) -> Imported:
    """Write the files. They appear all or not at all; files of the folder that are not of this kind stay.

    Args:
        folder: `check_target`'s.
        command: what wrote them, for the head of NAME.yaml.

    Raises:
        InputError: the folder cannot be written to.
    """

    def is_own(file: str) -> bool:
        return _is_own(file, name)

    try:
        clean_leftovers(folder, is_own)
        with replacing_folder(folder, is_own) as place:
            _write_atomic(place / f"{name}.inter", contents.interactions)
            _write_atomic(place / f"{name}.item", contents.items)
            if contents.users is not None:
                _write_atomic(place / f"{name}.user", contents.users)
            for field, table in contents.vectors.items():
                write_vectors_npz(place / f"{name}.{field}.npz", table.item_ids, table.values)
            if contents.texts:
                texts = pd.DataFrame({"item_id": list(contents.texts), "text": list(contents.texts.values())})
                texts.to_csv(place / TEXTS, index=False, lineterminator="\n")
            (place / f"{name}.yaml").write_text(_yaml(contents, command), encoding="utf-8")
            written = sorted(path.name for path in place.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {why(error)}; free some space, or choose another place") from error
    return Imported(name, folder, (*contents.notes, f"written: {folder}: {', '.join(written)}"))


def _is_own(file: str, name: str) -> bool:
    return (
        file == TEXTS or re.fullmatch(rf"{re.escape(name)}\.(inter|item|user|yaml|[A-Za-z]\w*\.npz)", file) is not None
    )


def _write_atomic(path: Path, frame: pd.DataFrame) -> None:
    columns = {
        f"{name}:{TYPES.get(name, 'token')}": _number_texts(frame[name]) if TYPES.get(name) == "float" else frame[name]
        for name in frame
    }
    # Nothing is quoted, and no text holds a tab or a line break (cells.py).
    pd.DataFrame(columns).to_csv(
        path, sep="\t", index=False, quoting=csv.QUOTE_NONE, quotechar=None, escapechar=None, lineterminator="\n"
    )


def _number_texts(column: pd.Series) -> pd.Series:
    """Whole numbers without a point; '' for NaN."""
    values = column.to_numpy(dtype=np.float64)
    if np.isfinite(values).all() and (values == np.round(values)).all():
        return pd.Series(values.astype(np.int64))
    return pd.Series(["" if value != value else _shortest(value) for value in values.tolist()])


def _shortest(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _yaml(contents: Contents, command: str) -> str:
    lines = [
        f"# Options of this data set. Written by {command} on {date.today()}; every command reads them, so change them",
        "# here. What they mean: properties/overall.yaml. What was recognised and chosen:",
        *(f"#   {note}" for note in contents.notes),
    ]
    return "\n".join([*lines, *(f"{key}: {write_value(value)}" for key, value in contents.options.items()), ""])
