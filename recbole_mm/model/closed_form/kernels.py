"""Kernels between movies and between users, as dense matrices. Shapes: N movies, U users ([PAD] included)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.errors import InputError
from recbole_mm.model.content import CatalogueContent, ContentVectors
from recbole_mm.model.sharing import shared_copy

LANDMARKS = 2000
"""Most movies for which a regression in closed form takes a dense kernel."""


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


class Landmarks(nn.Module):
    """Movies L whose kernel towards all others stands for the whole kernel (the Nyström form), with their vectors.

    They are all of ``movies`` where these are at most ``limit``, else that many of them, drawn with a fixed seed.

    Args:
        content: vectors of all N movies by modality.
        movies: ids of the movies that a regression is fitted on.
        limit: most landmarks.

    Attributes:
        ids: of the landmarks, ascending.
    """

    def __init__(self, content: Sequence[ContentVectors], movies: Tensor, item_num: int, limit: int) -> None:
        super().__init__()
        self.ids = movies.sort().values
        if len(movies) > limit:
            order = torch.randperm(len(movies), generator=torch.Generator().manual_seed(0))
            self.ids = self.ids[order[:limit].sort().values]
        self._modalities, self._limit = len(content), limit
        for k, field in enumerate(content):
            self.register_buffer(f"values_{k}", field.values[self.ids], persistent=False)
            self.register_buffer(f"present_{k}", field.present[self.ids], persistent=False)
        self._pad(item_num)

    def __len__(self) -> int:
        """Rows of `fields`, which depend on N alone: what is left are landmarks without vectors."""
        return len(self.get_buffer("values_0"))

    def fields(self) -> list[ContentVectors]:
        """Their vectors by modality."""
        names = range(self._modalities)
        return [ContentVectors(self.get_buffer(f"values_{k}"), self.get_buffer(f"present_{k}")) for k in names]

    def for_catalogue(self, item_num: int) -> Landmarks:
        """The same for a catalogue with more movies at its end."""
        larger = shared_copy(self)
        larger._pad(item_num)
        return larger

    def _pad(self, item_num: int) -> None:
        more = min(item_num, self._limit) - len(self)
        for k, field in enumerate(self.fields()):
            setattr(self, f"values_{k}", F.pad(field.values, (0, 0, 0, more)))
            setattr(self, f"present_{k}", F.pad(field.present, (0, more)))


def ridge_weights(towards: Tensor, among: Tensor | None, penalty: float, targets: Tensor | None = None) -> Tensor:
    """Weights of the landmarks in a kernel ridge regression, [L, G]; a prediction is a kernel towards them times these.

        (K + κI)⁻¹ Y                                  all n movies are landmarks
        (K_Ln K_nL + κ K_LL)⁻¹ K_Ln Y                 the Nyström form, whose cost is linear in n

    Source: Saunders, Gammerman and Vovk, "Ridge Regression Learning Algorithm in Dual Variables", ICML 1998; Smola and
    Bartlett, "Sparse Greedy Gaussian Process Regression", NIPS 2000, for the second form.

    Args:
        towards: K of the n movies and the landmarks, float64 [n, L].
        among: K of the landmarks, [L, L]; None: they are the n movies.
        penalty: κ.
        targets: Y, [n, G]; None: the identity.
    """
    if among is None:
        factor = torch.linalg.cholesky(towards + penalty * torch.eye(len(towards), dtype=towards.dtype))
        return torch.cholesky_inverse(factor) if targets is None else torch.cholesky_solve(targets, factor)
    inner = towards.T @ towards + penalty * among
    inner.diagonal().add_(1e-6 * inner.diagonal().mean())
    return torch.linalg.solve(inner, towards.T if targets is None else towards.T @ targets)
