"""From the sources of a field to its vector file: progress, resuming, skipping broken files, scaling, writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from recbole_mm.data.partial import PartialResults
from recbole_mm.data.vectors import write_vectors, write_vectors_npz
from recbole_mm.errors import InputError
from recbole_mm.extract.decode import MediaError
from recbole_mm.extract.scaling import Scaling
from recbole_mm.extract.sources import Source, Sources
from recbole_mm.extract.trailer import how
from recbole_mm.features.encoders import FieldEncoder, encoder_path

_DECIMALS = 5


@dataclass
class Field:
    """One field to extract.

    Attributes:
        name: of the field: text, audio or video.
        sources: texts or files of the movies.
        settings: everything that the numbers depend on besides the sources.
        compute: from the contents of n sources to their vectors [n, d]; may raise MediaError.
        batch_size: sources given to ``compute`` at a time; after a MediaError the whole batch is skipped.
        columns: names of the numbers, if their units differ and they must be scaled; else None.
        scaling: of an earlier run, used instead of the scaling of these movies.
        encoder: from a movie's text to its vector, kept beside the vectors; None if there is none.
        notes: messages to the user.
    """

    name: str
    sources: Sources
    settings: dict[str, Any]
    compute: Callable[[list[Any]], np.ndarray]
    batch_size: int = 1
    columns: list[str] | None = None
    scaling: Scaling | None = None
    encoder: FieldEncoder | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Output:
    """Where the vectors of a field are written.

    Attributes:
        folder: of the vector files.
        dataset: its name.
        npz: write the compact form.
        force: replace vectors that this command did not make.
    """

    folder: Path
    dataset: str
    npz: bool = False
    force: bool = False

    def path(self, name: str) -> Path:
        """The vector file of a field."""
        return self.folder / f"{self.dataset}.{name}{'.npz' if self.npz else ''}"

    @property
    def kept(self) -> Path:
        """Folder of partial results and scalings."""
        return self.folder / f"extract.{self.dataset}"

    def check(self, name: str) -> None:
        """Raises InputError if writing would overwrite vectors from elsewhere, or leave the field in two forms."""
        path = self.path(name)
        if path.is_file() and not (self.kept / f"{name}.jsonl").is_file() and not self.force:
            raise InputError(
                f"{path}: holds vectors of field '{name}' that recbole-mm extract did not make; choose another folder "
                "(--out), or add --force to replace them"
            )
        other = self.folder / f"{self.dataset}.{name}{'' if self.npz else '.npz'}"
        if other.is_file():
            remedy = "leave --npz out" if self.npz else "add --npz"
            raise InputError(f"{other}: holds field '{name}' in the other form; remove the file, or {remedy}")


@dataclass(frozen=True)
class Extracted:
    """The result for a field: movies with a vector, number computed in this call, (name, reason) of skipped sources."""

    name: str
    path: Path
    movies: int
    dimension: int
    computed: int
    skipped: list[tuple[str, str]]
    notes: list[str]


def extract_field(wanted: Field, output: Output) -> Extracted:
    """Compute the missing vectors, and write the vector file of all usable sources.

    Raises:
        InputError: no source could be used, or there is only one movie to scale.
        OSError: the folder cannot be written.
    """
    output.kept.mkdir(parents=True, exist_ok=True)
    partial = PartialResults(output.kept / f"{wanted.name}.jsonl", wanted.settings)
    to_do = [source for source in wanted.sources.usable if partial.get(source.item_id, source.fingerprint) is None]
    broken = _compute(wanted, to_do, partial)
    skipped = [*wanted.sources.skipped, *broken]

    usable = [source for source in wanted.sources.usable if partial.get(source.item_id, source.fingerprint) is not None]
    if not usable:
        raise InputError(
            f"field '{wanted.name}': none of {len(broken)} files can be used; the first, {broken[0][0]}, {broken[0][1]}"
        )
    encoder = wanted.encoder
    values = np.array([partial.get(source.item_id, source.fingerprint) for source in usable])
    if wanted.columns is not None:
        values, encoder = _scaled(wanted, values, output.kept / f"{wanted.name}.scaling.csv")
    item_ids = [source.item_id for source in usable]
    path = output.path(wanted.name)
    if output.npz:
        write_vectors_npz(path, item_ids, values)
    else:
        write_vectors(path, wanted.name, item_ids, values, decimals=_DECIMALS)
    if encoder is not None:
        encoder.save(encoder_path(output.folder, output.dataset, wanted.name))
    else:  # what an earlier call has left does not belong to these vectors
        encoder_path(output.folder, output.dataset, wanted.name).unlink(missing_ok=True)
    computed = len(to_do) - len(broken)
    return Extracted(wanted.name, path, *values.shape, computed, skipped, wanted.notes)


def _compute(wanted: Field, to_do: list[Source], partial: PartialResults) -> list[tuple[str, str]]:
    """Add the vectors of ``to_do`` to ``partial``; returns (name, reason) of sources that cannot be used."""
    broken = []
    with tqdm(total=len(to_do), desc=wanted.name, unit=" movies", disable=None if to_do else True) as bar:
        for start in range(0, len(to_do), wanted.batch_size):
            batch = to_do[start : start + wanted.batch_size]
            try:
                vectors = wanted.compute([source.content for source in batch])
            except MediaError as error:
                broken += [(source.name, str(error)) for source in batch]
            else:
                for source, vector in zip(batch, vectors, strict=True):
                    partial.add(source.item_id, source.fingerprint, np.asarray(vector))
            bar.update(len(batch))
    return broken


def _scaled(wanted: Field, values: np.ndarray, path: Path) -> tuple[np.ndarray, FieldEncoder]:
    scaling = wanted.scaling
    if scaling is None:
        if len(values) < 2:
            raise InputError(
                f"field '{wanted.name}': one movie alone cannot be scaled; give more movies, --scale-from=FOLDER of an "
                "earlier run, or --raw"
            )
        scaling = Scaling.of(values)
    scaling.write(path, wanted.columns)
    return scaling.apply(values), scaling.encoder(how(wanted.name, wanted.settings))
