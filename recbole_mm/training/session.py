"""One call from names to numbers: `run` trains and evaluates; `prepare_session` stops before the first epoch."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from logging import getLogger
from pathlib import Path
from time import perf_counter, time
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset
from recbole.utils import init_seed

from recbole_mm.compat import read_before
from recbole_mm.config.config import Config
from recbole_mm.config.processes import of_several, process_count
from recbole_mm.data.atomic import AtomicFiles, check_atomic_files
from recbole_mm.data.columns import frames_of
from recbole_mm.data.dataloader import EvaluationData, data_preparation
from recbole_mm.data.dataset import dataset_class_of, read_modalities
from recbole_mm.data.imputation import impute
from recbole_mm.data.loaded import check_loaded
from recbole_mm.data.splits import Split, build_split, with_validation
from recbole_mm.datasets.registry import PREPARABLE, prepare
from recbole_mm.environment import peak_rss_mb, versions
from recbole_mm.errors import InputError, NotWrittenError, when_stopped
from recbole_mm.files import write_text, writing
from recbole_mm.training import distributed
from recbole_mm.training.last import AUTO, is_last
from recbole_mm.training.log import start_log
from recbole_mm.training.pretraining import check_same_data
from recbole_mm.training.recbole_errors import errors_of_recbole
from recbole_mm.training.result import Result
from recbole_mm.training.resume import read_config
from recbole_mm.training.trainer import build_trainer


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
    build_seconds: float


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

    The option ``resume`` goes on training from a checkpoint, ``evaluate`` only evaluates one. A process that torchrun
    or the like has started trains together with the others, and each returns the same. With ``nproc`` above 1 training
    is in new processes: a script then calls `run` under ``if __name__ == "__main__":``, since each of them imports the
    script.

    Raises:
        InputError: wrong options or data, before any training; or training diverges.
        NotWrittenError: the run is finished (``result`` of the error), but ``result_file`` or ``predictions_file``
            cannot be written.
        KeyboardInterrupt: its message names the checkpoint from which training goes on.
    """
    config = read_config(model, dataset, config_file_list, config_dict, arguments)
    check_writable(config)
    start = time()
    with when_stopped(lambda: how_to_go_on(config, start)):
        result, failures = distributed.call(_train, config, saved)
    if failures:
        raise NotWrittenError("; ".join(failures), result)
    return result


def how_to_go_on(config: Config, start: float) -> str:
    """What a run that was stopped has kept.

    Args:
        start: seconds since the epoch (`time.time`), when the run started.
    """
    name = escape(f"{config['model']}-{config['dataset']}")
    saved = Path(config["checkpoint_dir"]).glob(f"{name}-*.pt")
    of_this_run = [path for path in saved if path.stat().st_mtime >= start - 1]
    if of_this_run:
        newest = max(of_this_run, key=lambda path: (path.stat().st_mtime, is_last(path)))
        kept = "last epoch" if is_last(newest) else "best epoch so far"
        return f"the {kept} is kept; go on with: recbole-mm run --resume={newest}"
    if config["resume"] not in (None, AUTO):
        return f"no epoch was finished; {config['resume']} is as it was: the same command starts again from it"
    return "no checkpoint was saved yet; the same command starts again"


