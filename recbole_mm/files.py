"""Files that appear complete or not at all, and the line that says why a file could not be written."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from recbole_mm.errors import InputError

if TYPE_CHECKING:
    import numpy as np


class UnreadableArrays(Exception):
    """A file is not an npz of plain arrays; the message says why, in a few words."""


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``. It is renamed to ``path`` when the block succeeds, and removed when it fails.

    The folder is made if it is missing. The content is on the disk before the rename, so that a power failure leaves
    the old file or the new one.

    Raises:
        InputError: the disk is full, the folder is read-only, or the like.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: {why(error)}; free some space, or choose another place") from error
    finally:
        _remove(temporary)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file by `writing`."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it.

    Raises:
        InputError: it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: {why(error)}; choose another place") from error


def read_arrays(path: str | Path | BinaryIO, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz file, by name: those of ``names``, or all. Python objects (pickles) are never loaded.

    Raises:
        KeyError: there is no array of a name.
        UnreadableArrays: the file is something else, or damaged.
        MemoryError: the arrays do not fit into memory.
    """
    import numpy as np  # here, so that --help need not wait for it

    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names or archive.files}
    except (KeyError, MemoryError):
        raise
    except (
        *(ValueError, TypeError, AttributeError, EOFError, OSError, RuntimeError, NotImplementedError, OverflowError),
        *(SyntaxError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error),
    ) as error:
        # ValueError: pickled objects, which are never loaded. TypeError, AttributeError: a plain .npy file.
        # RuntimeError, NotImplementedError: an archive that is encrypted, or compressed in another way.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "allow_pickle" in reason:
            reason = "an array holds Python objects, which are never loaded: use np.array(ids, dtype=str)"
        raise UnreadableArrays(reason) from None


def why(error: OSError) -> str:
    """'cannot be written (No space left on device)'."""
    return f"cannot be written ({error.strerror or ' '.join(str(error).split()) or type(error).__name__})"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder that can no longer be written to: the first error is the one to tell
        return
