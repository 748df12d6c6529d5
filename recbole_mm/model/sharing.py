"""Copies of modules that share their tensors, so that a part can be replaced without touching the first module."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_Module = TypeVar("_Module", bound=nn.Module)


def shared_copy(module: _Module) -> _Module:
    """A module with the same tensors and submodules; replacing one of them in the copy does not change ``module``."""
    other = copy.copy(module)
    for name in ("_parameters", "_buffers", "_modules"):
        other.__dict__[name] = dict(module.__dict__[name])
    return other


def with_zero_rows(parameter: Tensor, rows: int) -> nn.Parameter:
    """A constant parameter with ``rows`` more rows of zeros: [N, …] -> [N + rows, …]."""
    padding = [0, 0] * (parameter.ndim - 1) + [0, rows]
    return nn.Parameter(F.pad(parameter.detach(), padding), requires_grad=False)


def without_rows(parameter: Tensor, rows: int) -> nn.Parameter:
    """A constant parameter of ``rows`` zeros, on the device and of the type of ``parameter`` [U, …]."""
    return nn.Parameter(torch.zeros(rows, *parameter.shape[1:]).to(parameter), requires_grad=False)
