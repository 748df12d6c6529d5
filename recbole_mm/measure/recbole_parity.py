"""Does the protocol `ranking` equal RecBole's? One of its models, by the steps of its quick start and by this package.

    python -m recbole_mm.measure.recbole_parity                          BPR, seeds 2020 (RecBole's default), 1, 2, 3
    python -m recbole_mm.measure.recbole_parity --model=EASE --seeds 2020
    python -m recbole_mm.measure.recbole_parity --small BPR FM GRU4Rec CKE     to the digit, models of any kind

Without ``--small`` both use RecBole's defaults (also MRR@10 to choose the epoch) and MovieLens-100K of the installed
RecBole. The same seed gives the same split, but other random weights and negatives. So metrics of a model with random
numbers agree up to noise, and metrics of a model without (EASE, ItemKNN) are exactly equal.

With ``--small`` both train two epochs on a small data set that has files for every kind of model. RecBole gets the
options of this package's run, and draws the random numbers of each epoch from the same seed as this package does (its
own quick start draws them in one stream). Then nothing may differ, in any model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pandas as pd
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recbole_mm.config.config import Config
from recbole_mm.measure.builtin_models import in_a_folder
from recbole_mm.measure.small_data import NAME, write_small_data
from recbole_mm.training.evaluation import seed_epoch
from recbole_mm.training.session import run

METRICS = ("recall@10", "ndcg@10", "mrr@10")
QUIET = {"show_progress": False, "state": "ERROR"}
SMALL = {"epochs": 2, "eval_step": 0, "train_batch_size": 128, "MAX_ITEM_LIST_LENGTH": 5, "gpu_id": ""}


def through_recbole(model: str, seed: int, **options: object) -> dict[str, float]:
    """Metrics on the test part, by the steps of ``recbole.quick_start.run_recbole``.

    That function itself would import ray, and load its checkpoint in a way that torch refuses since 2.6.
    """
    with mock.patch.object(sys, "argv", sys.argv[:1]):  # RecBole reads options from sys.argv in any program
        config = RecBoleConfig(model=model, dataset="ml-100k", config_dict={**QUIET, "seed": seed, **options})
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


def compare_on_small_data(model: str, seed: int = 2020) -> pd.DataFrame:
    """One line for each way, after two epochs of the same random numbers; works in the current directory."""
    data_path = write_small_data(Path("dataset"))
    given = {**SMALL, **QUIET, "data_path": str(data_path), "seed": seed}
    ours = run(model, NAME, config_dict=given, saved=False)
    lines = [
        {"way": "through recbole", **_stock_on_small_data(Config(model, NAME, config_dict=given))},
        {"way": "through this package", **{name: ours.test[name] for name in METRICS}},
    ]
    return pd.DataFrame(lines)


def _stock_on_small_data(ours: Config) -> dict[str, float]:
    """Metrics on the test part by RecBole's own Config, data set, loaders, trainer and evaluator."""
    options = ours.plain()
    left_out = ("model", "dataset", "metrics", "valid_metric", "valid_metric_bigger", "config_files")
    options = {name: value for name, value in options.items() if name not in left_out}
    options.update(metrics=list(ours.final_config_dict["metrics"]), valid_metric="NDCG@10")
    with mock.patch.object(sys, "argv", sys.argv[:1]):
        config = RecBoleConfig(model=ours.model, dataset=NAME, config_dict=options)
    init_seed(config["seed"], config["reproducibility"])
    train, _, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    network = get_model(ours.model)(config, train._dataset).to(config["device"])
    base = get_trainer(config["MODEL_TYPE"], config["model"])
    trainer = type(base.__name__, (_SameDraws, base), {})(config, network)
    trainer.fit(train, None, saved=False, show_progress=False)
    metrics = trainer.evaluate(test, load_best_model=False)
    return {name: float(metrics[name]) for name in METRICS}


class _SameDraws:
    """Before a trainer of RecBole: the random numbers of an epoch depend on seed and epoch only."""

    def _train_epoch(self, train_data, epoch_idx, *rest, **options):
        seed_epoch(self.config["seed"], epoch_idx, train_data)
        return super()._train_epoch(train_data, epoch_idx, *rest, **options)


def main(arguments: list[str] | None = None) -> None:
    """Print the lines, and the mean and standard deviation of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="BPR", help="a general recommender of RecBole")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2020, 1, 2, 3])
    parser.add_argument("--small", nargs="+", metavar="MODEL", help="compare these on the small data set")
    options = parser.parse_args(arguments)
    for model in options.small or ():
        with in_a_folder():
            lines = compare_on_small_data(model, options.seeds[0])
        print(lines.assign(model=model).to_string(index=False), flush=True)
    if options.small:
        return
    lines = compare(options.model, options.seeds)
    print(lines.to_string(index=False))
    if len(options.seeds) > 1:
        print(lines.groupby("way")[list(METRICS)].agg(["mean", "std"]).round(4).to_string())


if __name__ == "__main__":
    main()
