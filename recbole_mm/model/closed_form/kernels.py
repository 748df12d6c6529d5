"""Kernels between movies and between users, as dense matrices. Shapes: N movies, U users ([PAD] included)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recbole_mm.errors import InputError
from recbole_mm.model.content import CatalogueContent


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


def content_kernel(content: CatalogueContent, form: str = "rbf") -> np.ndarray:
    """Mean over the modalities of a kernel of the standardised vectors, [N, N]; 0 where one of the two is missing.

    Args:
        form: ``rbf``, exp(-‖x - y‖² / 2) of vectors divided by the root of their length, so that the mean squared
            distance is about 2; or ``cosine``.
    """
    kernels = []
    for field in content.fields():
        values, present = field[:, :-2].double().numpy(), field[:, -2].double().numpy()
        if form == "rbf":
            values = values / np.sqrt(values.shape[1])
            squares = (values**2).sum(axis=1)
            kernel = np.exp(-np.maximum(squares[:, None] + squares - 2 * values @ values.T, 0) / 2)
        else:
            values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
            kernel = values @ values.T
        kernels.append(kernel * np.outer(present, present))
    return np.mean(kernels, axis=0)


def rated_matrix(users: np.ndarray, items: np.ndarray, user_num: int, item_num: int) -> csr_matrix:
    """Who rated what, 0/1 [U, N]; a pair may stand twice."""
    rated = csr_matrix((np.ones(len(users)), (users, items)), shape=(user_num, item_num))
    rated.data[:] = 1.0
    return rated
