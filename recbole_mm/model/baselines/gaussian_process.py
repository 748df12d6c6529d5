"""Gaussian process of ratings, with kernels of identity, of who rated what, of attributes and of content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from recbole_mm.errors import InputError
from recbole_mm.model.baselines.attributes import one_hot
from recbole_mm.model.baselines.rating_regressors import RatingRegressor
from recbole_mm.model.baselines.rating_table import RatingTable
from recbole_mm.model.closed_form.gaussian_process import Variances, posterior_mean
from recbole_mm.model.closed_form.kernels import content_kernel, rated_matrix
from recbole_mm.model.content import CatalogueContent


class GaussianProcess(RatingTable):
    """y(u, m) = mu + f(u, m),  f ~ GP(0, a k_u + b k_m + c k_u k_m),  noise on top

        k_u = w1 cosine of what two users rated + w2 portion of equal attributes + (1 - w1 - w2) identity
        k_m = v1 content + v2 cosine of who rated two movies + (1 - v1 - v2) identity

    Content is the mean RBF kernel of the vectors (`content_kernel`). A movie without training ratings has no cosine
    with any other. If the cosines stood in the kernel that predicts such a movie, they would take the credit for what
    content explains of the others, and its prediction would be drawn to mu. So these movies are predicted by a second
    process, without cosines of movies: k_m = (v1 content + (1 - v1 - v2) identity) / (1 - v2).

    Args:
        config: the variances a, b, c and of the noise, the weights w and v, and ``dense_limit``.

    Raises:
        InputError: the weights of a kernel are together more than 1.
    """

    capabilities = replace(RatingRegressor.capabilities, reads_vectors=True, reads_attributes=True)

    def solve(self, users: np.ndarray, items: np.ndarray, centred: np.ndarray, dataset, config) -> np.ndarray:
        rated = rated_matrix(users, items, self.n_users, self.n_items)
        attributes = one_hot(dataset.user_feat, dataset.uid_field)
        of_users = _left_for_identity(config, "user_corating", "user_attributes")
        user_kernel = config["user_corating"] * _cosines(rated) + of_users * np.eye(self.n_users)
        if attributes:
            equal = sum((field @ field.T).toarray() for field in attributes) / len(attributes)
            user_kernel += config["user_attributes"] * equal
        else:
            user_kernel += config["user_attributes"] * np.eye(self.n_users)
        of_items, corating = _left_for_identity(config, "item_content", "item_corating"), config["item_corating"]
        own = config["item_content"] * content_kernel(CatalogueContent(dataset)) + of_items * np.eye(self.n_items)
        names = ("user_bias_variance", "item_bias_variance", "interaction_variance", "noise_variance")
        variances = Variances(*(config[name] for name in names))
        with_cosines = own + corating * _cosines(sp.csr_matrix(rated.T))
        table = posterior_mean(users, items, centred, user_kernel, with_cosines, variances)
        unrated = np.bincount(items, minlength=self.n_items) == 0
        if unrated[1:].any() and 0 < corating < 1:  # 0 is [PAD]
            alone = posterior_mean(users, items, centred, user_kernel, own / (1 - corating), variances)
            table[:, unrated] = alone[:, unrated]
        return table


def _left_for_identity(config, *names: str) -> float:
    """What the weights leave of 1.

    Raises:
        InputError: nothing, and less.
    """
    left = 1 - sum(config[name] for name in names)
    if left < -1e-9:
        raise InputError(
            f"options {' and '.join(names)} are together {1 - left:g}; as parts of one kernel they are at most 1"
        )
    return max(left, 0.0)


def _cosines(rows: sp.csr_matrix) -> np.ndarray:
    """Cosine of every two rows, [n, n]; 0 with a row of zeros, its own with itself too."""
    unit: Any = sp.diags(1 / np.sqrt(np.maximum(np.diff(rows.indptr), 1))) @ rows.astype(np.float64)
    return (unit @ unit.T).toarray()
