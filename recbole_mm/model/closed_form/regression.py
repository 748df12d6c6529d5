"""Hierarchical Bayesian regression: each user's own regression of ratings on content, with a prior of all users.

Shapes: N movies, U users, n training rows, k inputs of a movie, the constant 1 among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recbole_mm.data.row_groups import stable_order

# The prior is fitted on at most this number of users, so that its cost does not grow with the data.
PRIOR_USERS = 2000
# The movies' biases are fitted on at most this number of users before each user is solved, once, with them.
BIAS_USERS = 10_000
# Users whose k x k matrices are in memory at once, in each thread.
CHUNK = 128


class Prior(NamedTuple):
    """w_u ~ N(mean, precision⁻¹), b_m ~ N(0, item_variance), noise N(0, noise).

    Attributes:
        mean: float64 [k].
        precision: float64 [k, k].
    """

    mean: np.ndarray
    precision: np.ndarray
    noise: float
    item_variance: float


class Fit(NamedTuple):
    """The prior, w of every user [U, k] and b of every movie [N], float64."""

    prior: Prior
    weights: np.ndarray
    item_bias: np.ndarray


def principal_components(values: np.ndarray, is_trained: np.ndarray, components: int) -> np.ndarray:
    """Loadings that turn vectors side by side [N, D] into their first principal components, [D, at most components].

    They come from the training movies alone, and the first component has unit size over those.
    """
    if not values.shape[1] or not is_trained.any():
        return np.zeros((values.shape[1], 0))
    _, singular, loadings = np.linalg.svd(values[is_trained], full_matrices=False)
    return loadings[:components].T / max(singular[0] / np.sqrt(is_trained.sum()), 1e-12)


def fit_regression(
    users: np.ndarray, items: np.ndarray, centred: np.ndarray, inputs: np.ndarray, user_num: int, steps: int
) -> Fit:
    """y(u, m) = mu + w_u · c_m + b_m,   w_u ~ N(w, Σ),  b_m ~ N(0, τ),  noise N(0, σ²)

    Expectation maximisation alternates the posterior of w_u given b and of b given w_u; w, Σ, τ and σ² follow. Users
    without rows have w_u = w, movies without rows b_m = 0.

    Source: Ansari, Essegaier and Kohli, "Internet Recommendation Systems", J. Marketing Research 2000; EM as in
    Bishop, "Pattern Recognition and Machine Learning", section 9.3.4.

    Args:
        users, items: ids of the training rows, [n].
        centred: their ratings minus mu, [n].
        inputs: c of every movie, with the constant 1, float64 [N, k].
        steps: of expectation maximisation.
    """
    # Rows of a movie beside each other: from columns `take` would copy all movies at each call.
    rows = _Rows.of(users, items, centred, np.ascontiguousarray(inputs), user_num)
    sample = rows.sample(PRIOR_USERS)
    with _threads() as pool:
        grams = list(pool.map(sample.grams, sample.parts()))
    size = inputs.shape[1]
    prior = Prior(np.zeros(size), np.eye(size) * 10.0, float(centred.var()) + 1e-3, 0.1)
    item_bias = np.zeros(len(inputs))
    sums = sample.sums(item_bias)
    for _ in range(steps):
        weights, covariance = sample.posterior(prior, sums, grams)
        item_bias, variance = sample.item_bias(prior, weights)
        sums = sample.sums(item_bias)
        prior = sample.next_prior(prior, weights, covariance, item_bias, variance, sums, grams)
    if sample is not rows:
        # The movies' biases of more users, and then the users again: first of many, at last of all.
        for more in (rows.sample(BIAS_USERS), rows):
            weights = more.weights(prior, more.sums(item_bias))
            item_bias, _ = more.item_bias(prior, weights)
    weights[rows.counts == 0] = prior.mean
    return Fit(prior, weights, item_bias)


class _Rows(NamedTuple):
    """Training rows in the order of their users.

    Attributes:
        users, items, centred: [n].
        inputs: c, [N, k].
        counts: rows of each user, [U].
        ends: number of rows up to each user's last, [U].
    """

    users: np.ndarray
    items: np.ndarray
    centred: np.ndarray
    inputs: np.ndarray
    counts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, users: np.ndarray, items: np.ndarray, centred: np.ndarray, inputs: np.ndarray, user_num: int) -> _Rows:
        order = stable_order(users, user_num)
        counts = np.bincount(users, minlength=user_num)
        return cls(users[order], items[order], centred[order], inputs, counts, counts.cumsum())

    def sample(self, number: int) -> _Rows:
        """The rows of ``number`` users drawn at random, who are numbered anew; all rows if there are no more users."""
        chosen = np.flatnonzero(self.counts)
        if len(chosen) <= number:
            return self
        place = np.full(len(self.counts), -1)
        place[np.sort(np.random.default_rng(0).choice(chosen, number, replace=False))] = np.arange(number)
        users = place[self.users]
        kept = users >= 0
        return _Rows.of(users[kept], self.items[kept], self.centred[kept], self.inputs, number)

    def parts(self) -> list[np.ndarray]:
        """Users with rows, a few hundred at a time."""
        active = np.flatnonzero(self.counts)
        return np.split(active, range(CHUNK, len(active), CHUNK))

    def grams(self, part: np.ndarray) -> np.ndarray:
        """Σ c cᵀ over each user's movies, [len(part), k, k]."""
        grams = np.empty((len(part), self.inputs.shape[1], self.inputs.shape[1]))
        for place, user in enumerate(part):
            # Of C-ordered inputs `take` needs half the time of an index in brackets, and other threads can compute.
            x = self.inputs.take(self.items[self.ends[user] - self.counts[user] : self.ends[user]], axis=0)
            np.matmul(x.T, x, out=grams[place])
        return grams

    def sums(self, item_bias: np.ndarray) -> np.ndarray:
        """Σ c (y - b) over each user's rows, [U, k]."""
        return self._matrix(self.centred - item_bias[self.items]) @ self.inputs

    def posterior(self, prior: Prior, sums: np.ndarray, grams: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means of w_u, [U, k], and the sum of their covariances, [k, k]."""
        moments = _moments(prior, sums)
        weights, total = np.zeros_like(moments), np.zeros_like(prior.precision)

        def of_part(part: np.ndarray, gram: np.ndarray) -> np.ndarray:
            covariances = np.linalg.inv(gram / prior.noise + prior.precision)
            weights[part] = (covariances @ moments[part][:, :, None])[:, :, 0]
            return covariances.sum(axis=0)

        with _threads() as pool:
            for covariance in pool.map(of_part, self.parts(), grams):
                total += covariance
        return weights, total

    def weights(self, prior: Prior, sums: np.ndarray) -> np.ndarray:
        """Posterior means of w_u alone, [U, k]: equations are solved, no matrix is inverted."""
        moments = _moments(prior, sums)
        weights = np.zeros_like(moments)

        def of_part(part: np.ndarray) -> None:
            left = self.grams(part) / prior.noise + prior.precision
            weights[part] = np.linalg.solve(left, moments[part][:, :, None])[:, :, 0]

        with _threads() as pool:
            list(pool.map(of_part, self.parts()))
        return weights

    def _matrix(self, values: np.ndarray) -> csr_matrix:
        """The rows' values as a matrix, [U, N]; the products of a pair that is there twice are summed."""
        starts = np.concatenate([[0], self.ends])
        return csr_matrix((values, self.items, starts), (len(self.counts), len(self.inputs)), copy=False)

    def item_bias(self, prior: Prior, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and variance of b_m, [N] each."""
        shrunk = np.bincount(self.items, minlength=len(self.inputs)) + prior.noise / prior.item_variance
        # The sum over a movie's rows of w_u · c_m is (the sum of their w_u) · c_m.
        fitted = np.einsum("ij,ij->i", self._matrix(np.ones(len(self.items))).T @ weights, self.inputs)
        sums = np.bincount(self.items, self.centred, minlength=len(self.inputs)) - fitted
        return sums / shrunk, prior.noise / shrunk

    def next_prior(
        self,
        prior: Prior,
        weights: np.ndarray,
        covariance: np.ndarray,
        item_bias: np.ndarray,
        variance: np.ndarray,
        sums: np.ndarray,
        grams: list[np.ndarray],
    ) -> Prior:
        """The prior that makes the posteriors most likely."""
        active, rated = self.counts > 0, np.unique(self.items)
        # The sum over rows of cᵀ cov_u c: cov_u is the inverse of Σ c cᵀ / σ² + Σ⁻¹.
        spread = prior.noise * (active.sum() * len(prior.mean) - np.vdot(covariance, prior.precision))
        mean = weights[active].mean(axis=0)
        deviations = weights[active] - mean
        covariance = (covariance + deviations.T @ deviations) / active.sum() + 1e-6 * np.eye(len(mean))
        item_variance = float((item_bias**2 + variance)[rated].mean()) + 1e-9
        squares = self._squares(weights, item_bias, sums, grams)
        noise = float(squares + spread + variance[self.items].sum()) / len(self.items) + 1e-6
        return Prior(mean, np.linalg.inv(covariance), noise, item_variance)

    def _squares(self, weights: np.ndarray, item_bias: np.ndarray, sums: np.ndarray, grams: list[np.ndarray]) -> float:
        """Σ (y - b - w_u · c)² over rows, from each user's sums: no row has its inputs in memory."""
        left = self.centred - item_bias[self.items]
        squares = float(left @ left) - 2 * float(np.vdot(weights, sums))
        for part, gram in zip(self.parts(), grams, strict=True):
            w = weights[part]
            squares += float(np.vdot(w, (gram @ w[:, :, None])[:, :, 0]))
        return squares


def _moments(prior: Prior, sums: np.ndarray) -> np.ndarray:
    """Right sides of the equations for w_u, [U, k]."""
    return sums / prior.noise + prior.precision @ prior.mean


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has, each with one thread of BLAS: users are independent, and their matrices small.

    BLAS has one thread in the whole process meanwhile.
    """
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield pool
