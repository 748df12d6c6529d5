"""Kernels between movies and between users, as dense matrices. Shapes: N movies, U users ([PAD] included)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_mm.errors import InputError
from recbole_mm.model.content import CatalogueContent, ContentVectors


def check_size(number: int, limit: int, model: str) -> None:
    """Refuse a matrix of ``number`` x ``number`` elements above the limit.

    Raises:
        InputError: with the option that raises the limit.
    """
    if number > limit:
        raise InputError(
            f"model '{model}' takes a dense matrix of {number:,} x {number:,} ({4e-9 * number**2:.1f} GB), above the "
            f"limit of {limit:,}; raise the option dense_limit if the memory is there, or take another model"
        )


def rbf_kernel(left: Sequence[ContentVectors], right: Sequence[ContentVectors]) -> Tensor:
    """Mean over the modalities of exp(-‖x - y‖² / 2d), [n, m]; a modality that one of the two lacks counts as 0.

    x and y are standardised vectors of length d, so that the mean squared distance is about 2d.

    Args:
        left, right: for each modality the vectors of n and of m movies, at least one modality.
    """
    total = left[0].values.new_zeros(len(left[0].values), len(right[0].values))
    for mine, theirs in zip(left, right):
        x, y = (side.values * side.values.shape[1] ** -0.5 for side in (mine, theirs))
        squares = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)
        kernel = torch.addmm(squares, x, y.T, alpha=-2).clamp_(min=0).mul_(-0.5).exp_()
        total += kernel * mine.present[:, None] * theirs.present
    return total / len(left)


def content_kernel(content: CatalogueContent, form: str = "rbf") -> np.ndarray:
    """Mean over the modalities of a kernel of the standardised vectors, [N, N]; 0 where one of the two is missing.

    Args:
        form: ``rbf`` (`rbf_kernel`) or ``cosine``.
    """
    fields = [ContentVectors(field[:, :-2].double(), field[:, -2].bool()) for field in content.fields()]
    if form == "rbf":
        return rbf_kernel(fields, fields).numpy()
    kernels = []
    for field in fields:
        values = field.values.numpy() / np.maximum(np.linalg.norm(field.values.numpy(), axis=1, keepdims=True), 1e-12)
        kernels.append(values @ values.T * np.outer(field.present, field.present))
    return np.mean(kernels, axis=0)


def rated_matrix(users: np.ndarray, items: np.ndarray, user_num: int, item_num: int) -> csr_matrix:
    """Who rated what, 0/1 [U, N]; a pair may stand twice."""
    rated = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(user_num, item_num))
    rated.data[:] = 1.0
    return rated
