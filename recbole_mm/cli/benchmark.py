"""``recbole-mm benchmark``: run the rows of a table, each with several seeds."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recbole_mm.errors import NotInDataError, NotWrittenError

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
    parser.add_argument(
        "--models", nargs="+", default=[], metavar="NAME", help="further models, a row each, also of other packages"
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        default=[],
        metavar="NAME",
        help="run these rows alone, 'MM*' for all that begin so; the others can follow",
    )
    parser.add_argument(
        "--tune",
        type=int,
        default=0,
        metavar="N",
        help="first choose the values of each row, on the validation part, from N trials each",
    )
    parser.add_argument(
        "--from_cells",
        action="store_true",
        help="write the suite's tables again from OUT/cells alone: no data, no runs",
    )
    parser.add_argument("--quick", action="store_true", help="the suite's short form; checks its bands")


def run(options: argparse.Namespace) -> int:
    """Run the suites, print their tables and, unless they are short forms, write the page of all of them.

    Returns:
        1 if a run has failed; the tables are written all the same.

    Raises:
        InputError: whatever `run_suite` refuses.
    """
    from recbole_mm.benchmark.rows import failed_rows
    from recbole_mm.benchmark.suites import run_suite, suite_names, write_from_cells
    from recbole_mm.benchmark.table import failures_of

    out = options.out or Path("results") / options.dataset
    if options.from_cells:
        kept = sorted(path.stem for path in (out / "cells").glob("*.jsonl"))
        for suite in kept if kept and options.suite == "all" else [options.suite]:
            print(write_from_cells(suite, options.dataset, out).read_text(encoding="utf-8"))
        return 0
    failures: list[tuple[str, str]] = []
    for suite in suite_names() if options.suite == "all" else [options.suite]:
        try:
            files = options.config_files.split()
            given = (out, options.workers, options.quick, files, options.tune, options.models, options.rows)
            path = run_suite(suite, options.dataset, *given)
        except NotInDataError as error:
            if options.suite != "all":
                raise
            print(f"recbole-mm: suite '{suite}' is left out: {error}", file=sys.stderr)
            continue
        except NotWrittenError as error:
            print(error.result, flush=True)
            raise
        print(path.read_text(encoding="utf-8"), flush=True)
        failures += failures_of(path)
    if not options.quick:
        from recbole_mm.report.html import write_html

        print(write_html(out, options.dataset))
    if failures:
        print(f"recbole-mm: {failed_rows(failures)}; the tables are written", file=sys.stderr)
    return 1 if failures else 0
