"""Vector files of a data set with their encoders, and those that this package ships."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import FieldEncoder, encoder_path
from recbole_mm.files import writing
from recbole_mm.resources import resource_dir

DECIMALS = 3


def write_field(
    folder: Path, dataset: str, field: str, item_ids: Sequence[str], values: np.ndarray, encoder: FieldEncoder
) -> None:
    """Write ``<dataset>.<field>`` and the encoder that made its values, float [n, k]."""
    write_vectors(folder / f"{dataset}.{field}", field, item_ids, values, decimals=DECIMALS)
    encoder.save(encoder_path(folder, dataset, field))


def copy_shipped(folder: Path, dataset: str, fields: Sequence[str], needed: Callable[[Path], bool]) -> None:
    """Copy the shipped vectors and encoders of a data set into its folder.

    Args:
        needed: whether a file of the folder is to be written.

    Raises:
        InputError: the package has no such file.
    """
    shipped_folder = resource_dir("dataset") / dataset
    for field in fields:
        vectors, encoder = folder / f"{dataset}.{field}", encoder_path(folder, dataset, field)
        if needed(vectors):
            _copy_shipped(shipped_folder / vectors.name, vectors, field)
        # Vectors of the user's own keep the encoder that made them.
        if needed(encoder) and filecmp.cmp(shipped_folder / vectors.name, vectors, shallow=False):
            _copy_shipped(shipped_folder / encoder.name, encoder, field)


def _copy_shipped(shipped: Path, target: Path, field: str) -> None:
    if not shipped.is_file():
        raise InputError(f"{shipped}: the shipped vectors of field '{field}' are missing; reinstall the package")
    if shipped != target.resolve():  # the shipped folder itself is not changed, even with force
        copy_file(shipped, target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; the copy appears complete or not at all."""
    with writing(target) as temporary:
        shutil.copyfile(source, temporary)