def _train(config: Config, saved: bool) -> tuple[Result, list[str]]:
    """A run in this process and those that it trains with: its result, and why files of it could not be written."""
    processes = distributed.current()
    if processes.rank == 0:
        start_log(config)
    session = prepare_session(config, refit=bool(config["refit"] and config["evaluate"]))
    trainer = session.trainer
    getLogger().info(session.model)

    start = perf_counter()
    if config["evaluate"]:
        trainer.eval_collector.data_collect(session.train_data)
        checkpoint = config["evaluate"]
    else:
        is_over, trainer.saves_last = False, config["save_last"]
        if config["resume"] == AUTO:
            is_over = trainer.resume_last()
        elif config["resume"]:
            trainer.resume_checkpoint(config["resume"])
        if is_over:  # it was stopped after its last epoch
            trainer.eval_collector.data_collect(session.train_data)
        else:
            trainer.fit(session.train_data, session.valid_data, saved=saved, show_progress=config["show_progress"])
        checkpoint = trainer.saved_model_file if saved else None
    best = trainer.load_weights(checkpoint) if checkpoint else None
    fitted = perf_counter()
    # A refitted checkpoint has seen the validation rows, so they measure nothing.
    seen = config["refit"] and config["evaluate"]
    valid = {} if seen else trainer.evaluate(session.valid_data, load_best_model=False)
    history, refit_seconds = trainer.history, 0.0
    if config["refit"] and not config["evaluate"]:
        start_of_refit = perf_counter()
        trainer.remove_files()
        session = _refitted(config, best["epoch"] + 1 if best else len(history), saved)
        trainer = session.trainer
        checkpoint = trainer.saved_model_file if saved else None
        refit_seconds = perf_counter() - start_of_refit
    test = trainer.evaluate(session.test_data, load_best_model=False)
    evaluated = perf_counter()

    result = Result(
        model=config["model"],
        dataset=config["dataset"],
        protocol=config["protocol"],
        seed=config["seed"],
        valid=valid,
        test=test,
        seconds={
            "build": round(session.build_seconds, 3),
            "fit": round(fitted - start + refit_seconds, 3),
            "epoch": round(float(np.median([epoch["seconds"] for epoch in history])), 4) if history else 0.0,
            "evaluate": round(evaluated - fitted - refit_seconds, 3),
        },
        throughput={name: round(value, 1) for name, value in trainer.throughput.items()},
        epochs=len(history),
        best_epoch=best["epoch"] + 1 if best else None,
        parameters=sum(p.numel() for p in session.model.parameters() if p.requires_grad),
        peak_rss_mb=round(peak_rss_mb(), 1),
        checkpoint=checkpoint,
        versions=versions(),
        config={**config.plain(), **of_several(config)},
        history=history,
    )
    predictions = None
    if processes.on_rank_zero(lambda: bool(config["predictions_file"])):
        predictions = trainer.predictions(session.test_data)  # by all ranks together
    trainer.remove_last()
    return processes.on_rank_zero(lambda: (result, _write_files(result, config, predictions)))


def _refitted(config: Config, epochs: int, saved: bool) -> Session:
    """The model trained from nothing on training and validation rows together, for this number of epochs."""
    session = prepare_session(config, refit=True)
    getLogger().info(f"refit: {len(session.split.train)} training and validation rows, {epochs} epochs")
    session.trainer.epochs = epochs
    session.trainer.fit(session.train_data, saved=saved, show_progress=config["show_progress"])
    return session


def fit_model(config: Config) -> tuple[Session, Session]:
    """Train the model of a run for a measurement: no result, no log, no resumption.

    Returns:
        The model of the best epoch, and the one to test: with option ``refit`` trained again, on training and
        validation rows together, for that number of epochs; without it the same.
    """
    chosen = prepare_session(config, refit=False)
    trainer = chosen.trainer
    trainer.fit(chosen.train_data, chosen.valid_data, saved=True, show_progress=config["show_progress"])
    best = trainer.load_weights(trainer.saved_model_file)
    chosen.model.eval()
    if not config["refit"]:
        return chosen, chosen
    tested = _refitted(config, best["epoch"] + 1, saved=False)
    tested.model.eval()
    return chosen, tested


def _write_files(result: Result, config: Config, predictions: dict[str, np.ndarray] | None) -> list[str]:
    """Write the files that ``result_file`` and ``predictions_file`` ask for; why those failed that could not be."""
    failures = []
    if config["result_file"]:
        try:
            write_text(config["result_file"], result.to_json() + "\n")
        except InputError as error:
            failures.append(f"result_file: {error}")
    if predictions is not None:
        try:
            with writing(config["predictions_file"]) as temporary, open(temporary, "wb") as file:
                np.savez_compressed(file, **predictions)
        except InputError as error:
            failures.append(f"predictions_file: {error}")
    return failures


def prepare_session(config: Config, refit: bool | None = None) -> Session:
    """Data, split, loaders, model and trainer of a run, ready for the first epoch.

    Args:
        refit: train on the validation part too; the option ``refit`` by default.
    """
    processes = distributed.current()
    if processes.world_size != process_count(config):
        raise InputError("option 'nproc' and torchrun: several processes are for run alone; use one")
    dataset, split = prepare_data(config, refit)
    with _input_errors_of_recbole(config):
        train_data, valid_data, test_data = data_preparation(config, dataset, split)
    _check_evaluation(config, dataset, valid_data)
    data_fingerprint = fingerprint(dataset, split)
    check_same_data(config, data_fingerprint)
    # Again, so that weights do not depend on how many random numbers the data took.
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    start = perf_counter()
    try:
        with errors_of_recbole(config, "be built"):
            model = config.model_class(config, split.train).to(config["device"])
    except pickle.UnpicklingError as error:
        raise InputError(
            f"options of {config['model']}: a file of pretrained weights holds more than weights and plain values, so "
            f"it could run code ({' '.join(str(error).split())[:120]}); save its state_dict alone with torch.save"
        ) from error
    built = perf_counter() - start
    trainer = build_trainer(config, model)
    trainer.data_fingerprint = data_fingerprint
    processes.check_same(config.plain(), trainer.data_fingerprint, len(split.train))
    return Session(config, model, trainer, train_data, split, valid_data, test_data, built)


