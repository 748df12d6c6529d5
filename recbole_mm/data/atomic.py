"""Checks of atomic files before RecBole reads them. Errors name file, field and remedy."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_mm.compat import MISSING_NUMBERS
from recbole_mm.data.cache import cached_table
from recbole_mm.data.columns import Reading, Table, read_table
from recbole_mm.data.lines import line_of_row, not_readable
from recbole_mm.errors import InputError, nearest

logger = logging.getLogger(__name__)

TYPES = ("token", "float", "token_seq", "float_seq")
PARTS = ("0", "1", "2")
"""What the field of a published split (option ``split_field``) holds: training, validation, test."""
_ROWS_AT_A_TIME = 1_000_000
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_EXACT = 2.0**53  # larger whole numbers are not exact as floats


@dataclass(frozen=True)
class AtomicFiles:
    """What the files of a data set hold.

    Attributes:
        inter: path and number of rows of each .inter file.
        ids: for ``user`` and ``item``, the ids in the order of the file; absent where there is no file.
        tables: of .inter files all of whose columns are read here, so that RecBole need not read them again.
    """

    inter: dict[Path, int]
    ids: dict[str, list[str]]
    tables: dict[Path, Table]


def check_atomic_files(config) -> AtomicFiles:
    """Check ``<dataset>.inter``, ``.item`` and ``.user`` line by line against the options of the run.

    Raises:
        InputError: the folder, the .inter file or a field of the run is missing, a header is wrong, a row has another
            number of columns, an id is empty, a number is none or out of range, or an item or user is twice in its
            file. The message names file, line and field.
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
    if config["split_by"] == "label":
        types[config["split_field"]] = "token"
    parts, found = config["benchmark_filename"], AtomicFiles({}, {}, {})
    for path in [folder / f"{dataset}.{part}.inter" for part in parts] if parts else [folder / f"{dataset}.inter"]:
        table, is_whole = _check_file(path, config, "inter", types)
        found.inter[path] = table.lines.rows
        if is_whole:
            found.tables[path] = table
        if config["split_by"] == "label":
            _check_parts(path, config, config["split_field"])
    for source, id_field in (("item", item), ("user", user)):
        path = folder / f"{dataset}.{source}"
        if path.is_file():
            if _is_read(config, source):
                _check_file(path, config, source, {id_field: "token"})
                found.ids[source] = _check_unique(path, config, id_field)
        elif source == "item" and _loaded(config, source):
            raise InputError(f"{path}: no such file; the dataset needs it (or remove it from load_col)")
    for source in ("kg", "link", "ent", "rel"):
        path = folder / f"{dataset}.{source}"
        if _loaded(config, source) and not path.is_file():
            raise InputError(
                f"{path}: no such file; {config['model']} learns from a knowledge graph (docs/builtin-models.md lists "
                f"its files); take another model, or leave '{source}' out of load_col if no model needs it"
            )
    return found


def _loaded(config, source: str) -> list[str]:
    """Fields of a file in load_col; none for '*'."""
    fields = (config["load_col"] or {}).get(source) or []
    return [] if fields == "*" else list(fields)


def _is_read(config, source: str) -> bool:
    return config["load_col"] is None or bool(config["load_col"].get(source))


def _encoding(config) -> str:
    return config["encoding"] or "utf-8"


