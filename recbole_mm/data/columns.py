"""The columns of an atomic file, read in one pass with its checks and without a Python object for each value.

Words become codes: each distinct token is kept once. Numbers are those that pandas' round-trip parser gives.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_mm.compat import MISSING_NUMBERS
from recbole_mm.data.lines import Lines, Rows, check_lines
from recbole_mm.features.decimals import EXACT_DIGITS, plain_decimals

_LONG = 64  # bytes; longer words are rare, and are made Python objects
_MASKS = np.array([(1 << (8 * length)) - 1 for length in range(9)], np.uint64)  # of the first bytes of a word


@dataclass(frozen=True)
class Tokens:
    """A column of words: row i holds ``tokens[codes[i]]``; code -1 is an empty value.

    Attributes:
        codes: int32 [rows].
        tokens: object [k], each once, in any order.
    """

    codes: np.ndarray
    tokens: np.ndarray


Column = Tokens | np.ndarray
"""Words, or float64 [rows] with NaN where a number is missing."""


@dataclass(frozen=True)
class Reading:
    """How a file is read: what decides about its columns beside its bytes.

    Attributes:
        separator: one character.
        fields: type of each field, in file order.
        columns: fields of type token or float that are read.
        ids: fields that must not be empty.
    """

    separator: str
    encoding: str
    fields: Mapping[str, str]
    columns: Sequence[str]
    ids: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Columns of a file whose lines are right.

    Attributes:
        lines: what the check of the lines found.
        columns: by field. A field of type float that holds a text which is no number is absent.
    """

    lines: Lines
    columns: dict[str, Column]

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """The columns of numbers, float64 [rows] each."""
        return {name: column for name, column in self.columns.items() if not isinstance(column, Tokens)}


def read_table(path: Path, reading: Reading) -> Table:
    """Check the lines of a file and read columns of it.

    Raises:
        InputError: as `check_lines`.
    """
    names = list(reading.fields)
    collected: dict[str, _Words | _Numbers] = {
        name: (_Numbers if reading.fields[name] == "float" else _Words)(names.index(name)) for name in reading.columns
    }

    def take(rows: Rows) -> None:
        for column in collected.values():
            column.take(rows)

    ids = {names.index(name): name for name in reading.ids}
    lines = check_lines(path, reading.separator, reading.encoding, len(names), ids, take)
    columns = {name: column.column() for name, column in collected.items()}
    return Table(lines, {name: column for name, column in columns.items() if column is not None})


def frames_of(tables: Mapping[Path, Table]) -> dict[str, Callable[[list[str]], pd.DataFrame]]:
    """For each path, names of columns -> their data frame; words are categories, the same in all tables."""
    names = {name for table in tables.values() for name, column in table.columns.items() if isinstance(column, Tokens)}
    categories = {}
    for name in names:
        found = [column.tokens for table in tables.values() if isinstance(column := table.columns.get(name), Tokens)]
        categories[name] = found[0] if len(found) == 1 else pd.unique(np.concatenate(found))

    def of(table: Table) -> Callable[[list[str]], pd.DataFrame]:
        def frame(names: list[str]) -> pd.DataFrame:
            columns = {name: table.columns[name] for name in names}
            return pd.DataFrame(
                {
                    name: _categorical(column, categories[name]) if isinstance(column, Tokens) else column
                    for name, column in columns.items()
                }
            )

        return frame

    return {str(path): of(table) for path, table in tables.items()}


def _categorical(column: Tokens, categories: np.ndarray) -> pd.Categorical:
    own = pd.Categorical.from_codes(column.codes, pd.Index(column.tokens, dtype=object))
    return own if categories is column.tokens else own.set_categories(pd.Index(categories, dtype=object))


class _Words:
    """Collects a column of words."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts: list[np.ndarray] = []
        self.known: dict[str, int] = {}

    def take(self, rows: Rows) -> None:
        starts, ends = rows.starts[:, self.number], rows.ends[:, self.number]
        codes = _codes(rows.text, starts, ends)
        first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))  # codes are in order of appearance
        code_of = np.empty(len(first), np.int32)
        for local, (start, end) in enumerate(zip(starts[first].tolist(), ends[first].tolist(), strict=True)):
            word = rows.text[start:end].decode(rows.encoding)
            code_of[local] = self.known.setdefault(word, len(self.known)) if word else -1
        self.parts.append(code_of[codes])

    def column(self) -> Tokens:
        tokens = np.empty(len(self.known), object)
        tokens[:] = list(self.known)
        return Tokens(_joined(self.parts, np.int32), tokens)


class _Numbers:
    """Collects a column of numbers."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts: list[np.ndarray] = []
        self.all_are_numbers = True

    def take(self, rows: Rows) -> None:
        if not self.all_are_numbers:
            return
        starts, ends = rows.starts[:, self.number], rows.ends[:, self.number]
        values, others = plain_decimals(np.frombuffer(rows.text, np.uint8), starts, ends, EXACT_DIGITS)
        if others.any():
            places = zip(starts[others].tolist(), ends[others].tolist(), strict=True)
            words = [rows.text[start:end].decode(rows.encoding) for start, end in places]
            try:
                values[others] = _other_numbers(words)
            except (ValueError, OverflowError):
                self.all_are_numbers = False
        self.parts.append(values)

    def column(self) -> np.ndarray | None:
        return _joined(self.parts, np.float64) if self.all_are_numbers else None


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    """The parts one after the other; the list is emptied on the way, so that little is in memory twice."""
    joined, start = np.empty(sum(map(len, parts)), dtype), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        joined[start : start + len(part)] = part
        start += len(part)
    return joined


def _codes(text: bytes, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Equal numbers for equal words, from 0 in the order of appearance, [n].

    Eight bytes of all words are compared at a time, as one whole number.
    """
    lengths = ends - starts
    longest = int(lengths.max())
    if longest > _LONG:
        places = zip(starts.tolist(), ends.tolist(), strict=True)
        return pd.factorize(np.array([text[start:end] for start, end in places], object))[0]
    # words[i]: the eight bytes from i on. No word holds a NUL byte, so that those behind its end can be zero.
    words = np.ndarray(len(text), "<u8", text + bytes(8), strides=(1,))
    codes, found = pd.factorize(words[starts] & _MASKS[np.minimum(lengths, 8)])
    for offset in range(8, longest, 8):
        left = np.clip(lengths - offset, 0, 8)
        more, found = pd.factorize(words[np.minimum(starts + offset, len(text) - 1)] & _MASKS[left])
        codes = pd.factorize(codes * len(found) + more)[0]
    return codes


def _other_numbers(words: Sequence[str]) -> np.ndarray:
    """What pandas makes of the texts of a column of numbers, float64.

    Raises:
        ValueError, OverflowError: one is no number.
    """
    distinct, place = np.unique(np.array(words, object), return_inverse=True)
    options: dict[str, Any] = {
        **{"sep": "\t", "header": None, "names": ["number", "nothing"], "usecols": ["number"], "dtype": np.float64},
        **{"quoting": csv.QUOTE_NONE, "keep_default_na": False, "na_values": list(MISSING_NUMBERS)},
        **{"float_precision": "round_trip", "engine": "c"},
    }
    parsed = pd.read_csv(io.StringIO("".join(f"{word}\t\n" for word in distinct)), **options)
    return parsed["number"].to_numpy()[place]
