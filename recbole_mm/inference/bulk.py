"""Recommendations for everybody, as files of a folder: in batches, in shards, and resumed where a run was stopped.

Batch number b is file ``part-b``, whatever the shard that writes it: shard i of n writes the batches whose number
leaves the rest i. So the files of n shards together are those of one run. A file appears complete or not at all, and a
file that is there is not written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from recbole_mm.data.shards import ALL, parse_shard
from recbole_mm.errors import InputError
from recbole_mm.files import make_folder, write_text, writing
from recbole_mm.inference.histories_file import read_people
from recbole_mm.inference.recommender import Recommender

FORMATS = ("csv", "parquet")
MANIFEST = "recommendations.json"


@dataclass(frozen=True)
class Job:
    """What the files of a folder are made from; runs of one folder must agree in it.

    Attributes:
        model: checksum of the checkpoint.
        people: checksum of the file of people, or ``all``: the users of the data set.
        k: movies for each person.
        batch_size: people in a file.
        format: csv or parquet.
    """

    model: str
    people: str
    k: int
    batch_size: int
    format: str

    @classmethod
    def of(cls, checkpoint: str | Path, people: str | Path | None, k: int, batch_size: int, kind: str) -> Job:
        """The job of these files and options.

        Raises:
            InputError: an option out of range, an unknown format, or a file that cannot be read.
        """
        if kind not in FORMATS:
            raise InputError(f"format: {kind!r}, but must be {' or '.join(FORMATS)}")
        if batch_size < 1 or k < 1:
            raise InputError(f"batch_size and k: {batch_size} and {k}, but must be at least 1")
        return cls(file_checksum(checkpoint), "all" if people is None else file_checksum(people), k, batch_size, kind)


@dataclass
class Done:
    """How many files a run wrote and found, and how many people it wrote."""

    written: int = 0
    found: int = 0
    people: int = 0


def recommend_to_all(
    recommender: Recommender, folder: str | Path, job: Job, people: str | Path | None = None, shard: str = ALL
) -> Done:
    """Write the files of one shard: columns user_id, rank, item_id, score and, if the model predicts ratings, rating.

    Args:
        people: csv or parquet file of what people rated (`recbole_mm.inference.histories_file.read_people`); None: the
            users of the data set, without the movies that they rated in its training and validation part.

    Raises:
        InputError: the folder has the files of another job, pyarrow is missing, a row of ``people`` is wrong, or a file
            cannot be written.
    """
    mine, number = parse_shard(shard)
    if job.format == "parquet":
        _check_pyarrow()
    folder, done = Path(folder), Done()
    _claim(folder, job)
    for position, batch in enumerate(_batches(recommender, job, people)):
        if position % number != mine:
            continue
        path = folder / f"part-{position:06}.{job.format}"
        if path.is_file():
            done.found += 1
            continue
        names, table = batch()
        with writing(path) as temporary:
            _write(table, temporary, job.format)
        done.written += 1
        done.people += names
    return done


def _batches(recommender: Recommender, job: Job, people: str | Path | None) -> Iterator:
    """For each batch a function that computes it: the number of its people, and its table."""
    if people is None:
        users = recommender.users
        if not users:
            raise InputError("all: the model was saved without its users; give a file of people, or the checkpoint")
        for start in range(0, len(users), job.batch_size):
            part = users[start : start + job.batch_size]
            yield lambda part=part: (len(part), _columns(recommender.recommend(part, job.k)))
        return
    for names, tastes in read_people(people, recommender.tastes(), job.batch_size):

        def table(names=names, tastes=tastes) -> tuple[int, pd.DataFrame]:
            row, found = recommender.recommend_to(tastes, job.k)
            found.insert(0, "user_id", [names[i] for i in row])
            return len(names), _columns(found)

        yield table


def _columns(found: pd.DataFrame) -> pd.DataFrame:
    return found.drop(columns=["title", "year"])


def _write(table: pd.DataFrame, path: Path, kind: str) -> None:
    if kind == "csv":
        table.to_csv(path, index=False, lineterminator="\n")
        return
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pandas(table, preserve_index=False), path)


def _check_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError("format: parquet needs pyarrow: pip install 'recbole-mm[import]'; or use csv") from error


def _claim(folder: Path, job: Job) -> None:
    """Write what the folder's files are made from, or compare it with what is there."""
    make_folder(folder)
    path, text = folder / MANIFEST, json.dumps(asdict(job), indent=1) + "\n"
    parts = sorted(part.name for part in folder.glob("part-*"))
    if not parts:
        write_text(path, text)
    elif not path.is_file():
        raise InputError(f"{folder}: has {parts[0]} but no {MANIFEST}; choose an empty folder")
    elif path.read_text(encoding="utf-8", errors="replace") != text:
        raise InputError(
            f"{path}: the folder has recommendations of another model, other people or other options (k, batch_size, "
            f"format); choose another folder"
        )


def file_checksum(path: str | Path) -> str:
    """BLAKE2b of a file, in hexadecimal digits.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return digest.hexdigest()
