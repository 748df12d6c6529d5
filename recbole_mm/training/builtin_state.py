"""What a built-in model of RecBole changes while it trains, beyond the weights that its checkpoint holds.

MultiVAE counts its steps to anneal a loss, DiffRec keeps a history of losses: plain attributes, which ``state_dict``
leaves out. Without them a resumed training would go on otherwise than one that was never stopped.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recbole_mm.errors import InputError

_NUMBERS = (bool, int, float)


class StateOutsideWeights:
    """Numbers, tensors and arrays that a model has from its construction on and that training changes.

    A value that a model sets for the first time in training is a cache: it is computed anew and is left out.

    Args:
        model: as constructed, before any training.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        held_elsewhere = set(model.other_parameter() or {}) if hasattr(model, "other_parameter") else set()
        self._at_start = {
            name: (value, _mark(value)) for name, value in _attributes(model) if name not in held_elsewhere
        }

    def changed(self) -> dict[str, Any]:
        """Present values of the attributes that are not as they were, by name (``module.attribute``)."""
        found = {}
        for name, (value, mark) in self._at_start.items():
            now = self._get(name)
            if not _fits(now, value):  # a batch's own numbers, for which the model had a placeholder
                continue
            rebound = now is not value and _kind(now) not in _NUMBERS
            if rebound or _mark(now) != mark:
                found[name] = now.detach() if isinstance(now, Tensor) else now
        return found

    def check(self, path: str, kept: Any) -> None:
        """Refuse values that this model cannot take.

        Raises:
            InputError: an unknown attribute, or a value of another kind or shape.
        """
        if not isinstance(kept, Mapping):
            raise InputError(f"{path}: 'training' is not what this model's training keeps; train again")
        for name, value in kept.items():
            now = self._get(name) if name in self._at_start else None
            if not _fits(value, now):
                raise InputError(
                    f"{path}: 'training' holds {name!r} of a kind or shape that this model does not keep; use another "
                    f"checkpoint, or train again"
                )

    def put(self, kept: Mapping[str, Any]) -> None:
        """Inverse of `changed`."""
        for name, value in kept.items():
            now = self._get(name)
            module, _, attribute = name.rpartition(".")
            value = value.to(now.device) if isinstance(now, Tensor) else value
            setattr(self._model.get_submodule(module), attribute, value)

    def _get(self, name: str) -> Any:
        module, _, attribute = name.rpartition(".")
        return getattr(self._model.get_submodule(module), attribute, None)


def _attributes(model: nn.Module) -> Iterator[tuple[str, Any]]:
    for prefix, module in model.named_modules():
        for attribute, value in vars(module).items():
            if _kind(value) and attribute != "training" and not attribute.startswith("_"):
                yield f"{prefix}.{attribute}".lstrip("."), value


def _kind(value: Any) -> type | None:
    """One of the kinds that a checkpoint may hold, else None."""
    if type(value) in _NUMBERS:
        return type(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return np.ndarray
    return Tensor if isinstance(value, Tensor) else None


def _mark(value: Any) -> Any:
    """Differs when the value has changed in place (a tensor's version says so)."""
    if isinstance(value, Tensor):
        return value._version
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
    return value


def _fits(value: Any, now: Any) -> bool:
    if _kind(now) is None or _kind(value) is not _kind(now):
        return False
    if isinstance(now, Tensor):
        same = value.shape == now.shape and value.dtype == now.dtype and value.layout == now.layout
        return same and not (value.layout == torch.strided and value.is_floating_point() and value.isnan().any())
    if isinstance(now, np.ndarray):
        return value.shape == now.shape and value.dtype == now.dtype
    return not isinstance(value, float) or math.isfinite(value)
