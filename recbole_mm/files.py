"""Files that appear complete or not at all, and the line that says why a file could not be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recbole_mm.errors import InputError


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


def why(error: OSError) -> str:
    """'cannot be written (No space left on device)'."""
    return f"cannot be written ({error.strerror or ' '.join(str(error).split()) or type(error).__name__})"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder that can no longer be written to: the first error is the one to tell
        return
