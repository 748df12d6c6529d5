"""The lines of an atomic file, checked as bytes: fast for millions of rows, strict about what a row is.

A row has exactly the columns of the header. Nothing is quoted: a quotation mark is a character like any other.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_mm.errors import InputError

_BLOCK_BYTES = 1 << 23
_NEWLINE, _SPACE = 10, 32


@dataclass(frozen=True)
class Lines:
    """What `check_lines` found.

    Attributes:
        rows: rows below the header; blank lines are none.
        quoted: fields that look written by a CSV writer ("a ""b"" c").
        first_quoted: line of the first of them, or 0.
    """

    rows: int
    quoted: int
    first_quoted: int


@dataclass(frozen=True)
class Rows:
    """Rows of a file that are right: value j of row i is ``text[starts[i, j] : ends[i, j]]``.

    Attributes:
        text: whole lines.
        encoding: of the text. The bytes of each value can be decoded alone.
        starts, ends: int [rows, columns].
    """

    text: bytes
    encoding: str
    starts: np.ndarray
    ends: np.ndarray


def check_lines(
    path: Path,
    separator: str,
    encoding: str,
    columns: int,
    ids: Mapping[int, str],
    take: Callable[[Rows], None] = lambda rows: None,
) -> Lines:
    """Check that each row has as many columns as the header and that no id is empty.

    Args:
        columns: of the header.
        ids: column -> name of the fields that must not be empty.
        take: gets the rows of each block, in the order of the file.

    Raises:
        InputError: naming file and line: another number of columns, an empty id, a NUL byte, a carriage return inside
            a row, text of another encoding; or a file without rows.
    """
    mark = separator.encode()
    if len(mark) != 1 or mark in b'\r\n"':
        raise InputError(f"option 'field_separator' is {separator!r}, but must be one character such as a tab (\\t)")
    rows = quoted = first_quoted = 0
    first_line, encoding_of_blocks = 1, "utf-8" if _is_transcoded(encoding) else encoding
    for block in _blocks(path, encoding):
        block = _check_characters(block, path, first_line)
        body = block if first_line > 1 else block[block.index(b"\n") + 1 :]
        body_line = first_line + (first_line == 1)
        found_rows = _check_rows(body, path, body_line, mark, columns, ids)
        if found_rows:
            rows += len(found_rows[1])
            take(Rows(found_rows[0], encoding_of_blocks, *found_rows[1:]))
        found = [match.start() for match in _csv_quoted(mark).finditer(body)] if b'""' in body else []
        if found and not quoted:
            first_quoted = body_line + body.count(b"\n", 0, found[0])
        quoted += len(found)
        first_line += block.count(b"\n")
    if not rows:
        raise InputError(f"{path}: no row below the header; add rows, or remove the file if it is not needed")
    return Lines(rows, quoted, first_quoted)


def line_of_row(path: Path, encoding: str, row: int, separator: str) -> int:
    """Line of row ``row`` (0 is the first below the header), for messages."""
    blank = b" " if separator == "\t" else b" \t"
    line, left = 1, row + 2  # the header is a row too
    for block in _blocks(path, encoding):
        for text in block.replace(b"\r\n", b"\n").split(b"\n")[:-1]:
            left -= line == 1 or bool(text.strip(blank))
            if not left:
                return line
            line += 1
    raise IndexError(row)


def _blocks(path: Path, encoding: str) -> Iterator[bytes]:
    """Whole lines of a file, each block ending with a line break; transcoded to UTF-8 where its values need that."""
    if _is_transcoded(encoding):
        yield from _transcoded(path, encoding)
        return
    line = 1
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            block += file.readline()
            block = block if block.endswith(b"\n") else block + b"\n"
            try:
                block.decode(encoding)
            except UnicodeDecodeError as error:
                line += block.count(b"\n", 0, error.start)
                raise not_readable(path, encoding, f"line {line}: {error.reason}") from error
            yield block
            line += block.count(b"\n")


def _is_transcoded(encoding: str) -> bool:
    """Whether lines and values cannot be found by bytes: the encoding does not contain ASCII, or has shift states."""
    name = codecs.lookup(encoding).name
    return name.startswith(("iso2022", "utf-7", "hz")) or "\t\n0".encode(encoding) != b"\t\n0"


def _transcoded(path: Path, encoding: str) -> Iterator[bytes]:
    with path.open(encoding=encoding, newline="") as file:
        try:
            while text := file.read(_BLOCK_BYTES):
                text += file.readline()
                yield (text if text.endswith("\n") else text + "\n").encode()
        except UnicodeError as error:
            raise not_readable(path, encoding, str(error)) from error


def not_readable(path: Path, encoding: str, reason: str) -> InputError:
    """The error for a file of another encoding."""
    return InputError(f"{path}: cannot be read as {encoding} ({reason}); name its encoding with --encoding")


def _check_characters(block: bytes, path: Path, first_line: int) -> bytes:
    """The block with plain line breaks."""
    nul = block.find(b"\0")
    if nul >= 0:
        line = first_line + block.count(b"\n", 0, nul)
        raise InputError(f"{path}: line {line} holds a NUL byte; correct or remove the row")
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
        stray = block.find(b"\r")
        if stray >= 0:
            line = first_line + block.count(b"\n", 0, stray)
            raise InputError(
                f"{path}: line {line} holds a carriage return, which is read as the end of a row; replace it by a space"
            )
    return block


def _check_rows(
    block: bytes, path: Path, lines: int | list[int], mark: bytes, columns: int, ids: Mapping[int, str]
) -> tuple[bytes, np.ndarray, np.ndarray] | None:
    """The rows of a block and where their values start and end; ``lines`` is the line of its first row, or of each."""
    if not block:
        return None
    characters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero((characters == _NEWLINE) | (characters == mark[0]))
    is_row_end = characters[ends] == _NEWLINE
    rows = int(is_row_end.sum())
    if rows * columns != len(ends) or not is_row_end[columns - 1 :: columns].all() or columns == 1:
        blank = b" " if mark == b"\t" else b" \t"
        texts = block.split(b"\n")[:-1]
        kept = [row for row, text in enumerate(texts) if text.strip(blank)]
        if len(kept) < len(texts):
            block = b"".join(texts[row] + b"\n" for row in kept)
            return _check_rows(block, path, [_line(lines, row) for row in kept], mark, columns, ids) if kept else None
        for row, text in enumerate(texts):
            if text.count(mark) + 1 != columns:
                raise InputError(
                    f"{path}: line {_line(lines, row)} has {_columns(text.count(mark) + 1)}, the header has "
                    f"{columns}; a value must hold no line break and no column separator: correct or remove the row"
                )
    ends = ends.reshape(rows, columns)
    starts = np.concatenate(([0], ends.ravel()[:-1] + 1)).reshape(rows, columns)
    for column, name in ids.items():
        begin, end = starts[:, column], ends[:, column]
        empty = begin == end
        spaced = np.flatnonzero(~empty & (characters[begin] == _SPACE) & (characters[end - 1] == _SPACE))
        empty[[row for row in spaced.tolist() if not block[begin[row] : end[row]].strip()]] = True
        if empty.any():
            line = _line(lines, int(np.argmax(empty)))
            raise InputError(f"{path}: line {line}: {name} is empty; give the id or remove the row")
    return block, starts, ends


def _line(lines: int | list[int], row: int) -> int:
    return lines + row if isinstance(lines, int) else lines[row]


def _columns(number: int) -> str:
    return "1 column" if number == 1 else f"{number} columns"


def _csv_quoted(mark: bytes) -> re.Pattern[bytes]:
    """A whole field in quotation marks, with doubled ones inside."""
    separator = re.escape(mark)
    text = rb'[^"\n' + separator + rb"]*"
    return re.compile(
        rb"(?:^|(?<=[\n" + separator + rb']))"' + text + rb'(?:""' + text + rb')+"(?=[\n' + separator + rb"])"
    )
