"""The options of a run of a model, and the values that they take.

Options of this package are in the table of `recbole_mm.config.options`. RecBole's options are in its argument lists and
its property files; a few more are only in its code. Their kinds follow the defaults; where the default does not tell
the kind (``~``), it is in `TYPES` here. A model that is not in the table has its options in its property file; their
kinds follow the defaults too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import recbole
from recbole.utils import ModelType
from recbole.utils.argument_list import (
    dataset_arguments,
    evaluation_arguments,
    general_arguments,
    training_arguments,
)

from recbole_mm.config.declared import declared_options, model_with_options
from recbole_mm.config.options.option import ABOVE_0, AT_LEAST_0, AT_LEAST_1, FROM_0_BELOW_1, Option, Range, kind_of
from recbole_mm.config.options.table import FORMER_NAMES, find_option, relative
from recbole_mm.config.sources import CONFIG_DICT, Given, parse_value, read_packaged
from recbole_mm.errors import InputError, nearest
from recbole_mm.finite import shown
from recbole_mm.resources import resource_dir

RECBOLE_PROPERTIES = Path(recbole.__file__).parent / "properties"

# Read by RecBole's code (data/, evaluator/, trainer/) but in none of its lists or property files.
UNLISTED = (
    *("encoding", "tail_ratio", "full", "token_num_threshold", "convert_token_to_onehot"),
    # data/transform.py, for the option 'transform'
    *("mask_ratio", "ft_ratio", "eta", "beta", "MASK_INDEX", "MASK_ITEM_SEQ", "POS_ITEMS", "NEG_ITEMS"),
    *("CROP_ITEM_SEQ", "CROP_ITEM_SEQ_LEN", "REORDER_ITEM_SEQ", "INVERSE_ITEM_SEQ"),
)
# The same for single models.
UNLISTED_OF_MODEL = {
    "AutoInt": ("has_residual",),
    "DiffRec": ("norm",),
    "FEARec": ("contrast", "sim", "tau", "use_filter"),
    "HRM": ("reg_weight",),
    # Options of the teacher network; the prefix is taken off and they reach it as options of its own.
    "KD_DAGFM": ("cin", "feature_num", "t_depth", "t_cin"),
    "LightGBM": ("lgb_early_stopping_rounds",),
    "XGBoost": ("xgb_early_stopping_rounds",),
}
OF_CONTEXT_MODELS = ("embedding_size", "double_tower")

# Set by the program from other options, so a value from the user would be overwritten.
DERIVED = {
    "device": "use_gpu or gpu_id",
    "MODEL_TYPE": "model",
    "MODEL_INPUT_TYPE": "model",
    "eval_type": "metrics",
    "metrics_of": "metrics",
    "single_spec": "nproc",
    "local_rank": "nproc",
    **dict.fromkeys(("world_size", "group_offset", "offset"), "nproc, or start several hosts with torchrun"),
    **dict.fromkeys(("ip", "port"), "the address in torchrun's own options, --rdzv-endpoint"),
    "valid_neg_sample_args": "eval_args",
    "test_neg_sample_args": "eval_args",
}
# Names of RecBole before 1.1.
RENAMED = {
    "neg_sampling": "train_neg_sample_args",
    "training_neg_sample_num": "train_neg_sample_args",
    "training_neg_sample_distribution": "train_neg_sample_args",
    "eval_neg_sample_args": "eval_args",
    "eval_setting": "eval_args",
    "group_by_user": "eval_args",
    "split_ratio": "eval_args",
}

# From here on RecBole's options only; ours are in config/options.
# Names of the kinds: bool, int, number, str, list, dict, none. Only where the default does not tell.
TYPES = {
    "alias_of_entity_id": "str list none",
    "alias_of_item_id": "str list none",
    "alias_of_relation_id": "str list none",
    "alias_of_user_id": "str list none",
    "additional_feat_suffix": "list none",
    "benchmark_filename": "list none",
    "clip_grad_norm": "dict none",
    "config_file": "str list none",
    "config_files": "str list none",
    "dataloaders_save_path": "str none",
    "dataset_save_path": "str none",
    "discretization": "dict none",
    "encoding": "str none",
    "entity_kg_num_interval": "str none",
    "item_inter_num_interval": "str none",
    "load_col": "dict none",
    "normalize_all": "bool none",
    "normalize_field": "list none",
    "numerical_features": "list none",
    "preload_weight": "dict none",
    "relation_kg_num_interval": "str none",
    "rm_dup_inter": "str none",
    "seq_len": "dict none",
    "tail_ratio": "number none",
    "threshold": "dict none",
    "train_neg_sample_args": "dict none",
    "transform": "str none",
    "unload_col": "dict none",
    "unused_col": "dict none",
    "user_inter_num_interval": "str none",
    "val_interval": "dict none",
}
# Fields by atomic file.
COLUMNS = ("load_col", "unload_col", "unused_col")
SCALAR_FOR_LIST = ("additional_feat_suffix", "metrics", "topk")
CHOICES = {
    "learner": ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam"),
    "state": ("debug", "info", "warning", "error", "critical"),
}
# Parts of mappings.
NESTED = {
    "eval_args": ("split", "group_by", "order", "mode"),
    "eval_args.split": ("RS", "LS", "TS"),
    "eval_args.mode": ("valid", "test"),
    "train_neg_sample_args": ("distribution", "sample_num", "alpha", "dynamic", "candidate_num"),
}
RANGES: dict[str, Range] = {
    "dropout_prob": FROM_0_BELOW_1,
    "embedding_size": AT_LEAST_1,
    "epochs": AT_LEAST_0,
    "eval_step": AT_LEAST_0,
    "learning_rate": ABOVE_0,
    "metric_decimal_place": AT_LEAST_0,
    "seed": Range("from 0 to 4294967295", lambda x: 0 <= x < 2**32),
    "stopping_step": AT_LEAST_0,
    "topk": AT_LEAST_1,
    "train_batch_size": AT_LEAST_1,
    "weight_decay": AT_LEAST_0,
    "worker": AT_LEAST_0,
}
_NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "number": "a number",
    "str": "text",
    "list": "a list",
    "dict": "a mapping",
    "none": "~",
}


def model_property_file(folder: Path, model: str) -> Path | None:
    """``<folder>/<model>.yaml``; RecBole has lower-case files for XGBoost and LightGBM, and does not find them."""
    for name in (model, model.lower()):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    return None


class Schema:
    """Options of one model under this package: their defaults, kinds and ranges.

    Args:
        model: its name.
        model_type: its RecBole type.
        model_class: its class, which may declare options.
    """

    def __init__(self, model: str, model_type: ModelType, model_class: type | None = None) -> None:
        self.model = model
        base = model_with_options(model, model_class)
        recbole_files = [RECBOLE_PROPERTIES / "overall.yaml", RECBOLE_PROPERTIES / "dataset" / "sample.yaml"]
        listed = [*general_arguments, *training_arguments, *evaluation_arguments, *dataset_arguments]
        self.defaults: dict[str, Any] = dict.fromkeys([*listed, *UNLISTED, "model", "dataset", "config_files"])
        for path in [*recbole_files, resource_dir("properties") / "overall.yaml"]:
            self.defaults.update(read_packaged(path))
        for path in sorted((RECBOLE_PROPERTIES / "quick_start_config").glob("*.yaml")):
            self.defaults = {**read_packaged(path), **self.defaults}
        self._of_model: set[str] = set(UNLISTED_OF_MODEL.get(model, ()))
        if model_type == ModelType.CONTEXT:
            self._of_model.update(OF_CONTEXT_MODELS)
        own = dict.fromkeys(self._of_model)
        for folder in (RECBOLE_PROPERTIES / "model", resource_dir("properties") / "model"):
            path = model_property_file(folder, base)
            if path:
                values = read_packaged(path)
                own.update(values)
                if folder.is_relative_to(RECBOLE_PROPERTIES):
                    # RecBole writes some of its models' fractions as whole numbers (dropout_prob: 0).
                    self._of_model.update(values)
        self.defaults.update({**own, **declared_options(model_class)})

    def __contains__(self, option: str) -> bool:
        return option in self.defaults or (self.model == "KD_DAGFM" and option.startswith("t_"))

    def check(self, given: dict[str, Given]) -> dict[str, Any]:
        """Values of the given options, typed.

        Raises:
            InputError: an option is unknown (the message names the nearest one) or its value does not fit.
        """
        for option, one in given.items():
            if option in DERIVED:
                raise InputError(f"{one.origin}: option '{option}' is set by the program; set {DERIVED[option]}")
            if option in RENAMED:
                raise InputError(f"{one.origin}: option '{option}' is now part of '{RENAMED[option]}'")
            if option not in self and option in FORMER_NAMES:
                raise InputError(f"{one.origin}: option '{option}' is now called '{FORMER_NAMES[option]}'")
            if option not in self:
                owners = models_with_option(option)
                hint = f" It belongs to {', '.join(owners)}." if owners else nearest(option, self.defaults)
                raise InputError(f"{one.origin}: unknown option {option!r} for model {self.model}.{hint}")
        return {option: self._typed(option, one) for option, one in given.items()}

    def check_dataset(self, given: dict[str, Given]) -> dict[str, Any]:
        """`check` of the options that a data set's own file sets, without options of other models."""
        return self.check({key: one for key, one in given.items() if key in self or not models_with_option(key)})

    def kinds(self, option: str) -> set[str]:
        """Kinds of value that the option takes; empty if any kind is allowed."""
        if ours := find_option(option, self.model):
            return set(ours.all_kinds)
        if option in TYPES:
            return set(TYPES[option].split())
        default = self.defaults.get(option)
        if default is None:
            ours = self._ours(option)
            return set(ours.kinds) if ours else set()
        kind = kind_of(default)
        return {"number"} if kind == "int" and option in self._of_model else {kind}

    def _ours(self, option: str) -> Option | None:
        """The option in the table: of this model, or of another one if this model is not in the table."""
        return find_option(option, self.model) or (None if option in self._of_model else relative(option))

    def _typed(self, option: str, given: Given) -> Any:
        value, kinds = given.value, self.kinds(option)
        if option in ("model", "dataset"):
            if isinstance(value, type):
                return value
            kinds = {"str"}
        if "str" in kinds and given.text is not None and kind_of(value) not in kinds:
            value = given.text  # typed '2020' where a name is needed
        if isinstance(value, str) and given.origin == CONFIG_DICT and kinds and "str" not in kinds:
            value = parse_value(value)  # a tuner passes numbers and lists as text
        ours = self._ours(option)
        one_for_list = option in SCALAR_FOR_LIST or (ours is not None and ours.items is not None)
        if one_for_list and isinstance(value, (str, int, float)) and not isinstance(value, bool):
            value = [value]
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        elif isinstance(value, np.generic):
            value = value.item()
        _check_size(option, value, given.origin)
        kind = kind_of(value)
        if kinds and kind not in kinds and not (kind == "int" and "number" in kinds):
            expected = " or ".join(_NAMES[name] for name in _NAMES if name in kinds)
            raise InputError(f"{given.origin}: option '{option}' is {value!r}, but takes {expected}")
        self._check_items(option, value, given.origin)
        self._check_range(option, value, given.origin)
        return value

    def _check_items(self, option: str, value: Any, origin: str) -> None:
        _check_parts(option, value, origin)
        if option == "eval_args":
            _check_eval_args(value, origin)
        if option in COLUMNS:
            _check_columns(option, value, origin)
        ours, default = self._ours(option), self.defaults.get(option)
        if not isinstance(value, list):
            return
        if ours and ours.items:
            kind = ours.items
        elif isinstance(default, list) and default:
            kind = kind_of(default[0])
        else:
            return
        wanted = "number" if kind == "int" and option != "topk" else kind
        for item in value:
            if kind_of(item) != wanted and not (wanted == "number" and kind_of(item) == "int"):
                raise InputError(
                    f"{origin}: option '{option}' has the item {item!r}, but each must be {_NAMES[wanted]}"
                )

    def _check_range(self, option: str, value: Any, origin: str) -> None:
        ours = self._ours(option)
        choices = ours.choices if ours else CHOICES.get(option)
        if choices and str(value).lower() not in choices:
            raise InputError(
                f"{origin}: option '{option}' is '{value}', but takes one of {', '.join(choices)}."
                f"{nearest(str(value), choices)}"
            )
        allowed = (ours.range if ours else None) or RANGES.get(option)
        if allowed:
            for number in value if isinstance(value, list) else [value]:
                if kind_of(number) in ("int", "number") and not allowed.contains(number):
                    raise InputError(f"{origin}: option '{option}' is {number}, but must be {allowed.text}")


