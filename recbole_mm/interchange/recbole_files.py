"""Atomic files of RecBole, wherever their vectors are: float_seq in .item, .itememb or .ent, and our own fields.

    NAME.inter, or NAME.train.inter, NAME.valid.inter, NAME.test.inter
    NAME.item           item_id:token, titles and genres, columns of float_seq
    NAME.itememb        iid:token<TAB>item_emb:float_seq
    NAME.ent, .link     ent_id:token<TAB>ent_emb:float_seq, and item_id:token<TAB>entity_id:token
    NAME.text(.npz)     the fields of this package

Columns are separated by tabs; files with '|' or ',' between them are read, too. Nothing is quoted.
"""

from __future__ import annotations

import re
from glob import escape
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.data.atomic import TYPES
from recbole_mm.data.vectors import read_vectors
from recbole_mm.errors import InputError
from recbole_mm.interchange.columns import OF_ITEMS, find_columns
from recbole_mm.interchange.contents import RawVectors, Source, Table
from recbole_mm.interchange.row_vectors import field_name
from recbole_mm.interchange.table_files import read_table
from recbole_mm.interchange.vector_files import stack

PARTS = {"train": ("train",), "valid": ("valid", "val", "validation"), "test": ("test",)}
_NOT_VECTORS = ("inter", "item", "user", "kg", "link", "net", "yaml", "csv", "md", "txt")
_COLUMN = re.compile(rf"[^:]+:({'|'.join(TYPES)})")


def is_recbole(folder: Path) -> bool:
    """Whether an .inter file with names and types is there."""
    return any(_separator(path) for path in folder.glob("*.inter"))


def read_recbole(folder: Path) -> Source:
    """Ratings, split, items, users and vectors of a folder of atomic files.

    Raises:
        InputError: no .inter file, or several that are not the parts of one split; a wrong header or row.
    """
    name, ratings, note = _ratings(folder)
    source = Source(ratings, notes=[note], keep_order=True)
    vectors: dict[str, RawVectors] = {}
    for path in sorted(folder.glob("*.item")):
        table = read_atomic(path)
        vectors.update(_of_columns(table))
        if source.items is None or path.stem == name:
            plain = [column for column in table.frame if not column.endswith(":float_seq")]
            source.items = Table(table.frame[plain], table.name, table.lines)
    if source.items is not None and not find_columns(source.items, OF_ITEMS, (), {}):
        source.items = None
    if (path := folder / f"{name}.user").is_file():
        source.users = read_atomic(path)
    for path in sorted(folder.glob("*.itememb")):
        vectors.update(_of_columns(read_atomic(path)))
    for path in sorted(folder.glob("*.ent")):
        vectors.update(_of_entities(path, path.with_suffix(".link")))
    for path in sorted(folder.glob("*.useremb")):
        source.notes.append(f"{path.name}: not read; the vectors of this package are of items")
    vectors.update(_of_fields(folder, name))
    source.vectors = vectors
    return source


def _ratings(folder: Path) -> tuple[str, Table, str]:
    """Name of the data set, its interactions, and a note."""
    files = sorted(folder.glob("*.inter"))
    parts = {
        part: path
        for part, ends in PARTS.items()
        for path in files
        if path.stem.rpartition(".")[2] in ends and path.stem.rpartition(".")[0]
    }
    whole = [path for path in files if path not in parts.values()]
    named = [path for path in whole if path.stem == folder.name] or whole
    if len(named) == 1:
        return named[0].stem, read_atomic(named[0]), f"ratings: {named[0].name} of RecBole"
    if not whole and {"train", "test"} <= parts.keys():
        tables = {part: read_atomic(path) for part, path in parts.items()}
        frame = pd.concat([table.frame.assign(split=part) for part, table in tables.items()], ignore_index=True)
        shown = ", ".join(path.name for path in parts.values())
        return parts["train"].stem.rpartition(".")[0], Table(frame, str(folder)), f"ratings: {shown} of RecBole"
    found = ", ".join(path.name for path in files) or "no .inter file"
    raise InputError(
        f"{folder}: has {found}; it takes one NAME.inter, or NAME.train.inter, NAME.valid.inter and NAME.test.inter"
    )


