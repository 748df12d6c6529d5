"""``recbole-mm tune``: choose a model's options on the validation part."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "choose a model's options on the validation part"


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the search; all others are options of its runs."""
    parser.usage = (
        "recbole-mm tune --model=… --dataset=… [--protocol=u1] [--trials=12] [--workers=1] [--metric=…] "
        "[--pruner=median] [--space=…] [--out=…] [--key=value …]"
    )
    parser.description = "Choose a model's options on the validation part, by random search: the default comes first."
    parser.epilog = "Every other option is one of `recbole-mm run`, shared by all trials; --seed is also the search's."
    parser.add_argument("--trials", type=int, default=12, help="models trained, the default among them (default: 12)")
    parser.add_argument("--workers", type=int, default=1, help="trials at a time, one thread each (default: 1)")
    parser.add_argument(
        "--metric", help="that chooses epoch and trial, e.g. ndcg@10, rmse, genre_map (default: the run's valid_metric)"
    )
    parser.add_argument(
        "--pruner",
        default="median",
        help="median: end a trial that is worse than the median of finished ones; or none (default: median)",
    )
    parser.add_argument(
        "--space", type=Path, metavar="FILE", help="a search space of your own, also in RecBole's form of lines"
    )
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

    given = (options.trials, options.out, options.workers, options.metric, options.pruner, options.space)
    print(tune(options.run_options, *given))
    return 0
