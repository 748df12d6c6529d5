"""The vectors of one field, and the checks of their rows, whatever form of file they come from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_mm.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VectorTable:
    """The vectors of one field. Row i of ``values`` (float32 [n, d]) belongs to ``item_ids[i]`` (str [n], unique)."""

    item_ids: np.ndarray
    values: np.ndarray

    @property
    def dimension(self) -> int:
        return self.values.shape[1]


def check_unique(item_ids: np.ndarray, path: Path, field: str, place: Callable[[int], str]) -> None:
    """Refuse two vectors of one item.

    Args:
        place: where a row is in the file, for messages.
    """
    seen: dict[str, int] = {}
    for row, token in enumerate(item_ids.tolist()):
        first = seen.setdefault(token, row)
        if first != row:
            raise InputError(
                f"{path}: field '{field}' has item '{token}' twice ({place(first)} and {place(row)}); keep one"
            )


def drop_non_finite(
    table: VectorTable, path: Path, field: str, place: Callable[[int], str], non_finite: str
) -> VectorTable:
    """The table without rows that hold inf or nan; with ``non_finite: error`` they are an error."""
    # max and min of a row are inf or nan if one of its values is; this needs no [n, d] mask.
    largest, smallest = table.values.max(axis=1), table.values.min(axis=1)
    _warn_of_constant(table, path, field, place, (largest == smallest) & np.isfinite(largest))
    finite = np.isfinite(largest) & np.isfinite(smallest)
    if finite.all():
        return table
    n_dropped, first = int((~finite).sum()), int(np.argmin(finite))
    where = (
        f"{n_dropped} of {len(finite)} rows of field '{field}' hold inf or nan, first item '{table.item_ids[first]}'"
    )
    if non_finite == "error":
        raise InputError(f"{path}: {where} at {place(first)}; clean the file or set non_finite_vectors: missing")
    if n_dropped == len(finite):
        raise InputError(f"{path}: {where}: no vector is left; clean the file")
    logger.warning("%s: %s at %s: these items count as missing", path, where, place(first))
    return VectorTable(table.item_ids[finite], table.values[finite])


def _warn_of_constant(
    table: VectorTable, path: Path, field: str, place: Callable[[int], str], constant: np.ndarray
) -> None:
    """Vectors of one repeated value (mostly zero) often stand for missing ones."""
    if table.dimension > 1 and constant.any():
        first = int(np.argmax(constant))
        logger.warning(
            "%s: %d of %d vectors of field '%s' are one value repeated, first item '%s' at %s (%g): if they stand for "
            "missing vectors, leave their rows out",
            path,
            constant.sum(),
            len(constant),
            field,
            table.item_ids[first],
            place(first),
            table.values[first, 0],
        )
