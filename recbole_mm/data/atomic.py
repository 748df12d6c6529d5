"""Checks of atomic files before RecBole reads them. Errors name file, field and remedy."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError, nearest

TYPES = ("token", "float", "token_seq", "float_seq")
_ROWS_AT_A_TIME = 1_000_000


def check_atomic_files(config) -> None:
    """Check ``<dataset>.inter``, ``.item`` and ``.user`` against the options of the run.

    Raises:
        InputError: the folder, the .inter file or a field of the run is missing, a header is wrong, a rating is not a
            number or not on the scale, or an item or user is twice in its file.
    """
    folder, dataset = Path(config["data_path"]), config["dataset"]
    if not folder.is_dir():
        others = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        raise InputError(
            f"dataset '{dataset}': no folder {folder}.{nearest(dataset, [*others, 'ml-100k-mm'])} Put the atomic files "
            f"there, or set --data_path to the folder that contains '{dataset}/'"
        )
    user, item, rating = (config[name] for name in ("USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD"))
    types = {user: "token", item: "token"}
    if config.reads_ratings:
        types[rating] = "float"
    if config["eval_args"]["order"] == "TO":
        types[config["TIME_FIELD"]] = "float"
    parts = config["benchmark_filename"]
    for path in [folder / f"{dataset}.{part}.inter" for part in parts] if parts else [folder / f"{dataset}.inter"]:
        fields = _check_header(path, config, "inter", types)
        if config.reads_ratings:
            _check_ratings(path, config, list(fields).index(rating))
    for source, id_field in (("item", item), ("user", user)):
        path = folder / f"{dataset}.{source}"
        if path.is_file():
            fields = _check_header(path, config, source, {id_field: "token"})
            _check_unique(path, config, list(fields).index(id_field), id_field)
        elif source == "item" and _loaded(config, source):
            raise InputError(f"{path}: no such file; the dataset needs it (or remove it from load_col)")


def _loaded(config, source: str) -> list[str]:
    """Fields of a file in load_col; none for '*'."""
    fields = (config["load_col"] or {}).get(source) or []
    return [] if fields == "*" else list(fields)


def _check_header(path: Path, config, source: str, types: dict[str, str]) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; the dataset needs it")
    fields = read_header(path, config["field_separator"], config["encoding"] or "utf-8")
    for field in [*types, *_loaded(config, source)]:
        if field not in fields:
            raise InputError(
                f"{path}: no field '{field}' in the header ({', '.join(fields)}).{nearest(field, fields)} Add the "
                f"column, or name the right one in the dataset's yaml (load_col, *_FIELD)"
            )
    for field, kind in types.items():
        if fields[field] != kind:
            raise InputError(f"{path}: field '{field}' is of type {fields[field]}, but must be {field}:{kind}")
    return fields


def _check_ratings(path: Path, config, column: int) -> None:
    """Each rating is a finite number, and on the scale if there is one. RecBole would replace others by the mean."""
    low, high = config["rating_scale"] or (-np.inf, np.inf)
    start = 2  # the first line is the header
    for text in _column(path, config, column):
        number = np.asarray(pd.to_numeric(text, errors="coerce"), dtype=float)
        wrong = ~np.isfinite(number) | (number < low) | (number > high)
        if wrong.any():
            row = int(np.argmax(wrong))
            shown = "" if pd.isna(text.iloc[row]) else text.iloc[row]
            scale = f", from {low:g} to {high:g} (option rating_scale)" if config["rating_scale"] else ""
            raise InputError(
                f"{path}: line {start + row}: {config['RATING_FIELD']} is '{shown}', but must be a number{scale}; "
                f"correct or remove the row"
            )
        start += len(text)


def _check_unique(path: Path, config, column: int, field: str) -> None:
    ids = pd.concat(list(_column(path, config, column)))
    duplicated = ids.duplicated()
    if duplicated.any():
        row = int(np.argmax(duplicated.to_numpy()))
        first = int(np.argmax((ids == ids.iloc[row]).to_numpy()))
        raise InputError(
            f"{path}: line {row + 2}: {field} '{ids.iloc[row]}' is already on line {first + 2}; remove one of them"
        )


def _column(path: Path, config, column: int) -> Iterator[pd.Series]:
    """One column as text, in chunks of rows. All columns are read, to find rows with too many columns."""
    encoding = config["encoding"] or "utf-8"
    options = {"sep": config["field_separator"], "dtype": str, "keep_default_na": False, "quoting": csv.QUOTE_NONE}
    try:
        for chunk in pd.read_csv(path, encoding=encoding, chunksize=_ROWS_AT_A_TIME, **options):
            if not isinstance(chunk.index, pd.RangeIndex):  # pandas makes row names of columns beyond the header
                raise InputError(f"{path}: line 2 has more columns than the header; correct or remove it")
            yield chunk.iloc[:, column]
    except pd.errors.ParserError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: a row has more columns than the header ({reason}); correct or remove it") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: cannot be read as {encoding} ({error}); name its encoding with --encoding"
        ) from error


def read_header(path: Path, separator: str = "\t", encoding: str = "utf-8") -> dict[str, str]:
    """Field names and types of an atomic file, in file order.

    Raises:
        InputError: a column of the first line is not ``name:type`` with one of RecBole's four types.
    """
    try:
        with path.open(encoding=encoding) as file:
            header = file.readline().rstrip("\r\n")
    except (UnicodeDecodeError, LookupError) as error:
        raise InputError(
            f"{path}: cannot be read as {encoding} ({error}); name its encoding with --encoding"
        ) from error
    if header.startswith("\ufeff"):
        raise InputError(
            f"{path}: begins with a byte order mark, which RecBole reads as text; save the file without it"
        )
    fields: dict[str, str] = {}
    for column in header.split(separator):
        name, colon, kind = column.rpartition(":")
        if not colon or not name or kind not in TYPES:
            shown = column if len(column) <= 40 else column[:40] + "…"
            raise InputError(
                f"{path}: header column '{shown}' is not 'name:type' with a type of {', '.join(TYPES)}; the first line "
                f"must name the columns, e.g. 'user_id:token<TAB>item_id:token<TAB>rating:float'"
            )
        if name in fields:
            raise InputError(f"{path}: field '{name}' is twice in the header; remove one")
        fields[name] = kind
    return fields
