"""What vectors are made from: one source for each movie, found before anything is decoded."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_mm.data.atomic import read_header
from recbole_mm.errors import InputError


@dataclass(frozen=True)
class Source:
    """One movie's raw material.

    Attributes:
        item_id: the movie's token.
        name: what messages call it.
        content: a path, or a text.
        fingerprint: changes when the content does.
    """

    item_id: str
    name: str
    content: Any
    fingerprint: str


@dataclass
class Sources:
    """The sources of one field, and what was passed over: (name, reason)."""

    usable: list[Source] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _name_of: dict[str, str] = field(default_factory=dict)

    def add(self, source: Source) -> None:
        """Take it, unless its item id is taken or cannot stand in an atomic file."""
        if source.item_id in self._name_of:
            reason = f"item '{source.item_id}' has {self._name_of[source.item_id]} already"
            self.skipped.append((source.name, reason))
        elif not _can_be_written(source.item_id):
            self.skipped.append((source.name, f"{source.item_id!r} cannot be an item_id; rename it"))
        else:
            self.usable.append(source)
            self._name_of[source.item_id] = source.name


def media_files(folder: Path, field_name: str, suffixes: Iterable[str]) -> Sources:
    """The media files in ``folder``, sorted by name; a file's stem is the item_id of its movie.

    Raises:
        InputError: there is no such folder, or no file with one of the suffixes in it.
    """
    if not folder.is_dir():
        raise InputError(f"--{field_name}={folder}: no such folder; it must hold one file for each movie, ITEM_ID.mp4")
    sources = Sources()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith("."):
            facts = path.stat()
            sources.add(Source(path.stem, path.name, path, f"{path.name}:{facts.st_size}:{facts.st_mtime_ns}"))
    if not sources.usable:
        raise InputError(
            f"--{field_name}={folder}: no media file there; each must be named ITEM_ID with one of the suffixes "
            f"{' '.join(sorted(suffixes))}"
        )
    return sources


def check_known(sources: Sources, field_name: str, folder: Path, dataset: str) -> str | None:
    """Compare the item ids with those of the dataset's .item (or .inter) file in ``folder``, where there is one.

    Returns:
        a note on ids outside the dataset, or None.

    Raises:
        InputError: the dataset knows none of them.
    """
    path = next((p for p in (folder / f"{dataset}.item", folder / f"{dataset}.inter") if p.is_file()), None)
    if path is None:
        return None
    known = set(column(path, "item_id"))
    unknown = [source for source in sources.usable if source.item_id not in known]
    if len(unknown) == len(sources.usable):
        raise InputError(
            f"--{field_name}: none of {len(unknown)} item ids (first: '{unknown[0].item_id}' of {unknown[0].name}) "
            f"is in {path}; files must be named, and rows numbered, by its item_id"
        )
    if not unknown:
        return None
    return f"{len(unknown)} of {len(sources.usable)} ids (first: '{unknown[0].item_id}') are not in {path.name}"


def column(path: Path, name: str) -> list[str]:
    """One column of an atomic file.

    Raises:
        InputError: the file is absent or has no such column.
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


def _can_be_written(item_id: str) -> bool:
    """Whether it can be a token of an atomic file: not empty, one cell, and UTF-8 (a file's name may not be)."""
    try:
        item_id.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(item_id.strip()) and not set("\t\r\n") & set(item_id)