def _check_size(option: str, value: Any, origin: str) -> None:
    """Refuse whole numbers of more than 64 bits, which neither numpy nor a float takes, at any depth."""
    if isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            _check_size(option, part, origin)
    elif kind_of(value) == "int" and not -(2**63) <= value < 2**63:
        raise InputError(f"{origin}: option '{option}' is {shown(value)}, but must be a number below 2^63")


def _check_parts(option: str, value: Any, origin: str) -> None:
    """Refuse unknown keys of the mappings in `NESTED`."""
    if not isinstance(value, dict) or option not in NESTED:
        return
    parts = NESTED[option]
    for part, inner in value.items():
        if part not in parts:
            hint = nearest(str(part), parts)
            raise InputError(f"{origin}: option '{option}' has no part '{part}'.{hint} Parts: {', '.join(parts)}")
        _check_parts(f"{option}.{part}", inner, origin)


def _check_columns(option: str, value: Any, origin: str) -> None:
    """Fields by file; RecBole would read the text "user_id, item_id" letter by letter."""
    for file, fields in (value or {}).items():
        if fields is None or (fields == "*" and option == "load_col"):
            continue
        if isinstance(fields, str):
            names = [name for name in re.split(r"[,\s\[\]]+", fields) if name]
            raise InputError(
                f"{origin}: option '{option}': '{file}' is the text '{fields}', but takes a list; write "
                f"{file}: [{', '.join(names)}]"
            )
        if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
            raise InputError(
                f"{origin}: option '{option}': '{file}' is {fields!r}, but takes a list of names of fields, such as "
                f"[user_id, item_id]"
            )


def _check_eval_args(value: dict[str, Any], origin: str) -> None:
    mode = value.get("mode", "full")
    for text in mode.values() if isinstance(mode, dict) else [mode]:
        if not re.fullmatch(r"full|labeled|(uni|pop)[1-9]\d*", str(text)):
            raise InputError(f"{origin}: option 'eval_args': mode '{text}' is not full, labeled, uniN or popN (uni100)")
    for part, choices in (("order", ("RO", "TO")), ("group_by", ("user", "none", None))):
        if part in value and value[part] not in choices:
            names = ", ".join(choice for choice in choices if choice)
            raise InputError(f"{origin}: option 'eval_args': {part} '{value[part]}' is not one of {names}")


def models_with_option(option: str) -> list[str]:
    """Names of the models whose own property file has the option (at most five, sorted)."""
    names: Iterable[str] = (
        path.stem
        for folder in (RECBOLE_PROPERTIES / "model", resource_dir("properties") / "model")
        for path in folder.glob("*.yaml")
        if option in read_packaged(path)
    )
    names = sorted(set(names))
    return names if len(names) <= 5 else [*names[:5], "others"]
