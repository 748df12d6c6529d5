"""Ratings that were parsed before, kept as memory-mapped arrays so that the next start does not parse them again.

A table is found by what it was made from: a checksum of all bytes of the file, the version of this format, and all that
decides how bytes become columns (`recbole_mm.data.columns.Reading`). The bytes are hashed at each start, which takes a
second for 600 MB; sizes and times of files are not trusted. So a changed file never gives old ratings.

A table is a folder of .npy files with a seal: the checksum of each array, and of the seal itself. A folder that is
damaged, of another version or of something else is not used, and is written anew. It is written aside and renamed.
The checksums find accidents, not forgeries: who can write into the folder of the data can change the data as well. A
folder of another user is only used if the data are that user's too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from recbole_mm.compat import MISSING_NUMBERS
from recbole_mm.data.columns import Column, Reading, Table, Tokens, read_table
from recbole_mm.data.lines import Lines

logger = logging.getLogger(__name__)

AUTO = "auto"
"""Value of the option ``ratings_cache``: a folder beside the data, or one of the user where that is not writable."""

WORTH_BYTES = 32 << 20
"""Smaller files are parsed at each start: that takes about as long as reading a cache."""

_FORMAT = 1
_SEAL = "seal.json"
_FOLDER = ".recbole-mm-cache"
_KEPT = 3  # tables of one file: of other columns, or of its content before
_STEP = 1 << 22


def cached_table(path: Path, reading: Reading, where: str | None) -> Table:
    """The columns of a file, from a cache if there is a right one, else read, checked and kept for the next start.

    Args:
        where: option ``ratings_cache``: `AUTO`, a folder, or None for no cache.

    Raises:
        InputError: as `read_table`.
    """
    if where is None or path.stat().st_size < WORTH_BYTES:
        return read_table(path, reading)
    digest = _digest_of(path)
    key = _key(digest, reading)
    name = f"{path.name}.{key}"
    folders = list(_folders(path, where))
    for folder in folders:
        if (folder / name).is_dir():
            try:
                table = _load(folder / name, path, reading, key)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
                logger.warning("%s: is damaged or none of ours (%s); made anew", folder / name, _short(error))
                continue
            logger.info(
                "%s: %d rows were parsed before and come from %s (same content; option ratings_cache)",
                *(path, table.lines.rows, folder / name),
            )
            return table
    table = read_table(path, reading)
    complete = len(table.columns) == len(reading.columns)  # else an error about a number follows
    if complete and _digest_of(path) == digest:  # else somebody writes the file meanwhile
        _keep(table, path, key, folders)
    return table


def _key(digest: str, reading: Reading) -> str:
    fields = {**asdict(reading), "fields": list(reading.fields.items()), "columns": list(reading.columns)}
    decides = [_FORMAT, digest, fields, list(MISSING_NUMBERS)]
    return hashlib.blake2b(json.dumps(decides).encode(), digest_size=16).hexdigest()


def _folders(path: Path, where: str) -> Iterator[Path]:
    """Where a table may be, the first choice first."""
    if where != AUTO:
        yield Path(where)
        return
    yield path.parent / _FOLDER
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if os.path.isabs(caches):
        yield Path(caches) / "recbole-mm"


# ------------------------------------------------------------------------------------------------------------- writing


def _keep(table: Table, path: Path, key: str, folders: list[Path]) -> None:
    """Write the table into the first folder that takes it. A run goes on without a cache if none does."""
    name, reason = f"{path.name}.{key}", ""
    for folder in folders:
        aside = folder / f".{name}.{os.getpid()}.partial"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove(aside)
            aside.mkdir()
            size = _write(aside, table, key)
            _remove(folder / name)
            os.rename(aside, folder / name)
            _remove_older(folder, path.name, name)
        except OSError as error:
            reason = error.strerror or str(error)
            _remove(aside)
            continue
        logger.info(
            "%s: kept parsed in %s (%d MB) for the next start; option ratings_cache says where, ~ is nowhere",
            *(path, folder / name, size >> 20),
        )
        return
    logger.info("%s: not kept parsed for the next start (%s); option ratings_cache takes a folder", path, reason)


def _write(folder: Path, table: Table, key: str) -> int:
    """Arrays and seal; their size in bytes."""
    arrays: dict[str, np.ndarray] = {}
    for number, column in enumerate(table.columns.values()):
        if isinstance(column, Tokens):
            # No token holds a line break or a NUL byte.
            text = "\n".join(column.tokens.tolist()).encode()
            arrays |= {f"{number}.codes": column.codes, f"{number}.tokens": np.frombuffer(text, np.uint8)}
        else:
            arrays[f"{number}.numbers"] = column
    digests, size = {}, 0
    for name, array in arrays.items():
        file = folder / f"{name}.npy"
        with file.open("wb") as opened:
            np.save(opened, array, allow_pickle=False)
            opened.flush()
            os.fsync(opened.fileno())
        digests[name] = _digest_of(file)
        size += file.stat().st_size
    content = {"key": key, "lines": asdict(table.lines), "arrays": digests}
    (folder / _SEAL).write_text(json.dumps({**content, "seal": _seal_of(content)}), encoding="utf-8")
    return size


def _seal_of(content: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _remove_older(folder: Path, file: str, newest: str) -> None:
    """Keep the newest tables of a file. One that another process reads stays there until it has ended."""
    others = [
        other
        for other in folder.glob(f"{escape(file)}.*")
        if other.name != newest and other.is_dir() and len(other.name) == len(newest)
    ]
    for other in sorted(others, key=lambda path: path.stat().st_mtime)[: -(_KEPT - 1)]:
        _remove(other)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------------------------- reading


def _load(folder: Path, path: Path, reading: Reading, key: str) -> Table:
    """The table of a folder.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError: it is damaged, foreign or of another user.
    """
    if os.name == "posix" and folder.stat().st_uid not in (os.getuid(), path.stat().st_uid):
        raise ValueError("it belongs to another user")
    content = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
    if content.pop("seal", None) != _seal_of(content) or content["key"] != key:
        raise ValueError("the seal is wrong, or that of another table")
    lines = Lines(**content["lines"])
    arrays = {}
    for name, digest in content["arrays"].items():
        file = folder / f"{name}.npy"
        if _digest_of(file) != digest:
            raise ValueError(f"{name}.npy: the checksum is wrong")
        arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False)
    columns: dict[str, Column] = {}
    for number, name in enumerate(reading.columns):
        if reading.fields[name] == "float":
            columns[name] = _checked(arrays[f"{number}.numbers"], np.float64, lines.rows)
            continue
        tokens = np.array([*arrays[f"{number}.tokens"].tobytes().decode().split("\n"), None], object)[:-1]
        codes = _checked(arrays[f"{number}.codes"], np.int32, lines.rows)
        if codes.min() < -1 or codes.max() >= len(tokens):
            raise ValueError(f"{number}.codes.npy: a code has no token")
        columns[name] = Tokens(codes, tokens)
    return Table(lines, columns)


def _checked(array: np.ndarray, dtype: type, rows: int) -> np.ndarray:
    if array.dtype != dtype or array.shape != (rows,):
        raise ValueError(f"an array of {array.dtype} {array.shape} in the place of {rows} rows")
    return array


def _digest_of(path: Path) -> str:
    digest = hashlib.blake2b()
    with path.open("rb") as file:
        while part := file.read(_STEP):
            digest.update(part)
    return digest.hexdigest()


def _short(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:120]
