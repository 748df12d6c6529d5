"""Does the protocol `ranking` equal RecBole's? One of its models, by the steps of its quick start and by this package.

    python -m recbole_mm.measure.recbole_parity                          BPR, seeds 2020 (RecBole's default), 1, 2, 3
    python -m recbole_mm.measure.recbole_parity --model=EASE --seeds 2020

Both use RecBole's defaults (also MRR@10 to choose the epoch) and MovieLens-100K of the installed RecBole. The same seed
gives the same split, but other random weights and negatives. So metrics of a model with random numbers agree up to
noise, and metrics of a model without (EASE, ItemKNN) are exactly equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from unittest import mock

import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recbole_mm.training.session import run

METRICS = ("recall@10", "ndcg@10", "mrr@10")
QUIET = {"show_progress": False, "state": "ERROR"}


def through_recbole(model: str, seed: int, **options: object) -> dict[str, float]:
    """Metrics on the test part, by the steps of ``recbole.quick_start.run_recbole``.

    That function itself would import ray, and load its checkpoint in a way that torch refuses since 2.6.
    """
    with mock.patch.object(sys, "argv", sys.argv[:1]):  # RecBole reads options from sys.argv in any program
        config = Config(model=model, dataset="ml-100k", config_dict={**QUIET, "seed": seed, **options})
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    network = get_model(model)(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, network)
    trainer.fit(train, valid, saved=True, show_progress=False)
    checkpoint = torch.load(trainer.saved_model_file, weights_only=False)  # safe: the line before wrote it
    network.load_state_dict(checkpoint["state_dict"])
    network.load_other_parameter(checkpoint.get("other_parameter"))
    metrics = trainer.evaluate(test, load_best_model=False)
    return {name: float(metrics[name]) for name in METRICS}


def through_this_package(model: str, seed: int, **options: object) -> dict[str, float]:
    """The same metrics by `recbole_mm.run`, on ``ml-100k-mm``."""
    options = {**QUIET, "protocol": "ranking", "valid_metric": "MRR@10", "seed": seed, **options}
    metrics = run(model, "ml-100k-mm", config_dict=options).test
    return {name: metrics[name] for name in METRICS}


def compare(model: str, seeds: Sequence[int], **options: object) -> pd.DataFrame:
    """One line for each way (RecBole's or this package's) and seed."""
    lines = []
    with tempfile.TemporaryDirectory() as checkpoints:
        for way in (through_recbole, through_this_package):
            for seed in seeds:
                metrics = way(model, seed, checkpoint_dir=checkpoints, **options)
                lines.append({"way": way.__name__.replace("_", " "), "seed": seed, **metrics})
    return pd.DataFrame(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the lines, and the mean and standard deviation of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="BPR", help="a general recommender of RecBole")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2020, 1, 2, 3])
    options = parser.parse_args(arguments)
    lines = compare(options.model, options.seeds)
    print(lines.to_string(index=False))
    if len(options.seeds) > 1:
        print(lines.groupby("way")[list(METRICS)].agg(["mean", "std"]).round(4).to_string())


if __name__ == "__main__":
    main()
