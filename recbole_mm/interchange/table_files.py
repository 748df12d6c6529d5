"""Tables of users' files: csv (with any usual separator, quoted as csv is) and parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.interchange.contents import Table
from recbole_mm.interchange.pickles import refuse_pickle

SEPARATORS = (",", "\t", ";", "|")
PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt", ".inter", ".item", ".user", ".dat", ".data")
_LONGEST = 1 << 30  # of a field: csv's own limit, 131,072 characters, is less than some summaries have


def read_table(
    path: Path,
    encoding: str = "utf-8",
    header: tuple[str, ...] | None = None,
    separator: str | None = None,
    quoted: bool = True,
) -> Table:
    """A table of a csv or parquet file. Values of csv are texts as they stand there: '007' stays '007'.

    Args:
        encoding: of a csv file; UTF-8 may have a byte order mark.
        header: names of the columns of a csv file that has no header line; further columns have their number.
        separator: of a csv file; by default it is found in the first line.
        quoted: values of a csv file may stand in quotation marks; False where a quotation mark is one like any other.

    Raises:
        InputError: the file is absent, of another kind, damaged, in another encoding, or a row has another number of
            columns than the header; or parquet is asked for and pyarrow is not installed.
    """
    path = Path(path)
    refuse_pickle(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the name")
    if path.suffix.lower() in PARQUET:
        return Table(read_parquet(path), str(path))
    if path.suffix.lower() not in TEXT and separator is None:
        raise InputError(f"{path}: a table is a .csv, .tsv, .txt or .parquet file; rename the file, or convert it")
    return _read_csv(path, encoding, header, separator, quoted)


def read_parquet(path: Path) -> pd.DataFrame:
    """The columns of a parquet file.

    Raises:
        InputError: pyarrow is not installed, or the file is no parquet file.
    """
    parquet = _parquet(path)
    import pyarrow

    try:
        return parquet.read_table(path).to_pandas()
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"{path}: is no parquet file that can be read ({' '.join(str(error).split())}); write it again"
        ) from error


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a parquet file. Raises InputError if pyarrow is not installed."""
    parquet = _parquet(path)
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pandas(frame, preserve_index=False), path)


def _parquet(path: Path):
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise InputError(
            f"{path}: parquet needs pyarrow, which is not installed; type: pip install 'recbole-mm[import]', or use "
            f"csv and npy"
        ) from error
    return parquet


def _read_csv(path: Path, encoding: str, header: tuple[str, ...] | None, separator: str | None, quoted: bool) -> Table:
    limit = csv.field_size_limit(_LONGEST)
    try:
        with path.open(encoding="utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding, newline="") as file:
            rows = _rows(file, path, separator, quoted)
            names: list[str] | None = None
            if header is None:
                _, names = next(rows, (0, None))
                if names is None:
                    raise InputError(f"{path}: is empty; the first line names the columns")
                names = [name.strip() for name in names]
            columns: list[list[str]] = [[] for _ in names or ()]
            lines: list[int] = []
            same: dict[str, str] = {}  # equal texts are kept once: ids and ratings repeat
            for line, row in rows:
                if names is None:
                    names = [*header[: len(row)], *(str(i) for i in range(len(header), len(row)))]
                    columns = [[] for _ in names]
                if len(row) != len(names):
                    first = "header" if header is None else "first line"
                    remedy = "put quotation marks around a value that holds the separator" if quoted else "correct it"
                    raise InputError(
                        f"{path}: line {line} has {len(row)} columns, the {first} has {len(names)}; {remedy}, or "
                        f"remove the row"
                    )
                lines.append(line)
                for column, value in zip(columns, row):
                    column.append(same.setdefault(value, value))
    except (UnicodeError, LookupError) as error:
        raise InputError(
            f"{path}: cannot be read as {encoding} ({' '.join(str(error).split())}); name its encoding with --encoding"
        ) from error
    except csv.Error as error:
        raise InputError(f"{path}: is not csv ({error}); double the quotation marks inside a quoted value") from error
    finally:
        csv.field_size_limit(limit)  # it is one number for the whole process
    if not lines:
        raise InputError(f"{path}: has no row below the header; give a file with rows")
    frame = pd.DataFrame({i: pd.Series(column, dtype=object) for i, column in enumerate(columns)})
    frame.columns = pd.Index(names or [])
    return Table(frame, str(path), np.asarray(lines))


def _rows(file: TextIO, path: Path, separator: str | None, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Line and values of each row that is not blank; the line is the one on which the row begins."""
    first = file.readline()
    file.seek(0)
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=separator or _separator(first, path), strict=True, quoting=quoting)
    begins = 1
    try:
        for row in reader:
            if row:
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}: line {begins}: is not csv ({error}); double the quotation marks inside a quoted value, and close "
            f"it"
        ) from error


def _separator(first: str, path: Path) -> str:
    """The one that the first line has most of, outside quotation marks; for .tsv and the like a tab if there is one."""
    outside = "".join(first.split('"')[::2])
    if "\t" in outside and path.suffix.lower() != ".csv":
        return "\t"
    return max(SEPARATORS, key=outside.count)
