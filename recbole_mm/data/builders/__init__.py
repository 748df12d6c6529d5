"""Builders: from what a dataset's publisher released to the atomic files and vectors that a run reads."""

from __future__ import annotations

from pathlib import Path

from recbole_mm.data.builders import ml_100k_mm
from recbole_mm.errors import InputError, nearest

PREPARABLE = {"ml-100k-mm": ml_100k_mm.build}


def prepare(dataset: str, out: Path, source: Path | None = None, force: bool = False) -> Path:
    """Build the files of ``dataset`` that are not there yet; returns its folder, ``out / dataset``.

    Each file is written aside and then renamed, so an interrupted call leaves no half-written file and the next call
    goes on where it stopped. A complete folder is left as it is.

    Args:
        source: folder of raw sources to compute the vectors from, instead of using those shipped with the package.
        force: build again what is already there.

    Raises:
        InputError: the dataset has no builder, a source file is absent or malformed, or ``out`` cannot be written.
    """
    if dataset not in PREPARABLE:
        raise InputError(
            f"dataset '{dataset}' cannot be prepared.{nearest(dataset, PREPARABLE)} Datasets with a builder: "
            f"{', '.join(sorted(PREPARABLE))}; any other needs its atomic files in {Path(out) / dataset}"
        )
    folder = Path(out) / dataset
    try:
        folder.mkdir(parents=True, exist_ok=True)
        PREPARABLE[dataset](folder, None if source is None else Path(source), force)
    except OSError as error:
        raise InputError(
            f"cannot prepare dataset '{dataset}' in {folder}: {error}; choose another folder (--out)"
        ) from None
    return folder
