"""A checksum inside a checkpoint file, so that a damaged file is known before anything of it is read.

The file is a zip archive, and the checksum (BLAKE2b of all bytes before it) is the comment of the archive: other
programs still read the file.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import BinaryIO

_LABEL = b"recbole-mm blake2b "
_COMMENT = len(_LABEL) + 64
_STEP = 1 << 20


def seal(path: Path, durable: bool = True) -> None:
    """Write the checksum into an archive without comment, and, if it must be ``durable``, the file to the disk."""
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)  # the length of the comment
        file.write(struct.pack("<H", _COMMENT))
        size = file.tell()
        file.write(_LABEL + _digest(file, size))
        file.flush()
        if durable:
            os.fsync(file.fileno())


def is_sealed(file: BinaryIO) -> bool:
    """Whether the file ends with a checksum, right or wrong."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _COMMENT))
    return file.read(len(_LABEL)) == _LABEL


def is_whole(file: BinaryIO) -> bool:
    """Whether the checksum is that of the bytes before it; leaves the file at its start."""
    size = file.seek(0, os.SEEK_END) - _COMMENT
    file.seek(max(0, size))
    kept = file.read()
    whole = size > 0 and kept == _LABEL + _digest(file, size)
    file.seek(0)
    return whole


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, so that a renamed file survives a power failure."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(file: BinaryIO, size: int) -> bytes:
    """Checksum of the first bytes, in hexadecimal digits; leaves the file behind them."""
    digest = hashlib.blake2b(digest_size=32)
    file.seek(0)
    while size > 0:
        part = file.read(min(size, _STEP))
        digest.update(part)
        size -= len(part)
        if not part:
            break
    return digest.hexdigest().encode()
