"""Builders: from a publisher's release to the atomic files and vectors that a run reads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_mm.datasets.anime import build as anime
from recbole_mm.datasets.atomic_writer import is_own_file
from recbole_mm.datasets.leftovers import clean_leftovers
from recbole_mm.datasets.lock import building
from recbole_mm.datasets.ml_100k import build as ml_100k_mm
from recbole_mm.datasets.mmtf_14k import build as mmtf_14k
from recbole_mm.datasets.mmtf_14k import small as mmtf_14k_small
from recbole_mm.errors import InputError, nearest


@dataclass(frozen=True)
class Builder:
    """How a dataset is built.

    Attributes:
        build: ``build(folder, source, force, **options)``; does not change a complete folder.
        add_options: adds the builder's own options to a command line.
    """

    build: Callable[..., None]
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None


PREPARABLE = {
    "anime": Builder(anime.build),
    "ml-100k-mm": Builder(ml_100k_mm.build),
    "mmtf-14k": Builder(mmtf_14k.build, mmtf_14k.add_options),
    "mmtf-14k-small": Builder(mmtf_14k_small.build, mmtf_14k_small.add_options),
}


def prepare(dataset: str, out: Path, source: Path | None = None, force: bool = False, **options: Any) -> Path:
    """Build the missing files of ``dataset``; returns its folder, ``out / dataset``.

    Files are written under a temporary name and then renamed. ml-100k-mm renames each file, so the next call continues
    where an interrupted call stopped; MMTF-14K renames the whole folder. A complete folder is not changed. While
    another process builds the same folder, this one waits. What a killed call has left is removed first, and files of
    the user's that it was moving come back; stderr says both.

    Args:
        source: folder (MMTF-14K: or zip) of raw sources. Without it, ml-100k-mm uses the vectors shipped with the
            package; MMTF-14K needs it.
        force: build existing files again.
        options: the builder's own (`mmtf_14k.build`).

    Raises:
        InputError: the dataset has no builder, a source file is missing or malformed, or ``out`` cannot be written.
    """
    if dataset not in PREPARABLE:
        raise InputError(
            f"dataset '{dataset}' cannot be prepared.{nearest(dataset, PREPARABLE)} Datasets with a builder: "
            f"{', '.join(sorted(PREPARABLE))}; any other needs its atomic files in {Path(out) / dataset}"
        )
    folder = Path(out) / dataset
    try:
        with building(folder):
            clean_leftovers(folder, is_own_file)
            PREPARABLE[dataset].build(folder, None if source is None else Path(source), force, **options)
    except OSError as error:
        raise InputError(
            f"cannot prepare dataset '{dataset}' in {folder}: {error}; choose another folder (--out)"
        ) from None
    return folder
