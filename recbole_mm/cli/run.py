"""``recbole-mm run``: train a model, evaluate it and print its metrics."""

from __future__ import annotations

import argparse

from recbole_mm.errors import NotWrittenError

HELP = "train a model and print its metrics"
DESCRIPTION = """Train a model and print one table of its metrics.

Options are RecBole's: --key=value for any option of the model, the dataset or the protocol, for example

  recbole-mm run --model=MMASP --dataset=ml-100k-mm
  recbole-mm run --model=MMFS --dataset=ml-100k-mm --protocol=u1 --learning_rate=0.002 --result_file=out.json
  recbole-mm run --model=LightGCN --dataset=ml-100k-mm               (any built-in RecBole model)
  recbole-mm run --resume=saved/MMASP-….pt                           (go on training)
  recbole-mm run --model=MMASP --dataset=… --nproc=2                 (two processes)
  torchrun --nproc-per-node=2 -m recbole_mm.cli.main run --model=…   (the same; for several hosts and restarts)
  recbole-mm run --evaluate=saved/MMASP-….pt                         (evaluate only)

Protocols: ranking (default), u1 … u5, cold-item, temporal. --config_files='a.yaml b.yaml' reads options from files.
"""


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """None of its own: every option is one of the run."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.usage = "recbole-mm run --model=… --dataset=… [--protocol=u1] [--key=value …]"
    parser.set_defaults(run_options=[])


def run(options: argparse.Namespace) -> int:
    """Train, evaluate and print a table; without any option print the help.

    Raises:
        InputError: wrong options or data, before any training; or training diverges.
        NotWrittenError: a file of the result cannot be written; the table is printed all the same.
    """
    if not options.run_options:
        print(DESCRIPTION)
        return 0
    from recbole_mm.config.processes import is_first
    from recbole_mm.report.run_table import result_table  # torch and RecBole take seconds to import: not for --help
    from recbole_mm.training import session

    try:
        result = session.run(arguments=options.run_options)
        if is_first():
            print(result_table(result))
    except NotWrittenError as error:
        if is_first():
            print(result_table(error.result), flush=True)
        raise
    return 0
