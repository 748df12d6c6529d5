"""Feature vectors of items: one file per field, read much faster than by RecBole's row-wise parser.

A field (``text``, ``audio``, ...) of a dataset is a file beside its atomic files, in one of two forms:

    <dataset>.<field>        atomic text: header ``item_id:token<TAB><field>_vec:float_seq``, one item per row,
                             values separated by one space
    <dataset>.<field>.npz    arrays ``item_id`` [n] (str or int) and ``vectors`` [n, d]; the compact form of wide fields

An item without a row has no vector: the rows are the mask, and files hold no zeros for missing vectors.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import BinaryIO

import numpy as np

from recbole_mm.data.ids import same_but_written_otherwise
from recbole_mm.data.vector_table import VectorTable, check_unique, drop_non_finite
from recbole_mm.errors import InputError, NotInDataError, nearest
from recbole_mm.features.decimals import NotANumber, parse_decimals
from recbole_mm.files import UnreadableArrays, read_arrays, writing

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 18  # text parsed at a time by one thread: fits the processor's cache
_MAX_THREADS = 4
NON_FINITE_CHOICES = ("error", "missing")


def read_vectors(dataset_dir: Path, dataset: str, field: str, non_finite: str = "error") -> VectorTable:
    """Read field ``field`` of ``dataset`` from its text or npz form.

    Args:
        dataset_dir: the folder of the dataset's atomic files.
        non_finite: for rows with inf or nan: ``error``, or ``missing`` (they are dropped with one warning).

    Raises:
        InputError: the file is missing, both forms exist, or the content does not follow this module's description
            (wrong header, rows of different lengths, a text that is not a number, an item twice, no rows, pickled
            objects).
    """
    if non_finite not in NON_FINITE_CHOICES:
        raise InputError(f"non_finite_vectors must be one of {', '.join(NON_FINITE_CHOICES)}, not '{non_finite}'")
    path = find_vector_file(Path(dataset_dir), dataset, field)
    # place(i): where row i of the table is in the file, for error messages.
    if path.suffix == ".npz":
        table, place = _read_npz(path, field), lambda row: f"row {row} of its arrays"
    else:
        table, lines = _read_text(path, field)
        place = lambda row: f"line {lines[row]}"  # noqa: E731 - easy to compare with the other branch
    check_unique(table.item_ids, path, field, place)
    return drop_non_finite(table, path, field, place, non_finite)


def align(table: VectorTable, token2id: dict[str, int], item_num: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrange a table by a dataset's internal item ids.

    Args:
        token2id: item token to internal id (RecBole's ``field2token_id[iid_field]``).
        item_num: number of internal ids, [PAD] (id 0) included.

    Returns:
        values float32 [item_num, d] (zeros for missing vectors) and present bool [item_num], False for row 0 ([PAD]).
        Items outside the dataset are ignored; their number is logged.

    Raises:
        InputError: the table and the dataset have no item in common, or an id is written in two ways ('12', '12.0').
    """
    item_index = np.fromiter((token2id.get(token, 0) for token in table.item_ids.tolist()), np.int64)
    in_dataset = item_index > 0
    if not in_dataset.all():
        without = token2id.keys() - set(table.item_ids.tolist())
        pair = same_but_written_otherwise(table.item_ids[~in_dataset].tolist(), without)
        if pair:
            raise InputError(
                f"item id '{pair[0]}' of the vector file is '{pair[1]}' in the dataset ({(~in_dataset).sum()} of "
                f"{len(in_dataset)} ids are not in it); write ids in the same way in all files"
            )
    if not in_dataset.any():
        raise InputError(
            f"none of the {len(item_index)} item ids in the vector file (first: '{table.item_ids[0]}') is in the "
            "dataset; use the item_id tokens of the .inter file"
        )
    if not in_dataset.all():
        n_outside = (~in_dataset).sum()
        logger.info("%d of %d vectors belong to items outside the dataset: ignored", n_outside, len(in_dataset))
    values = np.zeros((item_num, table.dimension), np.float32)
    values[item_index[in_dataset]] = table.values if in_dataset.all() else table.values[in_dataset]
    present = np.zeros(item_num, bool)
    present[item_index[in_dataset]] = True
    return values, present


# ---------------------------------------------------------------------------------------------------------- writing


def write_vectors(
    path: Path,
    field: str,
    item_ids: Sequence[str],
    values: np.ndarray,
    decimals: int | None = None,
) -> None:
    """Write the text form with six significant digits of each value. The file appears complete or not at all.

    Args:
        item_ids: n tokens, unique, without tabs or line breaks.
        values: [n, d], finite.
        decimals: round to this number of decimals instead. Smaller values then become zero.
    """
    tokens, values = _check_writable(path, field, item_ids, values)
    values = values.astype(np.float64)
    # Rounding can give -0.0; adding 0.0 makes it 0.0, so that equal numbers have equal texts.
    rounded = (values if decimals is None else np.round(values, decimals)) + 0.0
    row_format = " ".join(["%.6g" if decimals is None else f"%.{decimals}f"] * values.shape[1])
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(_header(field) + "\n")
        for token, row in zip(tokens, rounded, strict=True):
            handle.write(f"{token}\t{row_format % tuple(row)}\n")


