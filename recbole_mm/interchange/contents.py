"""What a data set holds, on its way from somebody's files to atomic files, and where in those files a row stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from recbole_mm.data.vector_table import VectorTable

TRAIN, VALID, TEST = 0, 1, 2
"""Values of the column ``x_label``, which says of each row in which part of a published split it is."""


@dataclass(frozen=True)
class Table:
    """A table as it was given.

    Attributes:
        frame: its columns.
        name: of the file or the argument, for messages.
        lines: line of each row in the file; None for a table without lines.
    """

    frame: pd.DataFrame
    name: str
    lines: np.ndarray | None = None

    def place(self, row: int) -> str:
        """Where row ``row`` (from 0) is, for messages."""
        return f"{self.name}: row {row}" if self.lines is None else f"{self.name}: line {self.lines[row]}"


@dataclass(frozen=True)
class RawVectors:
    """The vectors of one field as they were given.

    Attributes:
        item_ids: [n], of any type that ids have.
        values: numbers [n, d].
        name: of the file or the argument, for messages.
        place: where row i is, for messages.
    """

    item_ids: np.ndarray
    values: np.ndarray
    name: str
    place: Callable[[int], str]


@dataclass
class Source:
    """What a reader found in the folder of another tool, as it stands there.

    Attributes:
        ratings, items, users: tables whose columns are recognised by their names.
        vectors: field -> vectors.
        texts: item id -> raw text.
        notes: what was read from where, and what was not.
        keep_order: rows are in an order that means something (folds of blocks of rows).
    """

    ratings: Table
    items: Table | None = None
    users: Table | None = None
    vectors: dict[str, RawVectors] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    keep_order: bool = False


@dataclass
class Contents:
    """A data set that is checked and ready to be written.

    Attributes:
        interactions: user_id, item_id (str) and, where there are any, rating, timestamp (float), x_label (int).
        items: item_id and, where there are any, movie_title, release_year (str), class (genres, as they are written).
        users: user_id and attributes (str); None if there are none.
        vectors: field -> vectors; the rows are the items that have one.
        options: of the data set, for NAME.yaml.
        texts: item id -> raw text that no vector was made of yet.
        notes: what was recognised, chosen and left out, one line each.
    """

    interactions: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None = None
    vectors: dict[str, VectorTable] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
