"""Gaussian process of ratings over users and movies. Shapes: N movies, U users, n training rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from recbole_mm.errors import InputError


class Variances(NamedTuple):
    """How far ratings vary by each part of the kernel, and by chance."""

    user_bias: float
    item_bias: float
    interaction: float
    noise: float


def posterior_mean(
    users: np.ndarray,
    items: np.ndarray,
    centred: np.ndarray,
    user_kernel: np.ndarray,
    item_kernel: np.ndarray,
    variances: Variances,
    tolerance: float = 1e-4,
    max_steps: int = 500,
) -> np.ndarray:
    """Mean of a Gaussian process given the training rows, for every user and movie, [U, N].

    The covariance of two ratings is  a k_u(u, u') + b k_m(m, m') + c k_u(u, u') k_m(m, m'),  with noise on top. The
    system of n equations is solved by conjugate gradients. Its n x n matrix is never there: its product with a vector
    is that of a sparse users x movies matrix with the two kernels.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equation 2.25; the kernel on pairs
    is that of Stegle et al., "Efficient Inference in Matrix-Variate Gaussian Models", NIPS 2011, with main effects.

    Args:
        users, items: ids of the training rows, [n]; a pair may be there twice.
        centred: their ratings minus the mean, [n].
        user_kernel, item_kernel: float64 [U, U] and [N, N], positive semidefinite.
        tolerance: of the residual, relative to the ratings.
        max_steps: of conjugate gradients.

    Raises:
        InputError: the residual is larger after so many steps.
    """
    # Single precision halves the time; what it rounds is far below the tolerance.
    of_users, of_items = user_kernel.astype(np.float32), item_kernel.astype(np.float32)
    together = variances.interaction * of_items

    def spread(weights: np.ndarray) -> np.ndarray:
        """Covariances of every pair with the training rows, times their weights, [U, N]."""
        cells = csr_matrix((weights.astype(np.float32), (users, items)), shape=(len(of_users), len(of_items)))
        by_user, by_item = (np.asarray(cells.sum(axis=axis)).ravel() for axis in (1, 0))
        found = of_users @ (cells @ together + variances.user_bias * by_user[:, None])
        found += variances.item_bias * (of_items @ by_item)
        return found

    solved = np.zeros_like(centred)
    residual = centred.copy()
    direction, squares = residual, float(residual @ residual)
    enough = tolerance**2 * squares
    for _ in range(max_steps):
        if squares <= enough:
            break
        image = spread(direction)[users, items] + variances.noise * direction
        step = squares / float(direction @ image)
        solved += step * direction
        residual = residual - step * image
        before, squares = squares, float(residual @ residual)
        direction = residual + squares / before * direction
    if squares > enough:
        raise InputError(
            f"the Gaussian process is not solved after {max_steps} steps: its noise is too small beside its kernels; "
            f"raise noise_variance"
        )
    return spread(solved)
