"""``recbole-mm benchmark``: run the rows of a table, each with several seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "run the rows of a table, each with several seeds"


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.add_argument("--dataset", default="ml-100k-mm", help="(default: ml-100k-mm)")
    parser.add_argument("--suite", required=True, help="a file of properties/benchmark, e.g. rating; or all")
    parser.add_argument("--out", type=Path, help="where tables and runs go (default: results/DATASET)")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each (default: 2)")
    parser.add_argument(
        "--config_files",
        default="",
        metavar="'A.yaml B.yaml'",
        help="options for every row, e.g. the fields of a data set of your own; later files win",
    )
    parser.add_argument("--quick", action="store_true", help="the suite's short form; checks its bands")


def run(options: argparse.Namespace) -> int:
    """Run the suites, print their tables and, unless they are short forms, write the page of all of them.

    Raises:
        InputError: whatever `run_suite` refuses.
    """
    from recbole_mm.benchmark.suites import run_suite, suite_names

    out = options.out or Path("results") / options.dataset
    for suite in suite_names() if options.suite == "all" else [options.suite]:
        path = run_suite(suite, options.dataset, out, options.workers, options.quick, options.config_files.split())
        print(path.read_text(encoding="utf-8"))
    if not options.quick:
        from recbole_mm.report.html import write_html

        print(write_html(out, options.dataset))
    return 0
