"""From a checkpoint or a model file to a model that is ready to use."""

from __future__ import annotations

from pathlib import Path

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.inference import artefact
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.served import ServedData
from recbole_mm.training.checkpoint import load_checkpoint, restore
from recbole_mm.training.session import fingerprint, prepare_data


def load(path: str | Path, data_path: str | None = None) -> Recommender:
    """A trained model, ready to predict, recommend and explain.

    Args:
        path: a checkpoint of a run, which is read together with its data set; or a file that `Recommender.save` wrote,
            which needs nothing else.
        data_path: for a checkpoint, the folder that holds the dataset folder; by default that of the training.

    Raises:
        InputError: the file is none of ours, or the data are not the data that the checkpoint was trained on.
    """
    if artefact.is_artefact(path):
        if data_path is not None:
            raise InputError(f"{path}: needs no data set; leave data_path out")
        return Recommender(*artefact.load(path))
    arguments = [] if data_path is None else [f"--data_path={data_path}"]
    config = Config.from_plain(load_checkpoint(path)["config"], arguments=arguments, source=path)
    dataset, split = prepare_data(config)
    model = config.model_class(config, split.train).to(config["device"])
    restore(model, config, fingerprint(dataset, split), path)
    return Recommender(model.eval(), ServedData.of_run(dataset, split, config))
