"""``recbole-mm prepare``: build a data set's atomic files."""

from __future__ import annotations

import argparse
from pathlib import Path

from recbole_mm.errors import when_stopped

HELP = "build a dataset's atomic files"


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of every data set, and those of the data set that was typed."""
    parser.add_argument("dataset", help="its name, e.g. ml-100k-mm; more options: prepare mmtf-14k --help")
    parser.add_argument("--out", type=Path, default=Path("dataset"), help="where to put it (default: dataset)")
    parser.add_argument(
        "--source",
        type=Path,
        help="folder of raw sources: rebuild the vectors from them, not from the shipped ones (mmtf-14k: needed)",
    )
    parser.add_argument("--force", action="store_true", help="build again what is there")
    from recbole_mm.datasets.registry import PREPARABLE

    if name := next((word for word in typed if word in PREPARABLE), None):
        PREPARABLE[name].add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Build the files and print their sizes and names.

    Raises:
        InputError: no such data set, wrong sources, or a folder that cannot be written to.
    """
    from recbole_mm.datasets.registry import prepare

    with when_stopped(lambda: "nothing half-written stays; the same command starts again, with what it downloaded"):
        folder = prepare(**vars(options))
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size:>10,}  {path}")
    return 0
