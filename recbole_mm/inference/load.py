"""From a checkpoint to a model that is ready to use."""

from __future__ import annotations

from pathlib import Path

from recbole_mm.config.config import Config
from recbole_mm.inference.recommender import Recommender
from recbole_mm.training.checkpoint import load_checkpoint, restore
from recbole_mm.training.session import fingerprint, prepare_data


def load(checkpoint: str | Path, data_path: str | None = None) -> Recommender:
    """The model of a checkpoint with the users and movies of its data, ready to predict, recommend and explain.

    Args:
        checkpoint: file that a run saved.
        data_path: folder that holds the dataset folder; by default the folder that was used in training.

    Raises:
        InputError: the file is not a checkpoint of ours, or the data are not the data it was trained on.
    """
    arguments = [] if data_path is None else [f"--data_path={data_path}"]
    config = Config.from_plain(load_checkpoint(checkpoint)["config"], arguments=arguments, source=checkpoint)
    dataset, split = prepare_data(config)
    model = config.model_class(config, split.train).to(config["device"])
    restore(model, config, fingerprint(dataset, split), checkpoint)
    return Recommender(model.eval(), dataset, split, config)
