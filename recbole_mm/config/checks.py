"""Checks of one run's options against each other, before any data are read; all raise `InputError`.

Each takes the `recbole_mm.config.config.Config` of the run.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recbole.utils import EvaluatorType, ModelType

from recbole_mm.errors import InputError, NotInDataError
from recbole_mm.unsafe_calls import PICKLED

# RecBole options that would silently do nothing for a model that reads its own vectors and draws no negatives.
UNUSED_BY_OURS = (
    "train_neg_sample_args",
    "alias_of_item_id",
    "transform",
    "enable_amp",
    "enable_scaler",
    "threshold",
)


# Options that name a checkpoint from which a model starts.
PRETRAINED = ("pre_model_path", "warm_up", "mf_pretrain_path", "mlp_pretrain_path", "pretrain_path")
# Option that says whether it does: its value for a model that does not, and the options that must name a file else.
STAGES: dict[str, tuple[Any, ...]] = {
    "train_stage": ("pretrain", "pre_model_path"),
    "train_method": ("no_pretrain", "pre_model_path"),
    "phase": ("teacher_training", "warm_up"),
    "use_pretrain": (False, "mf_pretrain_path", "mlp_pretrain_path"),
}


def check_name(dataset: str) -> None:
    """The name of a data set is not a path."""
    folder = Path(dataset)
    if len(folder.parts) != 1 or folder.name != dataset:
        raise InputError(
            f"option 'dataset' is '{dataset}', but takes the name of a folder; type --dataset={folder.name} "
            f"--data_path={folder.parent}"
        )


def check_pickled(config) -> None:
    """Options that name files of pickled Python objects, which can run code when they are read."""
    for option in PICKLED:
        if config.final_config_dict.get(option):
            raise InputError(
                f"{config.origin(option)}: option '{option}' is for files of pickled Python objects, which can run "
                f"code when they are read; leave it out (data are read from the atomic files each time)"
            )


def check_resume(config) -> None:
    """Going on by itself needs the last epoch."""
    if config.final_config_dict["resume"] == "auto" and not config.final_config_dict["save_last"]:
        raise InputError(
            "options 'resume' and 'save_last': auto goes on from the last epoch, which save_last: false does not keep; "
            "leave one of them out"
        )


def check_refit(config) -> None:
    """The second training starts from nothing, so there is nothing to go on from."""
    if config.final_config_dict["refit"] and config.final_config_dict["resume"]:
        raise InputError(
            "options 'refit' and 'resume': a refitted model is trained from its first epoch; leave one of them out"
        )


def check_mode(config) -> None:
    """Ranking metrics need candidates besides the rows."""
    modes = config.final_config_dict["eval_args"]["mode"]
    if config.final_config_dict["eval_type"] == EvaluatorType.RANKING and "labeled" in modes.values():
        raise InputError(
            "option 'eval_args': mode labeled cannot be combined with ranking metrics "
            f"({', '.join(config.final_config_dict['metrics'])}); use mode full, uni100 or pop100, or other --metrics"
        )
    if config.final_config_dict["split_by"] == "cold_item" and set(modes.values()) - {"full", "labeled"}:
        raise InputError(
            "option 'eval_args': sampled candidates would be movies that are not cold; split_by cold_item ranks "
            "the cold movies among themselves, with mode full"
        )


def check_multitask(config) -> None:
    """Refuse options of RecBole that have no effect on our models."""
    final = config.final_config_dict
    for option in UNUSED_BY_OURS:
        if config.given.get(option):
            raise InputError(
                f"{config.origin(option)}: option '{option}' has no effect on {config.model}; leave it out"
            )
    if not any(task.weight(final) for task in config.task_classes):
        names = ", ".join(f"'{task.name}_weight'" for task in config.task_classes)
        raise InputError(f"options 'tasks' and {names}: nothing would be trained; give a task a weight above 0")
    if final["learner"] == "sparse_adam":
        raise InputError(f"option 'learner': sparse_adam needs sparse gradients, {config.model} has none; use adam")


def check_modalities(config) -> None:
    """Modalities must have valid field names, each once."""
    names = config.final_config_dict["modalities"]
    if not names and not config.is_multitask:
        raise NotInDataError(
            f"option 'modalities' is [], but {config.model} learns from vectors; name fields of the data set, "
            f"each with a "
            f"file <dataset>.<name>, or take another model"
        )
    wrong = [name for name in names if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name))]
    if wrong or len(set(names)) < len(names):
        raise InputError(
            f"option 'modalities' is {names}, but takes different names of letters, digits and '_', "
            f"each with a file <dataset>.<name>"
        )


def check_wandb(config) -> None:
    """The logger of Weights and Biases is a package that this one does not require."""
    if config.final_config_dict["log_wandb"] and find_spec("wandb") is None:
        raise InputError(
            f"{config.origin('log_wandb')}: option 'log_wandb' needs the package wandb, which is not installed; type: "
            f"pip install wandb"
        )


def check_pretrained(config) -> None:
    """The file of an earlier stage must be there, where the options say that the run starts from one."""
    final = config.final_config_dict
    for option in PRETRAINED:
        path = final.get(option)
        if path and not Path(path).is_file():
            raise InputError(f"option '{option}': there is no file {path}; name the checkpoint of an earlier run")
    for switch, (first, *options) in STAGES.items():
        for option in options:
            if option in final and final.get(switch, first) not in (first, f"actor_{first}") and not final[option]:
                raise InputError(
                    f"option '{switch}' is {final[switch]}, which starts from the weights of an earlier run; name its "
                    f"checkpoint with --{option}=saved/….pt, or leave '{switch}' out to start with {first}"
                )


def check_labels(config) -> None:
    """Labels and ratings must reach the model as they are in the file."""
    final = config.final_config_dict
    negatives = final["train_neg_sample_args"]
    samples = negatives is not None and str(negatives["distribution"]).lower() != "none"
    if samples and final["LABEL_FIELD"] == final["RATING_FIELD"]:
        raise InputError(
            f"option 'LABEL_FIELD' is the rating field '{final['RATING_FIELD']}', which sampled negatives "
            f"overwrite with 0 and 1; set train_neg_sample_args: ~ or another LABEL_FIELD"
        )
    if final["threshold"] and final["LABEL_FIELD"] == final["RATING_FIELD"]:
        raise InputError("option 'threshold' turns the ratings into 0 and 1, which this run learns; leave it out")
    normalized = final["normalize_all"] or final["RATING_FIELD"] in (final["normalize_field"] or [])
    if config.predicts_ratings and normalized:
        raise InputError(
            "options 'normalize_all' and 'normalize_field' scale the ratings to 0..1, and RMSE with them; "
            f"leave the field '{final['RATING_FIELD']}' out"
        )


def check_split(config) -> None:
    """The split must leave rows to train on, and the model must be able to predict for its test movies."""
    final = config.final_config_dict
    if final["split_by"] == "file_fold" and final["test_fold"] is None:
        raise InputError("option 'test_fold' is ~, but split_by is file_fold; set test_fold to 1, 2, 3, 4 or 5")
    for part in ("cold", "genre"):
        test, valid = f"{part}_test_ratio", f"{part}_valid_ratio"
        if final[test] + final[valid] >= 1:
            raise InputError(f"options '{test}' and '{valid}' leave nothing to train on; make their sum less than 1")
    by_ratings = config.model_class.type in (ModelType.GENERAL, ModelType.TRADITIONAL)
    if final["split_by"] == "cold_item" and by_ratings and not (config.predicts_ratings or config.reads_vectors):
        raise InputError(
            f"protocol '{final['protocol']}': {config.model} knows a movie by its training ratings alone, and a cold "
            f"movie has none; use MMFS, MMSP, MMASP, VBPR, KernelRidge, ContentKNN, or a model of features such as FM "
            f"or DeepFM"
        )
    if final["benchmark_filename"] and final["split_by"] != "recbole":
        raise InputError(
            f"option 'benchmark_filename' has its own split, which contradicts split_by {final['split_by']}; use "
            f"--protocol=ranking or leave benchmark_filename out"
        )
    _check_three_parts(final)
    scale = final["rating_scale"]
    if scale is not None and not (len(scale) == 2 and all(map(_is_number, scale)) and scale[0] < scale[1]):
        raise InputError(f"option 'rating_scale' is {scale}, but takes [lowest, highest], e.g. [1, 5]")


def _check_three_parts(final: dict[str, Any]) -> None:
    """A run trains on one part, chooses its epoch on another and tests on a third.

    Where there are two, at random, some of the training rows become the validation part (`recbole_mm.data.splits`).
    """
    files = final["benchmark_filename"]
    if files and len(files) not in (2, 3):
        raise InputError(
            f"option 'benchmark_filename' is {files}, but takes three files, of training, validation and test: [train, "
            f"valid, test]; or two, [train, test], and some of the training rows are the validation part"
        )
    if files or final["split_by"] != "recbole":
        return
    for way, parts in (final["eval_args"]["split"] or {}).items():
        if way == "LS" and parts != "valid_and_test":
            raise InputError(
                f"option 'eval_args': split LS is {parts}, but a run needs a validation part too; set LS: "
                f"valid_and_test"
            )
        # Rows in the order of time: random validation rows would be newer than some training rows.
        sizes = (2, 3) if way == "RS" and final["eval_args"]["order"] == "RO" else (3,)
        if (
            way in ("RS", "TS")
            and isinstance(parts, list)
            and not (all(map(_is_number, parts)) and all(part > 0 for part in parts) and len(parts) in sizes)
        ):
            raise InputError(
                f"option 'eval_args': split {way} is {parts}, but takes the ratios of three parts, of training, "
                f"validation and test, e.g. [0.8, 0.1, 0.1]"
            )
        if way == "TS" and final["eval_args"]["order"] != "TO":
            raise InputError("option 'eval_args': split TS needs rows in the order of time; add order: TO")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
