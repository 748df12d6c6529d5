"""MMTF-14K (Deldjoo et al., MMSys 2018) with the ratings of MovieLens-20M, from their original releases."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from recbole_mm.datasets.atomic_writer import (
    Blocks,
    Counts,
    Movie,
    is_built,
    is_own_file,
    replacing_folder,
    write_dataset,
)
from recbole_mm.datasets.download import RemoteFile, fetch, fetch_json
from recbole_mm.datasets.mmtf_14k.content_fields import OF_METADATA, OF_TEXTS, content_fields
from recbole_mm.datasets.mmtf_14k.provenance import provenance
from recbole_mm.datasets.mmtf_14k.release import Release, select, vector_rows
from recbole_mm.datasets.movielens import read_genres, read_ratings
from recbole_mm.datasets.source_files import SourceFile, SourceTree
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import encoder_path

DATASET = "mmtf-14k"
AUDIO, VISUAL = "ivector:fold1:gmm128:tv100", "avf:avg"
TAGS_FIELD = "tags"
ZENODO_RECORD = "https://zenodo.org/api/records/1225406"
ML_20M = RemoteFile(
    url="https://files.grouplens.org/datasets/movielens/ml-20m.zip",
    name="ml-20m.zip",
    size=198_702_078,
    md5="cd245b17a1ae2cc31bb14903e1204af3",
)
SOURCES = """\
| source | what | cite | licence as found |
|---|---|---|---|
| MMTF-14K, Zenodo record 1225406 | trailers' audio and visual descriptors, years, tags | Deldjoo et al., MMTF-14K, MMSys 2018 | see the record |
| MovieLens-20M (ratings.csv, movies.csv) | ratings and genres | Harper and Konstan, ACM TiiS 2015 | GroupLens: no redistribution |
"""  # noqa: E501 - a table
WITHOUT_NETWORK = (
    "Without a network: on another machine, download the files of https://zenodo.org/records/1225406 and "
    f"{ML_20M.url} with a browser, copy them into one folder DIR, and type: recbole-mm prepare {DATASET} --source DIR"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``recbole-mm prepare mmtf-14k``."""
    add_descriptor_options(parser)
    parser.add_argument("--ratings", type=Path, help="folder or zip of MovieLens-20M (default: searched in --source)")
    parser.add_argument(
        "--tags", action="store_true", help="add the tag features as a field, without tags that name a genre"
    )
    parser.add_argument("--texts", type=Path, metavar="FILE", help="summaries by movie: fields text and words")
    parser.add_argument("--metadata", type=Path, metavar="FILE", help="metadata by movie: fields meta and keywords")
    parser.add_argument("--download", action="store_true", help="download both releases into the folder --source first")


def add_descriptor_options(parser: argparse.ArgumentParser) -> None:
    """``--audio`` and ``--visual``."""
    for kind, default in (("audio", AUDIO), ("visual", VISUAL)):
        parser.add_argument(
            f"--{kind}",
            metavar="NAMES",
            help=f"{kind} descriptors, separated by commas; '' for none (default: {default})",
        )


def build(
    folder: Path,
    source: Path | None = None,
    force: bool = False,
    ratings: Path | None = None,
    audio: str | None = None,
    visual: str | None = None,
    tags: bool = False,
    texts: Path | None = None,
    metadata: Path | None = None,
    download: bool = False,
) -> None:
    """Build the dataset in ``folder``, which appears complete or not at all; prints what was built and left out.

    Args:
        source: folder or zip of the release, also with zips inside; it may hold MovieLens-20M too.
        ratings: folder or zip of MovieLens-20M.
        audio, visual: names of descriptors, separated by commas; None is the default, '' none.
        tags: add the tag features.
        texts, metadata: tables with a row for each movie (`recbole_mm.datasets.content_tables`).
        download: download the releases into ``source`` first.

    Raises:
        InputError: no release or ratings in the source, an unknown descriptor, or a damaged file.
    """
    if is_built(folder, DATASET) and not force:
        wanted = [*names_of(audio, ""), *names_of(visual, ""), *([TAGS_FIELD] if tags else [])]
        check_fields(folder, DATASET, [*wanted, *(["text"] if texts else []), *(["meta"] if metadata else [])])
        return
    if source is None:
        raise InputError(
            f"dataset '{DATASET}' is not in {folder} yet; type: recbole-mm prepare {DATASET} --source DIR_OR_ZIP "
            f"--ratings ML20M_DIR_OR_ZIP --out {folder.parent} (--download downloads both into DIR)"
        )
    if download:
        fetch_releases(source)
    with ExitStack() as opened:
        tree = opened.enter_context(SourceTree(source))
        movielens = opened.enter_context(SourceTree(ratings)) if ratings else tree
        release = Release(tree, source)
        descriptors = select(release.descriptors, names_of(audio, AUDIO), "audio")
        descriptors += select(release.descriptors, names_of(visual, VISUAL), "visual")
        fields = {descriptor.field: lambda file=descriptor.file: _rows(file) for descriptor in descriptors}
        paths = {descriptor.field: descriptor.file.path for descriptor in descriptors}
        if tags:
            file, usable = release.tags()
            fields[TAGS_FIELD] = lambda: _rows(file, usable)
            paths[TAGS_FIELD] = file.path
        if not fields and texts is None and metadata is None:
            raise InputError("--audio and --visual are both empty: name at least one descriptor")
        rating_file = movielens.find("ratings.csv")
        if rating_file is None:
            raise InputError(
                f"{ratings or source}: contains no ratings.csv (MMTF-14K has no ratings, it refers to MovieLens-20M); "
                f"give the folder or zip of MovieLens-20M with --ratings"
            )
        movies = _movies(release, movielens)
        _check_own(folder, [*(OF_TEXTS if texts else ()), *(OF_METADATA if metadata else ())])
        links = movielens.find("links.csv") or tree.find("links.csv")
        kept = folder / f"extract.{DATASET}" / "text"
        made = content_fields(movies, texts, metadata, links, kept)
        fields.update({name: field.blocks for name, field in made.items()})
        paths |= {name: str(texts if name in OF_TEXTS else metadata) for name in made}
        paths["ratings"] = rating_file.path
        made_files = {f"{DATASET}.{name}.npz" for name in made}
        with replacing_folder(folder, lambda name: name in made_files or is_own_file(name)) as temporary:
            counts = write_dataset(temporary, movies, read_ratings(rating_file), fields, DATASET, paths)
            for name, field in made.items():
                field.encoder.save(encoder_path(temporary, DATASET, name))
            page = provenance(DATASET, descriptors, counts, SOURCES)
            (temporary / "PROVENANCE.md").write_text(page, encoding="utf-8")
    report(DATASET, counts)