def read_atomic(path: Path) -> Table:
    """A table of an atomic file, all values as text.

    Raises:
        InputError: the header is not of names and types, or a row has another number of columns.
    """
    separator = _separator(path)
    if separator is None:
        raise InputError(
            f"{path}: the first line must name columns and types, e.g. item_id:token<TAB>item_emb:float_seq"
        )
    return read_table(path, separator=separator, quoted=False)


def _separator(path: Path) -> str | None:
    """What separates columns in the header; None if it is not one of names and types."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(1 << 16).rstrip("\r\n")
    for separator in "\t|,":
        if all(_COLUMN.fullmatch(column.strip()) for column in header.split(separator)):
            return separator
    return None


def _of_columns(table: Table) -> dict[str, RawVectors]:
    """Field -> vectors, for each column of float_seq; the ids are in the first column of tokens."""
    columns = list(table.frame)
    sequences = [column for column in columns if column.endswith(":float_seq")]
    tokens = [column for column in columns if column.endswith(":token")]
    if not sequences:
        return {}
    if not tokens:
        raise InputError(f"{table.name}: has {sequences[0]}, but no column of ids; add one, e.g. item_id:token")
    item = find_columns(table, ("item",), (), {}).get("item", tokens[0])
    vectors = {}
    for column in sequences:
        name = column.removesuffix(":float_seq")
        texts = table.frame[column]
        filled = np.flatnonzero(texts.str.strip().to_numpy() != "")
        lines = table.lines[filled] if table.lines is not None else filled
        values = stack(texts.iloc[filled].tolist(), table.name, lambda row, lines=lines: f"line {lines[row]}")
        ids = table.frame[item].to_numpy(dtype=object)[filled]
        field = field_name(re.sub(r"_(vec|emb|feat|embedding)$", "", name))
        field = f"{field}_vectors" if field in _NOT_VECTORS else field
        vectors[field] = RawVectors(
            ids, values, f"{table.name}: {name}", lambda row, lines=lines: f"{table.name}: line {lines[row]}"
        )
    return vectors


def _of_entities(path: Path, links: Path) -> dict[str, RawVectors]:
    """Vectors of entities, as those of the items that the link file gives them to."""
    if not links.is_file():
        raise InputError(f"{path}: vectors of entities need {links.name} (item_id:token<TAB>entity_id:token)")
    link = read_atomic(links).frame
    item_of = dict(zip(link.iloc[:, 1], link.iloc[:, 0]))
    found = {}
    for field, raw in _of_columns(read_atomic(path)).items():
        rows = [row for row, entity in enumerate(raw.item_ids.tolist()) if entity in item_of]
        ids = np.array([item_of[raw.item_ids[row]] for row in rows], dtype=object)
        found[field] = RawVectors(ids, raw.values[rows], raw.name, lambda row, raw=raw, rows=rows: raw.place(rows[row]))
    return found


def _of_fields(folder: Path, name: str) -> dict[str, RawVectors]:
    """Fields of this package: NAME.text and NAME.text.npz."""
    ends = {path.name.removeprefix(f"{name}.").removesuffix(".npz") for path in folder.glob(f"{escape(name)}.*")}
    fields = sorted(end for end in ends if re.fullmatch(r"[A-Za-z]\w*", end) and end not in _NOT_VECTORS)
    found = {}
    for field in fields:
        text = folder / f"{name}.{field}"
        if text.is_file() and not _is_own_field(text, field):
            continue
        table = read_vectors(folder, name, field, non_finite="missing")
        found[field] = RawVectors(
            table.item_ids, table.values, f"{name}.{field}", lambda row, table=table: f"item {table.item_ids[row]}"
        )
    return found


def _is_own_field(path: Path, field: str) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline(4096).rstrip("\r\n") == f"item_id:token\t{field}_vec:float_seq"
