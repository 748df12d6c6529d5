"""Files of a release: in folders, in a zip, or in zips inside zips. Nothing is unpacked to disk."""

from __future__ import annotations

import csv
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pandas as pd

from recbole_mm.errors import InputError

_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
_MALFORMED = (csv.Error, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError)
_CANNOT_OPEN = (*_DAMAGED, RuntimeError)  # a password, or a compression that Python does not support


@dataclass(frozen=True)
class SourceFile:
    """One file.

    Attributes:
        path: as shown in messages; zips that contain the file are parts of the path.
        size: bytes, unpacked.
        depth: number of zips that contain the file, one inside the other.
    """

    path: str
    size: int
    depth: int
    opener: Callable[[], BinaryIO]

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """A file of a folder."""
        return cls(path.as_posix(), path.stat().st_size, 0, lambda: open(path, "rb"))

    @property
    def name(self) -> str:
        """Its name without folders."""
        return PurePosixPath(self.path).name

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file's bytes.

        Raises:
            InputError: the file cannot be opened, its zip is truncated or damaged, or (also raised while reading) its
                content is not the table that the block reads.
        """
        with _naming(self.path, _CANNOT_OPEN):
            try:
                handle = self.opener()
            except OSError as error:
                raise InputError(f"{self.path}: cannot be read ({error.strerror or error})") from None
        with handle, _naming(self.path, _DAMAGED), naming_malformed(self.path):
            is_compressed = self.name.lower().endswith((".gz", ".parquet"))
            yield handle if is_compressed else io.BufferedReader(_WithoutNul(handle, self.path))


class _WithoutNul(io.RawIOBase):
    """The bytes of a text file. A NUL byte is an error: parsers of numbers end there and leave the rest out."""

    def __init__(self, handle: BinaryIO, path: str) -> None:
        super().__init__()
        self._handle, self._path = handle, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._handle.read(len(buffer))
        if b"\0" in data:
            raise InputError(f"{self._path}: holds a NUL byte; the file is damaged: download it again")
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._handle.tell()


class SourceTree:
    """All files below a folder or in a zip (or one file), found by name. A context manager, which closes the zips.

    Raises:
        InputError: ``source`` does not exist, or a zip in it cannot be read.
    """

    def __init__(self, source: Path) -> None:
        self._files: dict[str, list[SourceFile]] = {}
        self._open_archives = ExitStack()
        try:
            if source.is_dir():
                self._add_folder(source)
            elif source.is_file():
                self._add(SourceFile.of(source))
            else:
                raise InputError(f"{source}: no such folder or file")
        except BaseException:
            self._open_archives.close()
            raise

    def __enter__(self) -> SourceTree:
        return self

    def __exit__(self, *exception) -> None:
        self._open_archives.close()

    def find(self, name: str) -> SourceFile | None:
        """The file of this name, ignoring case; of several files, the one in the fewest zips, then fewest folders."""
        return min(self._files.get(name.casefold(), []), key=_nearest_the_top, default=None)

    def every(self, name: str) -> list[SourceFile]:
        """All files of this name, ignoring case, by path."""
        return sorted(self._files.get(name.casefold(), []), key=lambda file: file.path)

    def names(self) -> list[str]:
        """Names of all files, in lower case."""
        return sorted(self._files)

    def matching(self, pattern: str) -> list[tuple[re.Match[str], SourceFile]]:
        """Files whose whole name matches, ignoring case, with the match; each name once, as `find` returns it."""
        files = (self.find(name) for name in self.names())
        matches = ((re.fullmatch(pattern, file.name, re.IGNORECASE), file) for file in files)
        return [(match, file) for match, file in matches if match]

    def _add_folder(self, folder: Path) -> None:
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(parent, name)
                if path.is_file():  # not a broken link
                    self._add(SourceFile.of(path))

    def _add_archive(self, file: SourceFile) -> None:
        path, depth = file.path, file.depth + 1
        with _naming(path, _CANNOT_OPEN):
            archive = self._open_archives.enter_context(
                zipfile.ZipFile(self._open_archives.enter_context(file.opener()))  # ZipFile leaves its file open
            )
            for info in archive.infolist():
                if not info.is_dir():
                    opener = lambda info=info: archive.open(info)  # noqa: E731 - binds this member
                    self._add(SourceFile(f"{path}/{info.filename}", info.file_size, depth, opener))

    def _add(self, file: SourceFile) -> None:
        if file.name.startswith("._"):  # macOS stores file attributes in these
            return
        if file.name.lower().endswith(".zip"):
            self._add_archive(file)
        else:
            self._files.setdefault(file.name.casefold(), []).append(file)


@contextmanager
def naming_malformed(path: str | Path) -> Iterator[None]:
    """Turn what csv, pandas and Python say of a text that is no table into one line that names the file."""
    try:
        yield
    except _MALFORMED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: cannot be read as a table ({reason[:160]}); the file is truncated or damaged: download it again"
        ) from None


def _nearest_the_top(file: SourceFile) -> tuple[int, int, str]:
    return file.depth, file.path.count("/"), file.path


@contextmanager
def _naming(path: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn errors of a zip into one line that names the file."""
    try:
        yield
    except errors as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: cannot be read from its zip ({reason}); the file is truncated or damaged: download it again"
        ) from None
