"""Pickled Python objects run code when they are read, so they are never read; the message says the way out."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from recbole_mm.errors import InputError

SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill")
WAY_OUT = (
    "pickled Python objects can run code when they are read, so this file is not read. In the program that wrote it, "
    "save arrays with numpy.save(path, numpy.asarray(x, dtype='float32')), and tables as csv"
)


def refuse_pickle(path: Path) -> None:
    """Refuse a file whose name says that it is pickled.

    Raises:
        InputError: it is.
    """
    if path.suffix.lower() in SUFFIXES:
        raise InputError(f"{path}: {WAY_OUT}")


def load_npy(path: Path) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        InputError: the file is absent, damaged, or holds pickled objects.
    """
    try:
        with path.open("rb") as file:
            _check_size(file, path)
            return np.load(file, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the name") from error
    except (ValueError, TypeError, EOFError, SyntaxError, MemoryError, OverflowError, RuntimeError) as error:
        raise _not_an_array(path, error) from error


def _check_size(file, path: Path) -> None:
    """Refuse a header that asks for more numbers than the file holds, before memory is taken for them."""
    magic = np.lib.format.read_magic(file)
    if magic not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {magic} is unknown")
    read = np.lib.format.read_array_header_1_0 if magic == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise InputError(f"{path}: {WAY_OUT}")
    wanted, there = int(np.prod(shape, dtype=object)) * dtype.itemsize, path.stat().st_size - file.tell()
    if wanted > there:
        raise ValueError(f"its header tells of {wanted:,} bytes, but there are {there:,}")
    file.seek(0)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name; what is said of `load_npy` holds here."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the name") from error
    except (
        *(ValueError, TypeError, AttributeError, EOFError, SyntaxError, MemoryError, OverflowError, RuntimeError),
        *(KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    ) as error:
        raise _not_an_array(path, error) from error


def _not_an_array(path: Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    if "allow_pickle" in str(error):
        return InputError(f"{path}: {WAY_OUT}")
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return InputError(f"{path}: is no array of numpy ({reason}); write it with numpy.save")
