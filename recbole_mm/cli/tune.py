"""``recbole-mm tune``: choose a model's options on the validation part."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "choose a model's options on the validation part"


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the search; all others are options of its runs."""
    parser.usage = "recbole-mm tune --model=… --dataset=… [--protocol=u1] [--trials=12] [--out=…] [--key=value …]"
    parser.description = "Choose a model's options on the validation part, by RecBole's HyperTuning with random search."
    parser.epilog = "Every other option is one of `recbole-mm run`, shared by all trials; --seed is also the search's."
    parser.add_argument("--trials", type=int, default=12, help="models trained, the default among them (default: 12)")
    parser.add_argument(
        "--out", type=Path, default=Path("properties/tuned"), help="log and choice go here (default: properties/tuned)"
    )
    parser.set_defaults(run_options=[])


def run(options: argparse.Namespace) -> int:
    """Search and print what was chosen.

    Raises:
        InputError: wrong options or data, or no trial that could be trained.
    """
    from recbole_mm.tuning.search import tune

    print(tune(options.run_options, options.trials, options.out))
    return 0
