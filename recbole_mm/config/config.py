"""Config: RecBole's options and ours, all checked by name, and the metrics of one run.

RecBole's own Config ignores an option it does not know, evaluates strings as Python, reads ``sys.argv`` wherever it is
built, and refuses RMSE beside Recall. This one does none of that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.utils import EvaluatorType, ModelType

from recbole_mm.config import processes
from recbole_mm.config.builtin import GRAPH_FILES, quick_start_files, task_options, with_split_field
from recbole_mm.config.checks import (
    check_labels,
    check_modalities,
    check_mode,
    check_multitask,
    check_name,
    check_pickled,
    check_pretrained,
    check_refit,
    check_resume,
    check_split,
    check_wandb,
)
from recbole_mm.config.declared import declared_options, model_with_options
from recbole_mm.config.metrics import reported_families, requested_metrics, split_metrics
from recbole_mm.config.plain import PlainValues
from recbole_mm.config.schema import RECBOLE_PROPERTIES, Schema, model_property_file
from recbole_mm.config.sources import (
    FILE_OPTIONS,
    Given,
    dataset_options,
    given_options,
    read_packaged,
)
from recbole_mm.config.tasks import check_fields, choose_tasks, default_columns, reads_field
from recbole_mm.errors import InputError, nearest
from recbole_mm.evaluation.families import bigger_is_better
from recbole_mm.model.baselines.vector_fields import VectorFields
from recbole_mm.model.capabilities import capabilities_of
from recbole_mm.model.registry import get_model
from recbole_mm.model.tasks.base import Task
from recbole_mm.resources import resource_dir

# They say which run it is and where it runs; a file beside the data cannot set that.
_NOT_OF_A_DATASET = ("model", "dataset", "data_path", *FILE_OPTIONS, "resume", "evaluate", *processes.OPTIONS)


class Config(PlainValues, RecBoleConfig):
    """Options of one run.

    The file ``<data_path>/<dataset>/<dataset>.yaml`` is read too, if there is one. It is stronger than the files of
    this package and weaker than the arguments. A protocol among the arguments sets its own split and metrics.

    Args:
        model, dataset: names (the model may be a class); taken from the options when None.
        config_file_list: yaml files; a later file is stronger. Looked for from the current folder, then under the
            package's properties/.
        config_dict: options by name.
        arguments: a command line, each item ``--option=value``; the strongest source. ``sys.argv`` is never read.

    Attributes:
        model_class: class of the model in this run.
        capabilities: what the model can do and needs.
        task_classes: tasks that a multitask model learns in this run; empty for any other model.
        notes: lines for the log, which is opened later.
        reads_ratings: the run reads the rating field.
        orders_ratings: the parts have several ratings of a user, which can be ordered.
        given: options that the user set, typed.

    Raises:
        InputError: an unknown option, a value of the wrong type or out of range, options that contradict each other,
            or a malformed source. The message names the source and the nearest valid name.
    """

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: Sequence[str | Path] | None = None,
        config_dict: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._given = given_options(config_file_list, config_dict, arguments)
        self._of_dataset: dict[str, Given] = {}  # its name follows from the options
        self._init_parameters_category()
        self.external_config_dict = {
            key: _name_in(self._given, key) for key in ("model", "dataset") if key in self._given
        }
        for name, value in (("model", model), ("dataset", dataset)):
            option = self.external_config_dict.get(name)
            if value is None and not option:
                raise InputError(f"no {name} given; add --{name}=…")
            if None not in (value, option) and option not in (value, getattr(value, "__name__", value)):
                raise InputError(f"{self.origin(name)}: {name} is {option}, but this run is of {value}")
        self.dataset = dataset or self.external_config_dict["dataset"]
        self._of_dataset = self._read_dataset_file()
        overall = read_packaged(resource_dir("properties") / "overall.yaml")
        self._protocol = self._read_protocol(overall["protocol"])
        self.model, self.model_class, self.dataset = self._get_model_and_dataset(model, dataset)
        check_name(self.dataset)
        self.capabilities = capabilities_of(self.model_class)
        self.schema = Schema(self.model, self.model_class.type, self.model_class)
        self.given: dict[str, Any] = self.schema.check(self._given)
        self.external_config_dict = self.given
        self._load_internal_config_dict(self.model, self.model_class, self.dataset)
        self.final_config_dict = self._get_final_config_dict()
        self._set_default_parameters()
        self._init_device()
        self._as_input_error(self._set_train_neg_sample_args)
        for phase in ("valid", "test"):
            self._as_input_error(self._set_eval_neg_sample_args, phase)

    # ------------------------------------------------------------------ sources

    def _init_parameters_category(self) -> None:
        super()._init_parameters_category()
        # Copies, because RecBole's lists are global and reading a dataset's yaml appends to them.
        self.parameters = {category: list(options) for category, options in self.parameters.items()}
        listed = {option for options in self.parameters.values() for option in options}
        ours = read_packaged(resource_dir("properties") / "overall.yaml")
        self.parameters["Multimodal"] = [option for option in ours if option not in listed]

    def _build_yaml_loader(self) -> None:
        raise NotImplementedError("config.sources reads yaml; RecBole's way changes yaml.FullLoader for everyone")

    def _read_dataset_file(self) -> dict[str, Given]:
        if self.dataset == "ml-100k" and "data_path" not in self._given:
            return {}  # RecBole's own copy, inside its package
        default = Given(read_packaged(RECBOLE_PROPERTIES / "overall.yaml")["data_path"], "RecBole")
        return dataset_options(self._given.get("data_path", default), self.dataset, _NOT_OF_A_DATASET)

    def _set_by_user(self, option: str) -> Given | None:
        """The option as the user set it, else as the data set's file sets it."""
        return self._given.get(option, self._of_dataset.get(option))

    def _read_protocol(self, default: str) -> dict[str, Any]:
        one = self._set_by_user("protocol") or Given(default, "overall.yaml")
        folder = resource_dir("properties") / "protocol"
        names = sorted(path.stem for path in folder.glob("*.yaml"))
        if one.value not in names:
            raise InputError(
                f"{one.origin}: protocol '{one.value}' is unknown.{nearest(str(one.value), names)} "
                f"Protocols: {', '.join(names)}"
            )
        protocol = {"protocol": one.value, **read_packaged(folder / f"{one.value}.yaml")}
        if "protocol" in self._given:
            self._of_dataset = {key: own for key, own in self._of_dataset.items() if key not in protocol}
        return protocol

    def _get_model_and_dataset(self, model: str | type | None, dataset: str | None) -> tuple[str, type, str]:
        model = self.external_config_dict["model"] if model is None else model
        dataset = self.external_config_dict["dataset"] if dataset is None else dataset
        if isinstance(model, type):
            return model.__name__, model, dataset
        task = self._set_by_user("builtin_task")
        return model, get_model(model, task.value if task else self._protocol["builtin_task"]), dataset

    def _load_internal_config_dict(self, model: str, model_class: type, dataset: str) -> None:
        """The property files, weakest first; the user's options are not in here."""
        ours, kind = resource_dir("properties"), model_class.type
        base = model_with_options(model, model_class)
        files = [
            RECBOLE_PROPERTIES / "overall.yaml",
            model_property_file(RECBOLE_PROPERTIES / "model", base),
            RECBOLE_PROPERTIES / "dataset" / "sample.yaml",
            RECBOLE_PROPERTIES / "dataset" / f"{dataset}.yaml",
            *(RECBOLE_PROPERTIES / "quick_start_config" / name for name in quick_start_files(model, kind)),
            ours / "overall.yaml",
            model_property_file(ours / "model", base),
            ours / "dataset" / f"{dataset}.yaml",
        ]
        if self.capabilities.is_rating_form:
            files.append(ours / "rating.yaml")
        options: dict[str, Any] = {}
        for path in files:
            if path is None or not path.is_file():
                continue
            read = {key: value for key, value in read_packaged(path).items() if key in self.schema}
            if path.name == "sample.yaml":
                read.pop("load_col", None)  # user and item alone; see below
            _add_options(options, read)
        options.update(declared_options(model_class))
        options["MODEL_TYPE"] = kind
        options.update(self._protocol_options(options))
        _add_options(options, self._dataset_options(options))
        if "load_col" not in options and "load_col" not in self.given:
            current = {**options, **self.given, "dataset": dataset}
            options["load_col"] = default_columns(current) or {
                "inter": [current["USER_ID_FIELD"], current["ITEM_ID_FIELD"]]
            }
        options.update(task_options({**options, **self.given}, self.model_class))
        self.internal_config_dict = options

    def _protocol_options(self, options: dict[str, Any]) -> dict[str, Any]:
        protocol, kind = dict(self._protocol), self.model_class.type
        if kind == ModelType.SEQUENTIAL:
            split_by = self._set_by_user("split_by")
            if (split_by.value if split_by else protocol["split_by"]) != "recbole":
                raise InputError(
                    f"protocol '{protocol['protocol']}': {self.model} is a sequential model, whose split is by time; "
                    f"use --protocol=ranking or --protocol=temporal"
                )
            if protocol["protocol"] == "ranking":
                protocol["eval_args"] = options["eval_args"]
        return protocol

    def _dataset_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options that the data set's own file sets, typed."""
        own = self.schema.check_dataset(self._of_dataset)
        if "metrics" in own:
            split_metrics(
                own["metrics"], self.capabilities, self._of_dataset["metrics"]
            )  # a wrong name is an error of the file
        if "eval_args" in own:
            own["eval_args"] = {**options["eval_args"], **own["eval_args"]}
        return own

    def _get_final_config_dict(self) -> dict[str, Any]:
        final = {**self.internal_config_dict, **self.given}
        if isinstance(self.given.get("load_col"), dict):  # columns of ratings and items leave the model its graph
            columns = self.internal_config_dict.get("load_col") or {}
            graph = {file: names for file, names in columns.items() if file in GRAPH_FILES}
            final["load_col"] = {**graph, **self.given["load_col"]}
        if isinstance(self.given.get("eval_args"), dict):
            # Part by part: --eval_args={mode: uni100} under --protocol=temporal is still a split by time.
            final["eval_args"] = {**self.internal_config_dict["eval_args"], **self.given["eval_args"]}
        if final["split_by"] == "label":
            final.update(with_split_field(final))
        return final

    # ------------------------------------------------------------------ checks and derived options

    @property
    def is_multitask(self) -> bool:
        """Whether the model learns the tasks of the option ``tasks``."""
        return bool(self.capabilities.tasks)

    @property
    def predicts_ratings(self) -> bool:
        """Whether the trained model predicts ratings."""
        return "rating" in reported_families(self.capabilities, self.task_classes)

    @property
    def trains_on_rows(self) -> bool:
        """Whether the model learns from the rows themselves, without sampled negatives."""
        return self.is_multitask or self.capabilities.predicts_ratings

    def origin(self, option: str) -> str:
        """Where the user set an option (a file, the command line), for messages."""
        return self._set_by_user(option).origin

    @property
    def reads_vectors(self) -> bool:
        """Whether the model's data need the vectors of the movies."""
        return self.capabilities.reads_vectors or bool(self.final_config_dict["vector_input"])

    def _set_default_parameters(self) -> None:
        final = self.final_config_dict
        data_path = final["data_path"]
        self._eval_args = final["eval_args"]
        self._choose_tasks()
        request = requested_metrics(
            *(self.model, self.capabilities, self.task_classes, final["metrics"], self._given.get("metrics")),
            self.orders_ratings,
        )
        if request.empty:
            raise InputError(
                f"protocol '{final['protocol']}' reports {', '.join(final['metrics'])}, and {self.model} can report "
                f"none of them; use other --metrics or another --protocol"
            )
        if final["valid_metric"] is None:
            final["valid_metric"] = request.default_valid_metric(final["topk"])
        final["valid_metric"] = request.check_valid_metric(final["valid_metric"], final["topk"])
        final["metrics"] = request.of_recbole
        if not request.of_recbole:
            # RecBole needs a metric: it gets one of its own while it sets its defaults.
            final["metrics"] = ["RMSE"]
            final["eval_args"] = {**final["eval_args"], "mode": "labeled"}
        self._as_input_error(super()._set_default_parameters)
        if request.of_recbole:
            check_mode(self)
        else:
            final.update(metrics=[], eval_type=EvaluatorType.VALUE)
        final["metrics_of"] = request.metrics
        bigger = final["valid_metric_bigger"] = bigger_is_better(final["valid_metric"])
        if self.given.get("valid_metric_bigger", bigger) != bigger:
            raise InputError(
                f"{self.origin('valid_metric_bigger')}: option 'valid_metric_bigger' is {not bigger}, but a "
                f"{'larger' if bigger else 'smaller'} {final['valid_metric']} is better; leave the option out"
            )
        if final["dataset"] == "ml-100k" and data_path != self.internal_config_dict["data_path"]:
            final["data_path"] = os.path.join(data_path, self.dataset)  # RecBole always takes its own copy
        check_pickled(self)
        check_resume(self)
        check_refit(self)
        check_pretrained(self)
        check_wandb(self)
        check_labels(self)
        check_split(self)
        processes.check_options(final, self.model, self.is_multitask)
        if self.reads_vectors:
            check_modalities(self)
        if final["vector_input"] and not issubclass(self.model_class, VectorFields):
            raise InputError(
                f"option 'vector_input' has no effect on {self.model}; it is for context models trained on ratings "
                f"(FM, DeepFM, …, with --builtin_task=rating)"
            )
        if self.is_multitask:
            check_multitask(self)

    def _choose_tasks(self) -> None:
        final, self.notes = self.final_config_dict, []
        self.task_classes: list[type[Task]] = []
        options = {**final, "dataset": self.dataset}
        # RecBole's threshold turns the ratings into labels and drops them.
        labelled = final["RATING_FIELD"] in (final["threshold"] or {})
        self.reads_ratings = not labelled and reads_field(options, "RATING_FIELD", "inter") is None
        # Where a user has one row in a part, any order of the user's rated movies is right: rated_ndcg is undefined.
        self.orders_ratings = self.reads_ratings and not _one_row_a_user(options)
        if self.is_multitask:
            self.task_classes, note = choose_tasks(self.capabilities.tasks, options, self.given)
            final["tasks"] = [task.name for task in self.task_classes]
            self.notes += [note] if note else []
        else:
            check_fields(self.model, self.capabilities, options)
            self.reads_ratings |= self.capabilities.predicts_ratings
            self.orders_ratings |= self.capabilities.predicts_ratings and not _one_row_a_user(options)

    def _as_input_error(self, function, *arguments: Any) -> None:
        try:
            function(*arguments)
        except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"options of {self.model}: {' '.join(str(error).split())}") from error

    def _init_device(self) -> None:
        final = self.final_config_dict
        gpus = final["gpu_id"]
        if isinstance(gpus, int):
            gpus = final["gpu_id"] = str(gpus)
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus
        use_gpu = final["use_gpu"] and gpus != "" and torch.cuda.is_available()
        # In several processes too: single_spec is RecBole's switch for what training.distributed does instead.
        final.update(single_spec=True, local_rank=0, device=torch.device("cuda" if use_gpu else "cpu"))

    def compatibility_settings(self) -> None:
        """Nothing: `recbole_mm.compat` has already restored numpy's old names."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.plain() == other.plain()

    __hash__ = None


def _name_in(given: Mapping[str, Given], option: str) -> str | type:
    """A name as the user gave it; a name of digits is one too."""
    one = given[option]
    if isinstance(one.value, (str, type)):
        return one.value
    if one.text is None:
        raise InputError(f"{one.origin}: option '{option}' is {one.value!r}, but takes text; put it in quotes")
    return one.text


def _add_options(options: dict[str, Any], stronger: dict[str, Any]) -> None:
    """Add a file's options to the options of weaker files."""
    if "load_col" in stronger and options.get("load_col"):
        # A dataset's files are added to those the kind of model needs (a knowledge graph, entity vectors).
        stronger = {**stronger, "load_col": {**options["load_col"], **(stronger["load_col"] or {})}}
    options.update(stronger)


def _one_row_a_user(options: Mapping[str, Any]) -> bool:
    return options["split_by"] == "recbole" and "LS" in (options["eval_args"].get("split") or {})
