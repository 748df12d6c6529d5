"""One call from names to numbers: `run` trains and evaluates, `load` brings a checkpoint back ready to predict."""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from logging import getLogger
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from recbole.data import create_dataset
from recbole.data.dataset import Dataset
from recbole.utils import init_logger, init_seed

from recbole_mm.checkpoint import load_checkpoint
from recbole_mm.config import Config
from recbole_mm.data.atomic import check_atomic_files
from recbole_mm.data.builders import PREPARABLE, prepare
from recbole_mm.data.dataloader import data_preparation
from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.data.splits import Split, build_split
from recbole_mm.errors import InputError
from recbole_mm.options import given_options, write_arguments
from recbole_mm.trainer import build_trainer


@dataclass
class Result:
    """What one run measured (design, section 5); `to_json` is what ``--result_file`` holds.

    Attributes:
        valid, test: metric name -> value, of the model that was best on the validation part.
        seconds: ``fit`` (training and its validations), ``epoch`` (median training epoch), ``evaluate`` (the
            validation and the test part once each).
        epochs: epochs trained; ``best_epoch`` is the one that the numbers come from.
        history: per epoch: epoch, seconds, losses, statistics and validation metrics.
    """

    model: str
    dataset: str
    protocol: str
    seed: int
    valid: dict[str, float]
    test: dict[str, float]
    seconds: dict[str, float]
    epochs: int
    best_epoch: int | None
    parameters: int
    peak_rss_mb: float
    checkpoint: str | None
    versions: dict[str, str]
    config: dict[str, Any]
    history: list[dict] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


@dataclass
class Session:
    """Everything of a run up to the first epoch."""

    config: Config
    model: torch.nn.Module
    trainer: Any
    train_data: Any
    split: Split
    valid_data: Any
    test_data: Any


