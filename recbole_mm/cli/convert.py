"""``recbole-mm convert``: the folder of another tool to a data set, and a data set to a folder of another tool."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from recbole_mm.errors import InputError, nearest, when_stopped

HELP = "make a dataset of another tool's folder, or the other way"
DESCRIPTION = """Make a data set of another tool's folder, or write a data set for another tool.

  recbole-mm convert MMRec/data/baby
  recbole-mm convert dataset/ml-100k-mm --to=mmrec
  recbole-mm convert dataset/mine --to=parquet

A published split is kept: the data set is then trained and tested on it (protocol published).
Files of pickled Python objects are never read.
"""
OWN = "recbole"
FOLDERS = {OWN: Path("dataset"), "mmrec": Path("mmrec"), "parquet": Path("parquet")}


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", type=Path, metavar="SRC", help="folder of the files")
    parser.add_argument(
        "--from",
        dest="tool",
        default="auto",
        metavar="TOOL",
        help="auto, recbole, mmrec (mrlib, m3l), lattice (micro, mmssl), ducho, elliot, cornac (default: auto)",
    )
    parser.add_argument("--to", default=OWN, metavar="TOOL", help="recbole, mmrec, parquet (default: recbole)")
    parser.add_argument("--name", help="of the dataset (default: the name of SRC)")
    parser.add_argument("--out", type=Path, help="its folder is made in this one (default: dataset, mmrec or parquet)")
    parser.add_argument("--force", action="store_true", help="replace what is there")


def run(options: argparse.Namespace) -> int:
    """Convert and print what was read, kept and chosen.

    Raises:
        InputError: a folder that looks like no known layout, a wrong file, or a target that is there already.
    """
    from recbole_mm.interchange.convert import read_folder
    from recbole_mm.interchange.export import export
    from recbole_mm.interchange.writer import check_target, write_contents

    if options.to not in FOLDERS:
        raise InputError(f"--to={options.to}: is none of {', '.join(FOLDERS)}.{nearest(options.to, FOLDERS)}")
    name = options.name or re.sub(r"[^A-Za-z0-9_.-]+", "-", options.source.resolve().name).strip("-.")
    out = options.out or FOLDERS[options.to]
    with when_stopped(lambda: "nothing half-written stays; the same command starts again"):
        if options.to != OWN:
            contents = read_folder(options.source, options.tool)
            print("\n".join([*contents.notes, *export(contents, options.to, name, out / name, options.force)]))
            return 0
        folder = check_target(name, out, options.force)
        contents = read_folder(options.source, options.tool)
        print(write_contents(contents, name, folder, f"recbole-mm convert {options.source.name}"))
    print(f"next: recbole-mm benchmark --dataset={name} --suite=ranking")
    return 0
