"""Bayesian factorisation machine of the package myfm, with what the user rated and who rated the movie as inputs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import replace
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse as sp

from recbole_mm.errors import InputError
from recbole_mm.model.baselines.attributes import one_hot
from recbole_mm.model.baselines.rating_regressors import RatingRegressor
from recbole_mm.model.baselines.rating_table import RatingTable
from recbole_mm.model.closed_form.kernels import rated_matrix


class BayesianFM(RatingTable):
    """y = mu + w0 + Σ_i w_i x_i + Σ_{i<j} ⟨v_i, v_j⟩ x_i x_j, mean over samples of a Gibbs chain

    x of a pair are ids, the movies that the user rated and the users who rated the movie (each 1/√number), the
    attributes of the user and the year of the movie. Who rated what is read from the training rows only. As in the
    published model, a training pair itself stands in the two sets of its own input.

    Args:
        config: ``factors``, ``samples`` (of the chain; the first quarter is left out) and ``seed``.

    Raises:
        InputError: myfm is not installed.

    Source: Rendle, Zhang and Koren, "On the Difficulty of Evaluating Baselines", arXiv 1905.01395; Freudenthaler,
    Schmidt-Thieme and Rendle, "Bayesian Factorization Machines", 2011.
    """

    capabilities = replace(RatingRegressor.capabilities, reads_attributes=True)

    def solve(self, users: np.ndarray, items: np.ndarray, centred: np.ndarray, dataset, config) -> np.ndarray:
        myfm = import_myfm()
        rated = rated_matrix(users, items, self.n_users, self.n_items)
        of_users = [sp.eye(self.n_users), _by_root(rated), *one_hot(dataset.user_feat, dataset.uid_field)]
        years = one_hot(dataset.item_feat, dataset.iid_field, [config["year_field"]])
        of_items = [sp.eye(self.n_items), _by_root(rated.T.tocsr()), *years]
        sizes = [block.shape[1] for block in (*of_users, *of_items)]
        blocks: list[Any] = [sp.hstack(parts).tocsr() for parts in (of_users, of_items)]
        user_block, item_block = blocks
        machine = myfm.MyFMRegressor(rank=config["factors"], random_seed=config["seed"])
        chain = config["samples"]
        machine.fit(
            sp.csr_matrix((len(users), 0)),
            centred,
            X_rel=[myfm.RelationBlock(users, user_block), myfm.RelationBlock(items, item_block)],
            n_iter=chain,
            n_kept_samples=chain - chain // 4,
            group_shapes=sizes,
            callback=lambda *_: (False, None),
        )
        table, split = np.zeros((self.n_users, self.n_items)), user_block.shape[1]
        kept = machine.predictor_.samples
        for sample in kept:
            p, of_user = _collapse(user_block, sample.w[:split], sample.V[:split])
            q, of_item = _collapse(item_block, sample.w[split:], sample.V[split:])
            table += sample.w0 + of_user[:, None] + of_item + p @ q.T
        return table / len(kept)


def _collapse(block: Any, linear: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the factors [n, k] of each row, and its own part of the prediction [n]."""
    sums = block @ factors
    squares = block.multiply(block) @ (factors**2).sum(axis=1)
    return sums, block @ linear + ((sums**2).sum(axis=1) - squares) / 2


def _by_root(rows: sp.csr_matrix) -> sp.csr_matrix:
    """Rows divided by the root of the number of their elements."""
    return sp.diags(1 / np.sqrt(np.maximum(np.diff(rows.indptr), 1))) @ rows


def import_myfm() -> Any:
    """The package myfm. Its 0.4.0 asks pkg_resources for its version, which setuptools 82 and later do not have.

    Raises:
        InputError: it is not installed.
    """
    try:
        metadata.version("myfm")
    except metadata.PackageNotFoundError as error:
        raise InputError("model 'BayesianFM' is that of myfm; type: pip install 'recbole-mm[benchmark]'") from error
    if importlib.util.find_spec("pkg_resources") is not None:
        return importlib.import_module("myfm")
    stand_in: Any = ModuleType("pkg_resources")
    stand_in.DistributionNotFound = metadata.PackageNotFoundError
    stand_in.get_distribution = metadata.distribution
    sys.modules["pkg_resources"] = stand_in
    try:
        return importlib.import_module("myfm")
    finally:
        del sys.modules["pkg_resources"]
