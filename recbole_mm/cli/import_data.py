"""``recbole-mm import``: tables and vectors of one's own to a data set that every command knows by its name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from recbole_mm.errors import InputError, when_stopped

HELP = "make a dataset of your own tables and vectors"
DESCRIPTION = """Make a data set of your own tables (csv, parquet) and vectors (npy, npz, csv, parquet, folders of npy).

  recbole-mm import --ratings=r.csv --items=m.csv --vectors text=t.npy:ids.txt image=i.parquet --name=mine
  recbole-mm run --model=MMASP --dataset=mine

Columns are recognised by their names, and what was recognised is printed. Others are named with --columns, by role:
user, item, rating, time, split (ratings); item, title, year, genres (items); user (users).
"""


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--ratings", type=Path, required=True, metavar="FILE", help="a row for each rating")
    parser.add_argument("--items", type=Path, metavar="FILE", help="a row for each item: title, year, genres")
    parser.add_argument("--users", type=Path, metavar="FILE", help="a row for each user, with attributes")
    parser.add_argument(
        "--vectors",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=FILE",
        help="FIELD=matrix.npy:ids.txt (one id a line), or a file that holds ids and vectors, or a folder of ITEM.npy",
    )
    parser.add_argument("--name", default="mine", help="of the dataset (default: mine)")
    parser.add_argument(
        "--columns", nargs="+", action="extend", default=[], metavar="ROLE=COLUMN", help="columns that have other names"
    )
    parser.add_argument(
        "--genre-separator", metavar="TEXT", help="between two genres (default: found: |, comma, space)"
    )
    parser.add_argument(
        "--like-threshold", type=float, metavar="RATING", help="a movie is liked from it on (default: 3/4 of the scale)"
    )
    parser.add_argument("--encoding", default="utf-8", help="of csv files (default: utf-8)")
    parser.add_argument("--out", type=Path, default=Path("dataset"), help="folder of datasets (default: dataset)")
    parser.add_argument("--force", action="store_true", help="replace a dataset of this name")


def run(options: argparse.Namespace) -> int:
    """Write the data set and print what was recognised and chosen.

    Raises:
        InputError: a file, a line or an option is wrong; nothing is written then.
    """
    from recbole_mm.interchange.assemble import assemble, check_field
    from recbole_mm.interchange.table_files import read_table
    from recbole_mm.interchange.vector_files import read_vector_source
    from recbole_mm.interchange.writer import check_target, write_contents

    folder = check_target(options.name, options.out, options.force)
    sources = pairs(options.vectors, "--vectors", "FIELD=FILE")
    columns = pairs(options.columns, "--columns", "ROLE=COLUMN")
    for field in sources:
        check_field(field)
    with when_stopped(lambda: "nothing half-written stays; the same command starts again"):
        ratings, items, users = (
            None if path is None else read_table(path, options.encoding)
            for path in (options.ratings, options.items, options.users)
        )
        vectors = {field: read_vector_source(source, options.encoding) for field, source in sources.items()}
        contents = assemble(ratings, items, users, vectors, columns, options.genre_separator, options.like_threshold)
        print(write_contents(contents, options.name, folder, "recbole-mm import"))
    print(f"next: recbole-mm run --model=MMASP --dataset={options.name}{_data_path(options.out)}")
    return 0


def pairs(given: Sequence[str], option: str, form: str) -> dict[str, str]:
    """The parts of 'NAME=VALUE' words.

    Raises:
        InputError: a word is of another form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise InputError(f"{option}: '{word}' is not of the form {form}")
        if name in found:
            raise InputError(f"{option}: '{name}' is given twice; keep one")
        found[name] = value
    return found


def _data_path(out: Path) -> str:
    return "" if out == Path("dataset") else f" --data_path={out}"
