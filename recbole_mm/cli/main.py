"""Command line ``recbole-mm``: run, tune, prepare, extract, benchmark, curves, recommend, demo.

run_recbole_mm.py is ``recbole-mm run``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recbole_mm.cli import demo as demo_command
from recbole_mm.cli import extract as extract_command
from recbole_mm.cli import recommend as recommend_command
from recbole_mm.errors import InputError
from recbole_mm.resources import running_copy

RUN_HELP = """Train a model and print one table of its metrics.

Options are RecBole's: --key=value for any option of the model, the dataset or the protocol, for example

  recbole-mm run --model=MMASP --dataset=ml-100k-mm
  recbole-mm run --model=MMFS --dataset=ml-100k-mm --protocol=u1 --learning_rate=0.002 --result_file=out.json
  recbole-mm run --model=LightGCN --dataset=ml-100k-mm               (any built-in RecBole model)
  recbole-mm run --resume=saved/MMASP-….pt                           (go on training)
  recbole-mm run --evaluate=saved/MMASP-….pt                         (evaluate only)

Protocols: ranking (default), u1 … u5, cold-item, temporal. --config_files='a.yaml b.yaml' reads options from files.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0, or 2 for wrong input."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments[:1] == ["run"]:
            return _run(arguments[1:])
        if arguments[:1] == ["tune"]:
            return _tune(arguments[1:])
        return _other_command(arguments)
    except InputError as error:
        print(f"recbole-mm: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("recbole-mm: interrupted", file=sys.stderr)
        return 130


def _run(options: list[str]) -> int:
    if not options or {"-h", "--help"} & set(options):
        print(RUN_HELP)
        return 0
    from recbole_mm.training.session import run  # torch and RecBole take seconds to import: not for --help

    result = run(arguments=options)
    from recbole_mm.report.run_table import result_table

    print(result_table(result))
    return 0


def _tune(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="recbole-mm tune",
        usage="recbole-mm tune --model=… --dataset=… [--protocol=u1] [--trials=12] [--out=…] [--key=value …]",
        description="Choose a model's options on the validation part, by RecBole's HyperTuning with random search.",
        epilog="Every other option is one of `recbole-mm run`, shared by all trials; --seed is also the search's.",
        allow_abbrev=False,
    )
    parser.add_argument("--trials", type=int, default=12, help="models trained, the default among them (default: 12)")
    parser.add_argument(
        "--out", type=Path, default=Path("properties/tuned"), help="log and choice go here (default: properties/tuned)"
    )
    options, of_runs = parser.parse_known_args(arguments)
    from recbole_mm.tuning.search import tune

    print(tune(of_runs, options.trials, options.out))
    return 0


def _other_command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="recbole-mm",
        description="Multimodal multitask recommendation on RecBole.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the path that --version prints stays on one line
    )
    parser.add_argument("--version", action="version", version=running_copy())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="train a model and print its metrics", add_help=False)
    commands.add_parser("tune", help="choose a model's options on the validation part", add_help=False)
    prepare_parser = commands.add_parser("prepare", help="build a dataset's atomic files")
    prepare_parser.add_argument("dataset", help="its name, e.g. ml-100k-mm; more options: prepare mmtf-14k --help")
    prepare_parser.add_argument("--out", type=Path, default=Path("dataset"), help="where to put it (default: dataset)")
    prepare_parser.add_argument(
        "--source",
        type=Path,
        help="folder of raw sources: rebuild the vectors from them, not from the shipped ones (mmtf-14k: needed)",
    )
    prepare_parser.add_argument("--force", action="store_true", help="build again what is there")
    extract_command.add_parser(commands)
    if arguments[:1] == ["prepare"]:
        from recbole_mm.datasets.registry import PREPARABLE

        if name := next((argument for argument in arguments if argument in PREPARABLE), None):
            PREPARABLE[name].add_options(prepare_parser)
    curves_parser = commands.add_parser("curves", help="draw the training curves of runs")
    curves_parser.add_argument("result_files", nargs="+", type=Path, help="files written by run --result_file=…")
    curves_parser.add_argument("--out", type=Path, default=Path("curves.png"), help="picture (default: curves.png)")
    benchmark_parser = commands.add_parser("benchmark", help="run the rows of a table, each with several seeds")
    benchmark_parser.add_argument("--dataset", default="ml-100k-mm", help="(default: ml-100k-mm)")
    benchmark_parser.add_argument("--suite", required=True, help="a file of properties/benchmark, e.g. rating; or all")
    benchmark_parser.add_argument("--out", type=Path, help="where tables and runs go (default: results/DATASET)")
    benchmark_parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each (default: 2)")
    benchmark_parser.add_argument("--quick", action="store_true", help="the suite's short form; checks its bands")
    recommend_parser = commands.add_parser("recommend", help="recommend movies with a trained model, with reasons")
    recommend_command.add_arguments(recommend_parser)
    demo_parser = commands.add_parser("demo", help="serve a local page on which a trained model is tried")
    demo_command.add_arguments(demo_parser)
    options = parser.parse_args(arguments)

    if options.command == "recommend":
        print(recommend_command.recommend(options))
        return 0
    if options.command == "demo":
        demo_command.serve(options)
        return 0
    if options.command == "benchmark":
        from recbole_mm.benchmark.suites import run_suite, suite_names

        out = options.out or Path("results") / options.dataset
        for suite in suite_names() if options.suite == "all" else [options.suite]:
            path = run_suite(suite, options.dataset, out, options.workers, options.quick)
            print(path.read_text(encoding="utf-8"))
        if not options.quick:
            from recbole_mm.report.html import write_html

            print(write_html(out, options.dataset))
        return 0
    if options.command == "curves":
        from recbole_mm.report.curves import draw_curves

        draw_curves(options.result_files, options.out)
        print(options.out)
        return 0
    if options.command == "extract":
        return extract_command.run(options)
    from recbole_mm.datasets.registry import prepare

    del options.command
    folder = prepare(**vars(options))
    for path in sorted(folder.iterdir()):
        print(f"{os.path.getsize(path):>10,}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