def _check_file(path: Path, config, source: str, types: dict[str, str]) -> tuple[Table, bool]:
    """A table of one file, whose header, lines and numbers are right, and whether it has all that a run reads of it.

    Of .user and .item files only the numbers are read here: they are small, and hold lists of words.
    """
    fields = _check_header(path, config, source, types)
    names, ids = list(fields), (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
    wanted = _loaded(config, source) or names
    left_out = set((config["unload_col"] or {}).get(source) or ())
    read = [name for name in names if name in types or (name in wanted and name not in left_out)]
    numbers = [name for name in names if name in read and fields[name] == "float"]
    words = [name for name in names if name in read and fields[name] == "token" and source == "inter"]
    columns = [name for name in names if name in numbers or name in words]
    reading = Reading(config["field_separator"], _encoding(config), fields, columns, [n for n in types if n in ids])
    table = cached_table(path, reading, config["ratings_cache"]) if source == "inter" else read_table(path, reading)
    lines = table.lines
    if lines.quoted:
        logger.warning(
            "%s: values that look written by a CSV writer: %d, first line %d; quotation marks are read as they are, so "
            "write the file with quoting=csv.QUOTE_NONE",
            path,
            lines.quoted,
            lines.first_quoted,
        )
    if numbers:
        _check_numbers(path, config, fields, table, numbers, source)
    for name in names:
        if fields[name] == "float_seq" and name in wanted and name not in left_out:
            _check_number_lists(path, config, name)
    return table, columns == read


def _check_header(path: Path, config, source: str, types: dict[str, str]) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; the dataset needs it")
    fields = read_header(path, config["field_separator"], _encoding(config))
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


@dataclass(frozen=True)
class _Numbers:
    """What the numbers of one field must be: ``remedy`` ends the message about one that is not."""

    low: float
    high: float
    needed: bool
    remedy: str

    def wrong(self, values: np.ndarray) -> np.ndarray:
        outside = (values < self.low) | (values > self.high)
        return outside | np.isnan(values) if self.needed else outside


def _rule(config, source: str, field: str) -> _Numbers:
    if source == "inter" and field == config["RATING_FIELD"] and config.reads_ratings:
        scale = config["rating_scale"]
        low, high = scale or (-_FLOAT32_MAX, _FLOAT32_MAX)
        shown = f", from {low:g} to {high:g} (option rating_scale)" if scale else " that float32 can hold"
        return _Numbers(low, high, True, f"must be a number{shown}; correct or remove the row")
    if source == "inter" and field == config["TIME_FIELD"]:
        if config["eval_args"]["order"] != "TO":
            return _Numbers(-np.inf, np.inf, False, "must be a number or empty; correct it or leave it empty")
        return _Numbers(
            -_EXACT,
            _EXACT,
            True,
            "orders the rows and must be a number of at most 2^53, such as seconds or milliseconds since 1970; write "
            "dates as such numbers, and remove rows without one",
        )
    return _Numbers(-_FLOAT32_MAX, _FLOAT32_MAX, False, "must be a number or empty; correct it or leave it empty")


def _check_numbers(path: Path, config, fields: dict[str, str], table: Table, names: list[str], source: str) -> None:
    """Each number is what its field needs. RecBole would replace missing ones by the mean."""
    rules = {name: _rule(config, source, name) for name in names}
    columns = [list(fields).index(name) for name in names]
    options: dict[str, Any] = _reading(config) | {"usecols": columns, "header": 0, "names": list(fields)}
    if not table.columns.keys() >= rules.keys():
        raise _no_number(path, config, options, rules)
    first_wrong = {}
    for name, rule in rules.items():
        wrong = rule.wrong(table.numbers[name])
        if wrong.any():
            first_wrong[name] = int(np.argmax(wrong))
    if first_wrong:
        name = min(first_wrong, key=lambda name: first_wrong[name])
        raise _wrong_number(path, config, options, name, rules[name], first_wrong[name])
    for name in names:
        number = int(np.isnan(table.numbers[name]).sum())
        if number and name != config["TIME_FIELD"]:
            rows = table.lines.rows
            logger.warning("%s: %d of %d rows have no %s; they take the mean of the others", path, number, rows, name)


def _check_number_lists(path: Path, config, name: str) -> None:
    """Each value of a field of type float_seq is a list of numbers. RecBole would not say where it is none."""
    separator = config["seq_separator"]
    for row, text in enumerate(read_column(path, config, name)):
        for word in filter(None, text.split(separator)):
            if not _is_float32(word):
                line = line_of_row(path, _encoding(config), row, config["field_separator"])
                raise InputError(
                    f"{path}: line {line}: {name} holds '{word[:30]}', but a float_seq takes numbers that float32 can "
                    f"hold, with '{separator}' between them (seq_separator); correct it, or make the column a token_seq"
                )


def _is_float32(text: str) -> bool:
    try:
        return abs(float(text)) <= _FLOAT32_MAX
    except ValueError:
        return False


def _no_number(path: Path, config, options: dict, rules: dict[str, _Numbers]) -> InputError:
    """The error for the first text of a column of numbers that is none."""
    start = 0
    for chunk in pd.read_csv(path, dtype=str, chunksize=_ROWS_AT_A_TIME, **options):
        for name, rule in rules.items():
            text = chunk[name]
            numbers = pd.Series(pd.to_numeric(text, errors="coerce"))
            bad = (numbers.isna() & ~text.isin(MISSING_NUMBERS)).to_numpy()
            if bad.any():
                return _wrong_number(path, config, options, name, rule, start + int(np.argmax(bad)))
        start += len(chunk)
    return InputError(f"{path}: a value of {', '.join(rules)} is no number; correct it")


def _wrong_number(path: Path, config, options: dict, name: str, rule: _Numbers, row: int) -> InputError:
    text = pd.read_csv(path, dtype=str, chunksize=_ROWS_AT_A_TIME, **options)
    shown = next(chunk[name].loc[row] for chunk in text if row in chunk.index)
    line = line_of_row(path, _encoding(config), row, config["field_separator"])
    return InputError(f"{path}: line {line}: {name} is '{shown}', but {rule.remedy}")


def _check_parts(path: Path, config, field: str) -> None:
    """Each row of a published split is in one of three parts, and each part has a row."""
    parts = read_column(path, config, field)
    wrong = ~parts.isin(PARTS).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        line = line_of_row(path, _encoding(config), row, config["field_separator"])
        raise InputError(
            f"{path}: line {line}: {field} is '{parts.iloc[row]}', but split_by label takes 0 (training), 1 "
            f"(validation) "
            f"or 2 (test); correct it, or choose another --protocol"
        )


def read_column(path: Path, config, field: str) -> pd.Series:
    """One field of an atomic file, as text."""
    column = list(read_header(path, config["field_separator"], _encoding(config))).index(field)
    options: dict[str, Any] = _reading(config) | {"usecols": [column]}
    return pd.read_csv(path, dtype=str, **options).iloc[:, 0]


def _check_unique(path: Path, config, field: str) -> list[str]:
    """The ids of a file of users or items."""
    encoding, separator = _encoding(config), config["field_separator"]
    ids = read_column(path, config, field)
    duplicated = ids.duplicated()
    if duplicated.any():
        row = int(np.argmax(duplicated.to_numpy()))
        first = int(np.argmax((ids == ids.iloc[row]).to_numpy()))
        lines = [line_of_row(path, encoding, number, separator) for number in (row, first)]
        raise InputError(
            f"{path}: line {lines[0]}: {field} '{ids.iloc[row]}' is already on line {lines[1]}; remove one of them"
        )
    return ids.tolist()


def _reading(config) -> dict[str, Any]:
    """Options with which pandas takes no quotes and keeps every text, as RecBole then reads (`compat.csv_engine`)."""
    return {
        "sep": config["field_separator"],
        "encoding": _encoding(config),
        "quoting": csv.QUOTE_NONE,
        "keep_default_na": False,
        "engine": "c",
    }


def read_header(path: Path, separator: str = "\t", encoding: str = "utf-8") -> dict[str, str]:
    """Field names and types of an atomic file, in file order.

    Raises:
        InputError: a column of the first line is not ``name:type`` with one of RecBole's four types.
    """
    try:
        with path.open(encoding=encoding) as file:
            header = file.readline().rstrip("\r\n")
    except (UnicodeDecodeError, LookupError) as error:
        raise not_readable(path, encoding, str(error)) from error
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
