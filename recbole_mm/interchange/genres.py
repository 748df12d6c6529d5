"""Genres of movies as people write them, and as an .item file holds them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from recbole_mm.config.sources import load_yaml
from recbole_mm.data.labels import NO_GENRE, split_genres
from recbole_mm.errors import InputError

SEPARATORS = {"bar": "|", "comma": ",", "space": " "}
SHOWN = 12


def genre_lists(values: Sequence[Any], place: str, separator: str | None = None) -> tuple[list[list[str]], str]:
    """Genres of each movie, and how they were split, for the user to read.

    Lists stay as they are, and so does a text that is a list ("['Drama', 'War']", also of objects with a ``name``).
    Other texts are split as `recbole_mm.data.labels.split_genres` says, or by ``separator``.

    Args:
        values: of each movie: a text, a list, or nothing (None, NaN, '').
        place: file and column, for messages.
        separator: what stands between two genres of a text.

    Raises:
        InputError: a value is none of these, or a column cannot be split in one way.
    """
    listed = [_as_list(value, place) for value in values]
    texts = [value for value in listed if isinstance(value, str) and value.strip()]
    if not texts:
        return [value if isinstance(value, list) else [] for value in listed], "from lists"
    written = [value if isinstance(value, str) else "" for value in listed]
    if separator is not None:
        split = [[genre.strip() for genre in text.split(separator) if genre.strip()] for text in written]
        how = f"split at '{separator}', as asked"
    else:
        split = split_genres(written, place)
        chosen = next((mark for mark in "|," if any(mark in text for text in written)), None)
        how = f"split at '{chosen}'" if chosen else "split at spaces (else give --genre-separator)"
    return [value if isinstance(value, list) else split[row] for row, value in enumerate(listed)], how


def _as_list(value: Any, place: str) -> list[str] | str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, str):
        text = value.strip()
        if not (text.startswith("[") and text.endswith("]")):
            return value
        try:
            value = load_yaml(text)
        except yaml.YAMLError as error:
            raise InputError(f"{place}: '{text}' is no list of genres; write Action|Drama") from error
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise InputError(f"{place}: {value!r} is no text and no list of genres; write Action|Drama")
    items = sorted(value) if isinstance(value, (set, frozenset)) else value
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{place}: {value!r} is no list of names of genres; write Action|Drama")
    return [name.strip() for name in names if name.strip()]


def written_genres(genres: Sequence[str]) -> str:
    """The genres of one movie as an .item file holds them: separated by spaces, each without any.

    >>> written_genres(["Science Fiction", "Drama", "(no genres listed)"])
    'Science-Fiction Drama'
    """
    names = [name for name in genres if name.lower() not in NO_GENRE]
    plain = (re.sub(r"[\s|,\x00]+", "-", name.strip()).translate(_BRACKETS).strip("-") for name in names)
    return " ".join(dict.fromkeys(name for name in plain if name and name.lower() not in NO_GENRE))


_BRACKETS = str.maketrans("[]{}", "()()")


def count_line(written: Sequence[str], how: str) -> str:
    """'genres split at '|': 18: Drama 725, Comedy 505, …; 2 of 1,682 movies have none'."""
    counts = Counter(name for text in written for name in text.split())
    none = sum(not text for text in written)
    shown = ", ".join(f"{name} {number:,}" for name, number in counts.most_common(SHOWN))
    more = f", and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    without = f"; {none:,} of {len(written):,} movies have none" if none else ""
    return f"genres, {how}: {len(counts)}: {shown}{more}{without}" if counts else "genres: no movie has any"