def write_vectors_npz(path: Path, item_ids: Sequence[str], values: np.ndarray) -> None:
    """Write the compact form (float32, uncompressed: loading is as fast as the disk)."""
    tokens, values = _check_writable(path, Path(path).name, item_ids, values)
    with writing(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, item_id=np.asarray(tokens, dtype=np.str_), vectors=values.astype(np.float32))


def _check_writable(
    path: Path, field: str, item_ids: Sequence[str], values: np.ndarray
) -> tuple[list[str], np.ndarray]:
    tokens = [str(token) for token in item_ids]
    values = np.asarray(values)
    if values.ndim != 2 or len(values) != len(tokens) or values.size == 0:
        raise InputError(
            f"cannot write {path}: field '{field}' needs values of shape [{len(tokens)}, d], got {values.shape}"
        )
    if not np.isfinite(values).all():
        raise InputError(f"cannot write {path}: field '{field}' holds inf or nan; leave those items out")
    if len(set(tokens)) != len(tokens):
        raise InputError(f"cannot write {path}: an item id of field '{field}' occurs twice; remove one")
    if any(not token or "\t" in token or "\n" in token or "\r" in token for token in tokens):
        raise InputError(f"cannot write {path}: an item id is empty or contains a tab or line break; rename it")
    return tokens, values


# ---------------------------------------------------------------------------------------------------------- finding


def find_vector_file(dataset_dir: Path, dataset: str, field: str) -> Path:
    """The file of a field, in its text or its npz form.

    Raises:
        NotInDataError: there is none.
        InputError: there are both.
    """
    text, npz = dataset_dir / f"{dataset}.{field}", dataset_dir / f"{dataset}.{field}.npz"
    if text.is_file() and npz.is_file():
        raise InputError(f"both {text} and {npz} exist for field '{field}': remove one of them")
    if npz.is_file():
        return npz
    if text.is_file():
        return text
    if not dataset_dir.is_dir():
        raise InputError(f"no folder {dataset_dir}: vector field '{field}' of dataset '{dataset}' cannot be read")
    npy = dataset_dir / f"{dataset}.{field}.npy"
    if npy.is_file():
        raise InputError(
            f"{npy}: field '{field}': a .npy file holds no item ids; write {npz.name} with "
            f"recbole_mm.data.vectors.write_vectors_npz(path, item_ids, values), with the ids in the order of its rows"
        )
    atomic = {"inter", "item", "user", "kg", "link", "net"}
    names = {
        file.name.removeprefix(f"{dataset}.").removesuffix(".npz") for file in dataset_dir.glob(f"{escape(dataset)}.*")
    }
    names = {name for name in names - atomic if not name.endswith(".encoder")}
    found = f"fields found there: {', '.join(sorted(names))}." if names else "no vector file was found there."
    raise NotInDataError(f"vector field '{field}' has no file {text} or {npz.name}; {found}{nearest(field, names)}")


def _header(field: str) -> str:
    return f"item_id:token\t{field}_vec:float_seq"


# --------------------------------------------------------------------------------------------------------- text form


@dataclass(frozen=True)
class _Block:
    """Consecutive non-empty lines of a text file, split at the tab."""

    line_numbers: list[int]
    tokens: list[bytes]
    values: list[bytes]


def _read_text(path: Path, field: str) -> tuple[VectorTable, list[int]]:
    """The table and the line number of each of its rows.

    Rows are counted first, so that each block is parsed directly into the result: the memory peak is the result and a
    few blocks. Threads parse the blocks, because numpy releases Python's global lock.
    """
    with open(path, "rb") as handle:
        _check_header(handle, path, field)
        first_row, row_num = b"", 0
        for line in handle:
            if line.strip():
                first_row, row_num = first_row or line, row_num + 1
        if not row_num:
            raise InputError(f"{path}: field '{field}' has no rows below the header; remove the file or fill it")
        dimension = first_row.strip(b"\r\n").partition(b"\t")[2].count(b" ") + 1

        handle.seek(0)
        values = np.empty((row_num, dimension), np.float32)
        tokens: list[bytes] = []
        line_numbers: list[int] = []
        for block, parsed in _parse_in_threads(_blocks(handle, path, field), dimension, path, field):
            values[len(tokens) : len(tokens) + len(parsed)] = parsed
            tokens += block.tokens
            line_numbers += block.line_numbers
    try:
        item_ids = np.array([token.decode("utf-8") for token in tokens], dtype=np.str_)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: an item id of field '{field}' is not UTF-8 ({error}); save the file as UTF-8"
        ) from None
    return VectorTable(item_ids, values), line_numbers


