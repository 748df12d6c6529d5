"""Options of a run that evaluates a checkpoint or resumes its training: which of them may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_mm.config import processes
from recbole_mm.config.config import Config
from recbole_mm.config.sources import given_options, write_arguments
from recbole_mm.errors import InputError
from recbole_mm.training.checkpoint import load_checkpoint
from recbole_mm.training.last import AUTO

RUNNING_OPTIONS = {
    *(
        "epochs",
        "pretrain_epochs",
        "save_step",
        "stopping_step",
        "eval_step",
        "learning_rate",
        "weight_decay",
        "clip_grad_norm",
    ),
    *("train_batch_size", "eval_batch_size", "worker", "gpu_id", "use_gpu", "data_path", "checkpoint_dir"),
    *("metrics", "topk", "valid_metric", "metric_decimal_place", "loss_decimal_place", "eval_args"),
    *("result_file", "predictions_file", "resume", "evaluate", "config_files", "show_progress", "state"),
    *("log_wandb", "wandb_project", "save_last", "ratings_cache"),
    *processes.OPTIONS,
}
"""Options that may change then: how a model is run. Every other option says what its weights mean."""


def read_config(
    model: str | None,
    dataset: str | None,
    files: Sequence[str] | None,
    options: dict[str, Any] | None,
    arguments: Sequence[str],
) -> Config:
    """Options of a run; if it evaluates or resumes a checkpoint, they start from those of the checkpoint.

    Args:
        model, dataset: names, or None: the options say them.
        files, options, arguments: sources of options, the later the stronger; see `Config`.

    Raises:
        InputError: `evaluate` and `resume` together, or an option that would change what the weights mean.
    """
    given = given_options(files, options, arguments)
    used = [given[name].value for name in ("evaluate", "resume") if name in given and given[name].value]
    if used == [AUTO]:  # the run of these options, wherever it was stopped
        used = []
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
    Config.from_plain(kept, source=checkpoint)  # what is wrong in it is not blamed on the options given now
    kept.update(result_file=None, predictions_file=None, evaluate=None, resume=None)
    changes = {name: one.value for name, one in given.items() if name not in ("model", "dataset")}
    if isinstance(changes.get("eval_args"), dict):
        changes["eval_args"] = {**kept["eval_args"], **changes["eval_args"]}
    for name, value in changes.items():
        known = kept.get(name)
        if name == "eval_args":  # candidates may change, rows may not
            value, known = ({**args, "mode": None} for args in (value, known))
        if name not in RUNNING_OPTIONS and value != known:
            raise InputError(
                f"{given[name].origin}: option '{name}' is {value}, but {checkpoint} was trained with {known}; leave "
                f"it out, or train again"
            )
    if "resume" in changes and changes.get("valid_metric", kept["valid_metric"]) != kept["valid_metric"]:
        raise InputError(
            f"{given['valid_metric'].origin}: option 'valid_metric' is {changes['valid_metric']}, but the best score "
            f"in {checkpoint} is a {kept['valid_metric']}; leave it out, or train again"
        )
    if "evaluate" in changes and {"topk", "metrics"} & set(changes) and "valid_metric" not in changes:
        kept["valid_metric"] = None  # nothing is chosen any more, so it need not be among the metrics
    return Config.from_plain(kept, arguments=write_arguments(changes), source=checkpoint)
