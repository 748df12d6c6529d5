"""Checks of a checkpoint's fields: kinds and ranges, and sizes against the model; all raise `InputError`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from recbole_mm.errors import InputError
from recbole_mm.finite import is_finite

_REMEDY = "use another checkpoint, or train again"
# What the optimisers keep of each weight, beside "step": a tensor of the weight's shape.
_KEPT = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "sum", "square_avg", "grad_avg"}
_NEEDED = {
    **{name: {"step", "exp_avg", "exp_avg_sq"} for name in ("Adam", "AdamW", "SparseAdam")},
    "Adagrad": {"step", "sum"},
    "RMSprop": {"step", "square_avg"},
}


def check_fields(path: str | Path, content: Mapping[str, Any]) -> None:
    """Kinds and ranges of the fields, without a model."""
    for name in ("config", "state_dict", "other_parameter", "optimizer", "training"):
        if not isinstance(content[name], dict):
            raise _error(path, name, "is no mapping")
    for name in ("model", "dataset"):
        if not isinstance(content["config"].get(name), str):
            raise _error(path, f"config: {name}", "is no text")
    for name in ("epoch", "cur_step"):
        if type(content[name]) is not int or not -1 <= content[name] < 2**31:
            raise _error(path, name, f"is {content[name]!r}, not a count")
    score = content["best_valid_score"]
    if type(score) not in (int, float) or score != score:  # nan
        raise _error(path, "best_valid_score", f"is {score!r}, not a number")
    if not isinstance(content["data"], str):
        raise _error(path, "data", "is no text")
    if not all(isinstance(value, torch.Tensor) for value in content["state_dict"].values()):
        raise _error(path, "state_dict", "holds more than tensors")
    if not all(isinstance(key, str) for key in (*content["state_dict"], *content["config"])):
        raise _error(path, "config or state_dict", "has a name that is no text")


def check_weights(path: str | Path, model: torch.nn.Module, content: Mapping[str, Any]) -> None:
    """Weights are finite; other values are those that the model keeps."""
    parameters = {name for name, _ in model.named_parameters()}
    for name, value in content["state_dict"].items():
        if value.is_floating_point() and not (value.isfinite() if name in parameters else ~value.isnan()).all():
            raise _error(path, name, "has weights that are nan or infinite")
    unknown = set(content["other_parameter"]) - set(model.other_parameter() or {})
    if unknown:
        raise _error(path, "other_parameter", f"has unknown names ({', '.join(map(str, sorted(unknown, key=str)))})")


def check_optimizer(path: str | Path, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """The state of an optimiser has the shapes of its weights: a fused kernel writes without looking."""
    groups, wanted = state.get("param_groups"), optimizer.state_dict()["param_groups"]
    kept = state.get("state")
    if not isinstance(groups, list) or not isinstance(kept, dict) or len(groups) != len(wanted):
        raise _error(path, "optimizer", "has other groups of weights than this run")
    for group, own in zip(groups, wanted):
        if not isinstance(group, dict) or set(group) != set(own) or group["params"] != own["params"]:
            raise _error(path, "optimizer", "has other weights or options than this run")
        for name, value in own.items():
            if type(value) in (int, float) and type(group[name]) not in (int, float):
                raise _error(path, "optimizer", f"has {name} {group[name]!r}, not a number")
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbers = [number for group in wanted for number in group["params"]]
    by_number = dict(zip(numbers, weights))
    for number, values in kept.items():
        if number not in by_number or not isinstance(values, dict):
            raise _error(path, "optimizer", f"has a state of weight {number!r}, which there is not")
        if not set(values) >= _NEEDED.get(type(optimizer).__name__, set()) or not set(values) <= {"step", *_KEPT}:
            raise _error(
                path, "optimizer", f"has other values of weight {number} than {type(optimizer).__name__} keeps"
            )
        for name, value in values.items():
            if name == "momentum_buffer" and value is None:
                continue
            shape = torch.Size() if name == "step" else by_number[number].shape
            if name == "step" and type(value) in (int, float) and is_finite(value) and value >= 0:
                continue
            if not _is_plain(value) or value.shape != shape or not value.isfinite().all():
                raise _error(
                    path, "optimizer", f"has {name} of weight {number} of another shape or kind, or not finite"
                )


def check_trained(path: str | Path, weights: list[torch.Tensor], state: Mapping[str, Any]) -> None:
    """The state of the average of weights."""
    steps, trained = state.get("steps"), state.get("trained")
    if set(state) != {"steps", "trained"} or type(steps) is not int or steps < 0 or not isinstance(trained, list):
        raise _error(path, "training", "is not what this model's training keeps")
    if trained and (
        len(trained) != len(weights)
        or not all(
            _is_plain(one) and one.shape == own.shape and one.isfinite().all() for one, own in zip(trained, weights)
        )
    ):
        raise _error(path, "training", "has weights of other shapes, or not finite")


def _is_plain(value: Any) -> bool:
    """A tensor of floats with memory of its own for each number."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_meta
        and value.is_floating_point()
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )


def _error(path: str | Path, name: str, reason: str) -> InputError:
    return InputError(f"{path}: '{name}' {reason}; {_REMEDY}")
