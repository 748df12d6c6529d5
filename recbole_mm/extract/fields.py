"""From the sources of a field to its vector file: progress, resuming, skipping broken files, scaling, writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from recbole_mm.data.partial import PartialResults
from recbole_mm.data.shards import ALL, parse_shard
from recbole_mm.data.vector_stream import streaming_npz
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
        batch_size: sources given to ``compute`` at a time, and the unit that shards share; after a MediaError the whole
            batch is skipped.
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
        made_here = (self.kept / name).is_dir() or (self.kept / f"{name}.jsonl").is_file()  # of versions before 0.4
        if path.is_file() and not made_here and not self.force:
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
    """The result for a field: movies with a vector, number computed in this call, (name, reason) of skipped sources.

    ``path`` is None for a shard, which writes no vector file.
    """

    name: str
    path: Path | None
    movies: int
    dimension: int
    computed: int
    skipped: list[tuple[str, str]]
    notes: list[str]


def extract_field(wanted: Field, output: Output, shard: str = ALL) -> Extracted:
    """Compute the missing vectors, and write the vector file of all usable sources.

    Args:
        shard: i/n computes the batches of sources whose number leaves the rest i, and writes no vector file. When the
            shards are done, a call for all finds their vectors in the folder and writes the file.

    Raises:
        InputError: no source could be used, or there is only one movie to scale.
        OSError: the folder cannot be written.
    """
    mine, number = parse_shard(shard)
    partial = PartialResults(output.kept / wanted.name, wanted.settings)
    batches = [
        wanted.sources.usable[start : start + wanted.batch_size]
        for start in range(0, len(wanted.sources.usable), wanted.batch_size)
    ][mine::number]
    if number == 1:  # vectors are read at the end; better now than when there is something to compute no more
        partial.pass_over_damaged()
    with partial:
        computed, broken = _compute(wanted, batches, partial)
    skipped = [*wanted.sources.skipped, *broken]
    usable = [source for batch in batches for source in batch if partial.has(source.item_id, source.fingerprint)]
    if not usable and broken:
        raise InputError(
            f"field '{wanted.name}': none of {len(broken)} files can be used; the first, {broken[0][0]}, {broken[0][1]}"
        )
    if number > 1:
        return Extracted(wanted.name, None, len(usable), 0, computed, skipped, wanted.notes)
    dimension = _write(wanted, output, [source.item_id for source in usable], partial.blocks(_keys(usable)))
    partial.remove_damaged()
    notes = [*wanted.notes, *([note] if (note := partial.note()) else [])]
    return Extracted(wanted.name, output.path(wanted.name), len(usable), dimension, computed, skipped, notes)


def _keys(sources: list[Source]) -> list[tuple[str, str]]:
    return [(source.item_id, source.fingerprint) for source in sources]


def _write(wanted: Field, output: Output, item_ids: list[str], blocks: Iterator[np.ndarray]) -> int:
    """Write vector file and encoder; returns the length of a vector. The npz form does not hold all in memory."""
    path, encoder = output.path(wanted.name), wanted.encoder
    if output.npz and wanted.columns is None:
        with streaming_npz(path) as stream:
            for block in blocks:
                if not np.isfinite(block).all():
                    raise InputError(f"cannot write {path}: field '{wanted.name}' holds inf or nan; leave those out")
                stream.append(item_ids[len(stream.item_ids) :][: len(block)], block)
            dimension = stream.shape[1]
    else:
        values = np.concatenate(list(blocks))
        if wanted.columns is not None:
            values, encoder = _scaled(wanted, values, output.kept / f"{wanted.name}.scaling.csv")
        if output.npz:
            write_vectors_npz(path, item_ids, values)
        else:
            write_vectors(path, wanted.name, item_ids, values, decimals=_DECIMALS)
        dimension = values.shape[1]
    if encoder is not None:
        encoder.save(encoder_path(output.folder, output.dataset, wanted.name))
    else:  # what an earlier call has left does not belong to these vectors
        encoder_path(output.folder, output.dataset, wanted.name).unlink(missing_ok=True)
    return dimension


def _compute(wanted: Field, batches: list[list[Source]], partial: PartialResults) -> tuple[int, list[tuple[str, str]]]:
    """Add missing vectors to ``partial``; returns how many, and (name, reason) of sources that cannot be used."""
    computed, broken = 0, []
    to_do = [
        missing
        for batch in batches
        if (missing := [source for source in batch if not partial.has(source.item_id, source.fingerprint)])
    ]
    total = sum(map(len, to_do))
    with tqdm(total=total, desc=wanted.name, unit=" movies", disable=None if to_do else True) as bar:
        for batch in to_do:
            try:
                vectors = wanted.compute([source.content for source in batch])
            except MediaError as error:
                broken += [(source.name, str(error)) for source in batch]
            else:
                partial.add(*zip(*_keys(batch), strict=True), vectors)
                computed += len(batch)
            bar.update(len(batch))
    return computed, broken


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
