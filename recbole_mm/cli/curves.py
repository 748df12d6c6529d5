"""``recbole-mm curves``: draw the training curves of runs."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "draw the training curves of runs"


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.add_argument("result_files", nargs="+", type=Path, help="files written by run --result_file=…")
    parser.add_argument("--out", type=Path, default=Path("curves.png"), help="picture (default: curves.png)")


def run(options: argparse.Namespace) -> int:
    """Draw the picture and print its name.

    Raises:
        InputError: a file is absent or is no result of a run.
    """
    from recbole_mm.report.curves import draw_curves

    draw_curves(options.result_files, options.out)
    print(options.out)
    return 0
