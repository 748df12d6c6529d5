"""Is the protocol `ranking` RecBole's? One of its models by its own quick start's steps, and through this package.

    python -m recbole_mm.measure.recbole_parity                          BPR, seeds 2020 (RecBole's default), 1, 2, 3
    python -m recbole_mm.measure.recbole_parity --model=EASE --seeds 2020

Both have RecBole's defaults, the epoch's choice by MRR@10 among them, and read MovieLens-100K of the installed RecBole.
The split of a seed is the same; random numbers of weights and negatives are not, so a model that draws some agrees but
for noise, one that draws none (EASE, ItemKNN) to the digit.
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

    That function itself would import ray, and load its checkpoint in a way that today's torch refuses.
    """
    with mock.patch.object(sys, "argv", sys.argv[:1]):  # RecBole reads its options from it wherever it is
        config = Config(model=model, dataset="ml-100k", config_dict={**QUIET, "seed": seed, **options})
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    made = get_model(model)(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, made)
    trainer.fit(train, valid, saved=True, show_progress=False)
    kept = torch.load(trainer.saved_model_file, weights_only=False)  # written a moment ago
    made.load_state_dict(kept["state_dict"])
    made.load_other_parameter(kept.get("other_parameter"))
    found = trainer.evaluate(test, load_best_model=False)
    return {name: float(found[name]) for name in METRICS}


def through_this_package(model: str, seed: int, **options: object) -> dict[str, float]:
    """The same from `recbole_mm.run`, on ``ml-100k-mm``."""
    given = {**QUIET, "protocol": "ranking", "valid_metric": "MRR@10", "seed": seed, **options}
    found = run(model, "ml-100k-mm", config_dict=given).test
    return {name: found[name] for name in METRICS}


def compare(model: str, seeds: Sequence[int], **options: object) -> pd.DataFrame:
    """A line for each way and seed."""
    lines = []
    with tempfile.TemporaryDirectory() as checkpoints:
        for way in (through_recbole, through_this_package):
            for seed in seeds:
                found = way(model, seed, checkpoint_dir=checkpoints, **options)
                lines.append({"way": way.__name__.replace("_", " "), "seed": seed, **found})
    return pd.DataFrame(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the lines and the mean and standard deviation of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="BPR", help="a general recommender of RecBole")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2020, 1, 2, 3])
    given = parser.parse_args(arguments)
    lines = compare(given.model, given.seeds)
    print(lines.to_string(index=False))
    if len(given.seeds) > 1:
        print(lines.groupby("way")[list(METRICS)].agg(["mean", "std"]).round(4).to_string())


if __name__ == "__main__":
    main()
