"""`run_recbole` and `load_data_and_model` as RecBole's users know them: same arguments, same results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from recbole.data.dataset import Dataset

from recbole_mm.config.config import Config
from recbole_mm.data.dataloader import data_preparation
from recbole_mm.training.checkpoint import load_checkpoint, restore
from recbole_mm.training.session import fingerprint, prepare_data, run


def run_recbole(
    model: str | type | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    saved: bool = True,
) -> dict[str, Any]:
    """`recbole_mm.run` with the result of RecBole's `run_recbole`. The command line is not read.

    Returns:
        ``best_valid_score`` (the metric that chose the epoch), ``valid_score_bigger`` (whether a larger one is better),
        ``best_valid_result`` and ``test_result`` (metric -> value).

    Raises:
        InputError: what `recbole_mm.run` refuses.
    """
    files = None if config_file_list is None else [str(name) for name in config_file_list]
    result = run(model, dataset, files, None if config_dict is None else dict(config_dict), saved=saved)  # type: ignore[arg-type]
    return {
        "best_valid_score": result.valid.get(result.config["valid_metric"].lower()),
        "valid_score_bigger": result.config["valid_metric_bigger"],
        "best_valid_result": result.valid,
        "test_result": result.test,
    }


def load_data_and_model(model_file: str | Path) -> tuple[Config, torch.nn.Module, Dataset, Any, Any, Any]:
    """Config, model, data set, and the loaders of training, validation and test of a checkpoint.

    `recbole_mm.load` gives a `Recommender` of the same file, which is what a program that recommends needs.

    Raises:
        InputError: the file is not a checkpoint of ours, or the data are not the data it was trained on.
    """
    config = Config.from_plain(load_checkpoint(model_file)["config"])
    dataset, split = prepare_data(config)
    loaders = data_preparation(config, dataset, split)
    model = config.model_class(config, split.train).to(config["device"])
    restore(model, config, fingerprint(dataset, split), model_file)
    return config, model.eval(), dataset, *loaders