def prepare_data(config: Config, refit: bool | None = None) -> tuple[Dataset, Split]:
    """The data set of a run, split by its protocol.

    Args:
        refit: training part with the validation part; the option ``refit`` by default.
    """
    init_seed(config["seed"], config["reproducibility"])
    files = distributed.current().first_on_each_host(lambda: _prepare_files(config))
    with _input_errors_of_recbole(config), warnings.catch_warnings():
        # RecBole on pandas 2: deprecated, not broken (pandas 3 is excluded).
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"recbole\.")
        with read_before(frames_of(files.tables)):
            dataset = dataset_class_of(config)(config)
        files.tables.clear()  # gives the memory back
        if config.reads_vectors and not config.is_multitask:
            dataset.modalities = read_modalities(dataset)
        check_loaded(dataset, config, files)
        for note in config.notes:
            getLogger().info(note)
        getLogger().info(dataset)
        split = build_split(dataset, config)
        if config["refit"] if refit is None else refit:
            split = with_validation(split)
        if config.reads_vectors or config.is_multitask:
            _impute(dataset, split, config["imputation"])
        return dataset, split


def _impute(dataset: Any, split: Split, method: str) -> None:
    """Stand-ins for missing vectors, from the training rows."""
    modalities = impute(dataset.modalities, method, split.train)
    for part in (dataset, split.train, split.valid, split.test):
        part.modalities = modalities


def _prepare_files(config: Config) -> AtomicFiles:
    if config["dataset"] in PREPARABLE:
        prepare(config["dataset"], Path(config["data_path"]).parent)
    return check_atomic_files(config)


@contextmanager
def _input_errors_of_recbole(config: Config) -> Iterator[None]:
    """What RecBole says of data and options it cannot use, as one line that names the data set."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{config['data_path']}: RecBole cannot prepare this data set ({reason}); check its files and the options "
            f"that name its fields, filters and split"
        ) from error


def _check_evaluation(config: Config, dataset: Dataset, valid_data: EvaluationData) -> None:
    """Refuse, before any training, metrics that the parts cannot give."""
    items = dataset.item_num - 1
    if config["metrics"] and max(config["topk"]) > items:
        raise InputError(f"option 'topk': {max(config['topk'])}, but only {items} items can be ranked; lower it")
    for task, held_out in valid_data.labels.items():
        targets, chosen = held_out.targets, config["valid_metric"]
        if chosen in config["metrics_of"][task] and not ((targets == 1).any(0) & (targets == 0).any(0)).any():
            raise InputError(
                f"option 'valid_metric': {chosen}, but no label of task '{task}' is held by some of the {len(targets)} "
                f"validation movies and not by others; raise genre_valid_ratio or choose another valid_metric"
            )


def check_writable(config: Config) -> None:
    """Refuse, before any training, folders that the run could not write to.

    Raises:
        InputError: naming the option and the path.
    """
    folders = {
        "checkpoint_dir": Path(config["checkpoint_dir"]),
        "log": Path("log"),
        "log_tensorboard": Path("log_tensorboard"),
    }
    for option in ("result_file", "predictions_file"):
        if config[option]:
            folders[option] = Path(config[option]).parent
            if Path(config[option]).is_dir():
                raise InputError(f"{option}: {config[option]} is a folder; give the name of a file")
    for name, folder in folders.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise InputError(f"{name}: cannot write to {folder} ({error.strerror}); choose another place") from error


def fingerprint(dataset: Dataset, split: Split) -> str:
    """SHA-256 of what a checkpoint's weights belong to: ids, training rows, vectors, genres and who holds them out."""
    digest = hashlib.sha256()
    for id_field in (dataset.uid_field, dataset.iid_field):
        digest.update("\n".join(map(str, dataset.field2id_token[id_field])).encode())
    rows = split.train.inter_feat
    tensors = [
        rows[name] for name in (dataset.uid_field, dataset.iid_field, dataset.config["RATING_FIELD"]) if name in rows
    ]
    for task, items in split.label_items.items():
        labels = dataset.labels[task]
        digest.update("\n".join(labels.names).encode())
        tensors += [items.train, labels.targets[items.train]]
    for name, modality in getattr(dataset, "modalities", {}).items():
        digest.update(name.encode())
        tensors += [modality.values, modality.present]
    for tensor in tensors:
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()