def _check_own(folder: Path, fields: list[str]) -> None:
    """Refuse to replace vectors that this builder did not make."""
    for name in fields:
        npz, text = folder / f"{DATASET}.{name}.npz", folder / f"{DATASET}.{name}"
        is_own = not npz.is_file() or encoder_path(folder, DATASET, name).is_file()
        if text.is_file() or not is_own:
            raise InputError(
                f"{text if text.is_file() else npz}: holds vectors of field '{name}' that prepare did not make; move "
                f"the file to another folder, or leave --texts or --metadata out"
            )


def fetch_releases(folder: Path) -> None:
    """Download MMTF-14K and MovieLens-20M into ``folder``.

    Raises:
        InputError: ``folder`` is a file, a server cannot be reached, or a file arrived damaged.
    """
    if folder.is_file():
        raise InputError(f"--source: {folder} is a file; with --download, give the folder to download into")
    record = fetch_json(ZENODO_RECORD, WITHOUT_NETWORK)
    for remote in [*_files_of(record), ML_20M]:
        fetch(remote, folder, WITHOUT_NETWORK)


def _files_of(record: Any) -> list[RemoteFile]:
    """The files of a Zenodo record, with size and MD5 as Zenodo publishes them."""
    try:
        files = [
            RemoteFile(
                file["links"]["self"], Path(file["key"]).name, int(file["size"]), file["checksum"].removeprefix("md5:")
            )
            for file in record["files"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{ZENODO_RECORD}: the description of the record cannot be understood ({type(error).__name__}: "
            f"{error}). {WITHOUT_NETWORK}"
        ) from None
    return files


def check_fields(folder: Path, dataset: str, names: list[str]) -> None:
    """Check that the dataset in ``folder`` has a field for each of these descriptors.

    Raises:
        InputError: a field is missing.
    """
    for name in names:
        field = name.strip().lower().removesuffix(":all").replace(":", "_")
        if not (folder / f"{dataset}.{field}.npz").is_file():
            raise InputError(
                f"{folder} exists, without '{name}'; add --force to build it again with the descriptors you gave"
            )


def report(dataset: str, counts: Counts) -> None:
    """Print the counts, and the command that runs with the new fields."""
    print(*counts.lines(), sep="\n")
    fields = ",".join(counts.fields)
    print(f"run: python run_recbole_mm.py --model=MMASP --dataset={dataset} --modalities=[{fields}]")


def names_of(given: str | None, default: str) -> list[str]:
    """Names in the option ``a,b``; None gives the default, '' no name."""
    return [name for name in (default if given is None else given).split(",") if name.strip()]


def _movies(release: Release, movielens: SourceTree) -> dict[str, Movie]:
    years, file = release.years(), movielens.find("movies.csv")
    genres = read_genres(file) if file else release.genres()
    return {
        movie: Movie(title, years.get(movie, ""), genres.get(movie, [])) for movie, title in release.titles().items()
    }


def _rows(file: SourceFile, columns: np.ndarray | None = None) -> Blocks:
    with vector_rows(file) as rows:
        for ids, values in rows:
            yield ids, values if columns is None else values[:, columns]