def run(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    arguments: Sequence[str] = (),
    saved: bool = True,
) -> Result:
    """Train a model and evaluate it on the validation and the test part.

    Args:
        model: name of one of ours (MMFS, MMSP, MMASP) or of a built-in RecBole model.
        dataset: name of a folder below ``data_path`` with atomic files; ``ml-100k-mm`` is built at first use.
        config_file_list, config_dict, arguments: options, later ones win; ``arguments`` are ``--key=value``.
        saved: keep the best model as a checkpoint; without it the numbers are those of the last epoch.

    The option ``resume`` goes on training from a checkpoint, ``evaluate`` only evaluates one.

    Raises:
        InputError: wrong options or data, before any training.
    """
    config = _read_config(model, dataset, config_file_list, config_dict, arguments)
    init_logger(config)
    session = prepare_session(config)
    trainer = session.trainer
    logger = getLogger()
    logger.info(session.model)

    start = perf_counter()
    if not config["evaluate"]:
        if config["resume"]:
            trainer.resume_checkpoint(config["resume"])
        trainer.fit(session.train_data, session.valid_data, saved=saved, show_progress=config["show_progress"])
        if saved:
            trainer.load_weights(trainer.saved_model_file)
    else:
        trainer.eval_collector.data_collect(session.train_data)
        trainer.load_weights(config["evaluate"])
    fitted = perf_counter()
    valid, test = (trainer.evaluate(data, load_best_model=False) for data in (session.valid_data, session.test_data))
    evaluated = perf_counter()

    history = trainer.history
    result = Result(
        model=config["model"],
        dataset=config["dataset"],
        protocol=config["protocol"],
        seed=config["seed"],
        valid=valid,
        test=test,
        seconds={
            "fit": round(fitted - start, 3),
            "epoch": round(float(np.median([epoch["seconds"] for epoch in history])), 4) if history else 0.0,
            "evaluate": round(evaluated - fitted, 3),
        },
        epochs=len(history),
        best_epoch=_best_epoch(history, config) if saved else None,
        parameters=sum(p.numel() for p in session.model.parameters() if p.requires_grad),
        peak_rss_mb=round(_peak_rss_mb(), 1),
        checkpoint=config["evaluate"] or (trainer.saved_model_file if saved else None),
        versions=_versions(),
        config=config.plain(),
        history=history,
    )
    if config["result_file"]:
        path = Path(config["result_file"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(result.to_json() + "\n", encoding="utf-8")
    return result


def load(checkpoint: str | Path, data_path: str | None = None) -> torch.nn.Module:
    """The model of a checkpoint, with its training data's profiles, in evaluation mode.

    Args:
        checkpoint: file that a run saved.
        data_path: folder that holds the dataset folder; by default where it was when the model was trained.

    Raises:
        InputError: the file is not a checkpoint of ours, or the data are not those it was trained on.
    """
    arguments = [] if data_path is None else [f"--data_path={data_path}"]
    kept = load_checkpoint(checkpoint)["config"]
    session = prepare_session(Config.from_plain(kept, arguments=arguments))
    session.trainer.load_weights(str(checkpoint))
    return session.model.eval()


def _read_config(model, dataset, files, options, arguments) -> Config:
    given = given_options(files, options, arguments)
    used = [given[name].value for name in ("evaluate", "resume") if name in given and given[name].value]
    if not used:
        return Config(model, dataset, config_file_list=files, config_dict=options, arguments=arguments)
    if len(used) == 2:
        raise InputError("options 'evaluate' and 'resume': give one of them, not both")
    # The checkpoint says what was trained; the options may change how it is run (epochs, batch sizes, device).
    checkpoint, kept = used[0], load_checkpoint(used[0])["config"]
    for name, value in (("model", model), ("dataset", dataset)):
        value = given[name].value if name in given else value
        if value is not None and value != kept[name]:
            raise InputError(f"{checkpoint}: holds {name} {kept[name]}, not {value}; give --{name}={kept[name]}")
    kept.update(result_file=None, evaluate=None, resume=None)
    changes = {name: one.value for name, one in given.items() if name not in ("model", "dataset")}
    return Config.from_plain(kept, arguments=write_arguments(changes))


def prepare_session(config: Config) -> Session:
    """Data, split, loaders, model and trainer of a run, ready for the first epoch."""
    init_seed(config["seed"], config["reproducibility"])
    folder = Path(config["data_path"])
    if config["dataset"] in PREPARABLE:
        prepare(config["dataset"], folder.parent)
    check_atomic_files(config)
    dataset = _create_dataset(config)
    getLogger().info(dataset)
    split = build_split(dataset, config)
    train_data, valid_data, test_data = data_preparation(config, dataset, split)
    # Again, so that weights do not depend on how many random numbers the data took.
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    model = config.model_class(config, split.train).to(config["device"])
    trainer = build_trainer(config, model)
    trainer.data_fingerprint = _fingerprint(dataset, split)
    return Session(config, model, trainer, train_data, split, valid_data, test_data)


def _create_dataset(config: Config) -> Dataset:
    with warnings.catch_warnings():
        # RecBole on pandas 2: deprecated, not broken (pandas 3 is excluded).
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"recbole\.")
        return MultimodalDataset(config) if config.predicts_genres else create_dataset(config)


def _fingerprint(dataset: Dataset, split: Split) -> str:
    """SHA-256 of the id tokens and the training rows: what a checkpoint's weights belong to."""
    digest = hashlib.sha256()
    for id_field in (dataset.uid_field, dataset.iid_field):
        digest.update("\n".join(map(str, dataset.field2id_token[id_field])).encode())
    for id_field in (dataset.uid_field, dataset.iid_field):
        ids = split.train.inter_feat[id_field].numpy()
        digest.update(np.ascontiguousarray(ids, dtype=np.int64).tobytes())
    return digest.hexdigest()


def _best_epoch(history: list[dict], config: Config) -> int | None:
    metric = config["valid_metric"].lower()
    validated = [epoch for epoch in history if metric in epoch.get("valid", {})]
    if not validated:
        return None
    # RecBole counts a tie as an improvement, so of equal epochs the last is the one that was saved.
    sign = 1 if config["valid_metric_bigger"] else -1
    return max(validated, key=lambda epoch: (sign * epoch["valid"][metric], epoch["epoch"]))["epoch"]


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _versions() -> dict[str, str]:
    packages = ("recbole-mm", "recbole", "torch", "numpy", "pandas", "scipy", "scikit-learn")
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


def _version(package: str) -> str:
    if package == "recbole-mm":
        from recbole_mm import __version__

        return __version__
    return version(package)
