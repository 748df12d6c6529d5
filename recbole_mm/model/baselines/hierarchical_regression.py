"""Hierarchical Bayesian regression of ratings on content, alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recbole_mm.model.baselines.rating_regressors import RatingRegressor
from recbole_mm.model.baselines.rating_table import RatingTable
from recbole_mm.model.closed_form.regression import fit_regression, principal_components
from recbole_mm.model.content import CatalogueContent


class HierarchicalRegression(RatingTable):
    """y(u, m) = mu + w_u · [1, c_m] + b_m,   w_u ~ N(w, Σ),  b_m ~ N(0, τ),  noise N(0, σ²)

    c_m are principal components of the standardised vectors of all fields side by side, a missing vector being 0; see
    `fit_regression`. A movie without training ratings has b_m = 0, a user without any w_u = w.

    Args:
        config: ``content_components`` and ``em_steps`` beside those of `RatingTable`.
    """

    capabilities = replace(RatingRegressor.capabilities, reads_vectors=True)

    def solve(self, users: np.ndarray, items: np.ndarray, centred: np.ndarray, dataset, config) -> np.ndarray:
        rated = np.bincount(items, minlength=self.n_items) > 0
        vectors = np.hstack([field[:, :-2].double().numpy() for field in CatalogueContent(dataset).fields()])
        components = vectors @ principal_components(vectors, rated, config["content_components"])
        given = np.hstack([np.ones((self.n_items, 1)), components])
        fit = fit_regression(users, items, centred, given, self.n_users, config["em_steps"])
        return fit.weights @ given.T + fit.item_bias
