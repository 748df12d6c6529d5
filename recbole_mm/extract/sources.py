"""Sources of vectors: one text or media file for each movie, found before the first file is decoded."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_mm.data.atomic import read_header
from recbole_mm.errors import InputError

_PIECE = 256 << 10  # bytes


@dataclass(frozen=True)
class Source:
    """The text or media file of one movie.

    Attributes:
        item_id: the movie's token.
        name: used in messages.
        content: a path, or a text.
        fingerprint: changes with the content.
    """

    item_id: str
    name: str
    content: Any
    fingerprint: str


@dataclass
class Sources:
    """The sources of one field, and (name, reason) of skipped sources."""

    usable: list[Source] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _name_of: dict[str, str] = field(default_factory=dict)

    def add(self, source: Source) -> None:
        """Add the source to ``usable``, or to ``skipped`` if its item id is a repeat or not valid in an atomic file."""
        if source.item_id in self._name_of:
            reason = f"item '{source.item_id}' has {self._name_of[source.item_id]} already"
            self.skipped.append((source.name, reason))
        elif not _is_valid_token(source.item_id):
            self.skipped.append((source.name, f"{source.item_id!r} cannot be an item_id; rename it"))
        else:
            self.usable.append(source)
            self._name_of[source.item_id] = source.name


def media_files(folder: Path, field_name: str, suffixes: Iterable[str]) -> Sources:
    """The media files in ``folder``, sorted by name; a file's stem is the item_id of its movie.

    Raises:
        InputError: there is no such folder, or it has no file with one of the suffixes.
    """
    if not folder.is_dir():
        raise InputError(f"--{field_name}={folder}: no such folder; give a folder with one file a movie, ITEM_ID.mp4")
    sources = Sources()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith("."):
            try:
                sources.add(Source(path.stem, path.name, path, media_fingerprint(path)))
            except OSError as error:
                sources.skipped.append((path.name, f"cannot be read ({error.strerror})"))
    if not sources.usable and sources.skipped:
        name, reason = sources.skipped[0]
        raise InputError(
            f"--{field_name}={folder}: none of {len(sources.skipped)} files can be used; the first, {name}, {reason}"
        )
    if not sources.usable:
        raise InputError(
            f"--{field_name}={folder}: no media file there; each must be named ITEM_ID with one of the suffixes "
            f"{' '.join(sorted(suffixes))}"
        )
    return sources


def media_fingerprint(path: Path) -> str:
    """Size and BLAKE2b of a file's content, so that a copy has it too, whatever its time.

    Of a file of more than 768 KiB only the first, the middle and the last 256 KiB are read. An edit that keeps the size
    and all three is not noticed.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        whole = size <= 3 * _PIECE
        for start in [0] if whole else [0, (size - _PIECE) // 2, size - _PIECE]:
            file.seek(start)
            digest.update(file.read(size if whole else _PIECE))
    return f"{size}:{digest.hexdigest()}"


def check_known(sources: Sources, field_name: str, folder: Path, dataset: str) -> str | None:
    """Compare the item ids with the ids in the dataset's .item (or .inter) file in ``folder``, if there is one.

    Returns:
        a note on ids outside the dataset, or None.

    Raises:
        InputError: all ids are outside the dataset.
    """
    path = next((p for p in (folder / f"{dataset}.item", folder / f"{dataset}.inter") if p.is_file()), None)
    if path is None:
        return None
    item_ids = set(column(path, "item_id"))
    unknown = [source for source in sources.usable if source.item_id not in item_ids]
    if len(unknown) == len(sources.usable):
        raise InputError(
            f"--{field_name}: none of {len(unknown)} item ids (first: '{unknown[0].item_id}' of {unknown[0].name}) "
            f"is in {path}; name the files, or the rows of a csv file, by its item_id"
        )
    if not unknown:
        return None
    return f"{len(unknown)} of {len(sources.usable)} ids (first: '{unknown[0].item_id}') are not in {path.name}"


def column(path: Path, name: str) -> list[str]:
    """One column of an atomic file.

    Raises:
        InputError: the file is missing or has no such column.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    fields = list(read_header(path))
    if name not in fields:
        raise InputError(f"{path}: no field '{name}' in the header ({', '.join(fields)})")
    table = pd.read_csv(
        path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE, usecols=[fields.index(name)]
    )
    return table.iloc[:, 0].tolist()


def _is_valid_token(item_id: str) -> bool:
    """Whether ``item_id`` can be a token of an atomic file: not empty, one cell, UTF-8 (a file name may not be)."""
    try:
        item_id.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(item_id.strip()) and not set("\t\r\n") & set(item_id)