def _check_header(handle: BinaryIO, path: Path, field: str) -> None:
    header = handle.readline(4096).decode("utf-8-sig", errors="replace").rstrip("\r\n")
    if header != _header(field):
        shown = header if len(header) <= 80 else header[:77] + "..."
        raise InputError(
            f"{path} line 1: field '{field}' needs the header {_header(field)!r} (tab between), found {shown!r}"
        )


def _blocks(handle: BinaryIO, path: Path, field: str) -> Iterator[_Block]:
    handle.readline()  # the header
    line_number = 2
    while lines := handle.readlines(_BLOCK_BYTES):
        block = _Block([], [], [])
        for number, line in enumerate(lines, start=line_number):
            line = line.rstrip(b"\r\n")
            if not line.strip():
                continue
            token, tab, row = line.partition(b"\t")
            if not tab or not token:
                raise InputError(f"{path} line {number}: field '{field}' needs an item id, a tab and the values")
            block.line_numbers.append(number)
            block.tokens.append(token)
            block.values.append(row)
        line_number += len(lines)
        if block.tokens:
            yield block


def _parse_in_threads(
    blocks: Iterator[_Block], dimension: int, path: Path, field: str
) -> Iterator[tuple[_Block, np.ndarray]]:
    """Parsed blocks in the order of the file; at most (number of threads + 1) blocks are in memory."""
    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    pending: deque[tuple[_Block, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            pending.append((block, pool.submit(_parse_block, block, dimension, path, field)))
            if len(pending) > threads:
                oldest, future = pending.popleft()
                yield oldest, future.result()
        for block, future in pending:
            yield block, future.result()


def _parse_block(block: _Block, dimension: int, path: Path, field: str) -> np.ndarray:
    """float32 [rows, dimension]."""
    text = b"\n".join(block.values) + b"\n"
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters <= ord(" "))
    others = (characters[ends] != ord(" ")) & (characters[ends] != ord("\n"))
    if others.any():
        place = int(ends[np.argmax(others)])
        line = block.line_numbers[text.count(b"\n", 0, place)]
        raise InputError(
            f"{path} line {line}: field '{field}' has the character {chr(characters[place])!r} among its values; put "
            f"one space between values"
        )
    lengths = np.diff(np.flatnonzero(characters[ends] == ord("\n")), prepend=-1)
    if (lengths != dimension).any():
        row = int(np.argmax(lengths != dimension))
        raise InputError(
            f"{path} line {block.line_numbers[row]}: field '{field}' has {lengths[row]} values, the first row has "
            f"{dimension}; all vectors must have the same length, with one space between values"
        )
    try:
        return parse_decimals(text, ends).reshape(-1, dimension)
    except NotANumber as error:
        row, column = divmod(error.index, dimension)
        raise InputError(
            f"{path} line {block.line_numbers[row]}: value {column + 1} of field '{field}' is {error.text!r}, "
            "not a number; correct it (one space between values)"
        ) from None


# ---------------------------------------------------------------------------------------------------------- npz form


def _read_npz(path: Path, field: str) -> VectorTable:
    remedy = "write it with recbole_mm.data.vectors.write_vectors_npz (arrays item_id [n] and vectors [n, d])"
    try:
        arrays = read_arrays(path, ("item_id", "vectors"))
        item_ids, values = arrays["item_id"], arrays["vectors"]
    except KeyError as error:
        raise InputError(f"{path}: an array of field '{field}' is missing ({error.args[0]}); {remedy}") from None
    except MemoryError:
        raise InputError(f"{path}: the arrays of field '{field}' do not fit into memory; {remedy}") from None
    except UnreadableArrays as error:
        raise InputError(f"{path}: field '{field}' cannot be read as npz of plain arrays ({error}); {remedy}") from None
    if item_ids.ndim != 1 or values.ndim != 2 or len(item_ids) != len(values):
        raise InputError(
            f"{path}: field '{field}' has item_id of shape {item_ids.shape}, vectors of shape {values.shape}; {remedy}"
        )
    if not values.size:
        raise InputError(f"{path}: field '{field}' has no values; remove the file or fill it")
    if values.dtype.kind not in "fiu" or item_ids.dtype.kind not in "UiuS":
        raise InputError(
            f"{path}: field '{field}' has vectors of type {values.dtype} and item_id of type {item_ids.dtype}; {remedy}"
        )
    if item_ids.dtype.kind == "S":
        try:
            item_ids = np.char.decode(item_ids, "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: an item id of field '{field}' is not UTF-8 ({error}); {remedy}") from None
    with np.errstate(over="ignore"):
        return VectorTable(item_ids.astype(np.str_, copy=False), np.ascontiguousarray(values, np.float32))
