"""Hierarchical Bayesian regression: each user's own regression of ratings on content, with a prior of all users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recbole_mm.model.baselines.rating_regressors import RatingRegressor
from recbole_mm.model.baselines.rating_table import RatingTable
from recbole_mm.model.content import CatalogueContent


class HierarchicalRegression(RatingTable):
    """y(u, m) = mu + w_u · [1, c_m] + b_m,   w_u ~ N(w, Σ),  b_m ~ N(0, τ),  noise N(0, σ²)

    c_m are principal components of the standardised vectors of all fields side by side, a missing vector being 0.
    Expectation maximisation alternates the posterior of w_u given b and of b given w_u; w, Σ, τ and σ² follow. A
    movie without training ratings has b_m = 0, a user without any w_u = w.

    Args:
        config: ``content_components`` and ``em_steps`` beside those of `RatingTable`.

    Source: Ansari, Essegaier and Kohli, "Internet Recommendation Systems", J. Marketing Research 2000; EM as in
    Bishop, "Pattern Recognition and Machine Learning", section 9.3.4.
    """

    capabilities = replace(RatingRegressor.capabilities, reads_vectors=True)

    def solve(self, users: np.ndarray, items: np.ndarray, centred: np.ndarray, dataset, config) -> np.ndarray:
        rated = np.bincount(items, minlength=self.n_items)
        given = _inputs(CatalogueContent(dataset), rated > 0, config["content_components"])  # [N, k + 1]
        rows_of = [np.flatnonzero(users == user) for user in range(self.n_users)]
        active = [user for user in range(self.n_users) if len(rows_of[user])]
        size = given.shape[1]
        prior, covariance = np.zeros(size), np.eye(size) * 0.1
        noise, tau = centred.var() + 1e-3, 0.1
        biases = np.zeros(self.n_items)
        weights = np.zeros((self.n_users, size))
        fitted, spread = np.zeros(len(centred)), np.zeros(len(centred))
        for _ in range(config["em_steps"]):
            precision = np.linalg.inv(covariance)
            total = np.zeros((size, size))
            for user in active:
                rows = rows_of[user]
                x = given[items[rows]]
                posterior = np.linalg.inv(x.T @ x / noise + precision)
                left = centred[rows] - biases[items[rows]]
                weights[user] = posterior @ (x.T @ left / noise + precision @ prior)
                fitted[rows], spread[rows] = x @ weights[user], ((x @ posterior) * x).sum(axis=1)
                total += posterior
            prior = weights[active].mean(axis=0)
            centred_weights = weights[active] - prior
            covariance = (total + centred_weights.T @ centred_weights) / len(active) + 1e-6 * np.eye(size)
            shrunk = rated + noise / tau
            biases = np.bincount(items, centred - fitted, minlength=self.n_items) / shrunk
            variance = noise / shrunk
            tau = float((biases**2 + variance)[rated > 0].mean()) + 1e-9
            left = centred - fitted - biases[items]
            noise = float((left**2 + spread + variance[items]).mean()) + 1e-6
        weights[np.setdiff1d(np.arange(self.n_users), active)] = prior
        return weights @ given.T + biases


def _inputs(content: CatalogueContent, is_trained: np.ndarray, components: int) -> np.ndarray:
    """[1, c_m], float64 [N, k + 1]; loadings come from the training movies alone."""
    values = np.hstack([field[:, :-2].double().numpy() for field in content.fields()])
    _, singular, loadings = np.linalg.svd(values[is_trained], full_matrices=False)
    loadings = loadings[:components]
    scale = max(singular[0] / np.sqrt(is_trained.sum()), 1e-12)
    return np.hstack([np.ones((len(values), 1)), values @ loadings.T / scale])
