"""Is a row significantly better than the best baseline? Tests and intervals over users.

Ratings of one user are not independent, so the unit is a user with all their ratings: users are what the tests count
and what the intervals draw. What is compared is the number of the table: the mean over runs (seeds and folds) of RMSE,
recall@k or ndcg@k.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from recbole_mm.files import read_arrays

LEVEL = 0.05
PAIRED = ("rmse", "recall@10", "ndcg@10")
"""Metrics that are tested."""
DRAWS = 2000
"""Draws of users for an interval."""
SEED = 2026
# Elements of a matrix draws x users that is in memory at once.
BLOCK = 4_000_000


class UserTotals(NamedTuple):
    """What each user adds to a metric of one run: the metric is f(Σ totals / Σ counts).

    Attributes:
        users: their tokens, bytes [n], each once.
        totals: float64 [n]. Of rmse the sum of the user's squared errors, and f is the root; else the user's metric.
        counts: integer [n]. Of rmse the number of the user's ratings, else 1.
    """

    users: np.ndarray
    totals: np.ndarray
    counts: np.ndarray


RunKey = tuple[str, int]
"""Protocol and seed."""


@dataclass(frozen=True)
class Comparison:
    """One row against the reference.

    Attributes:
        difference: of the metric, row minus reference, each the mean over runs.
        low, high: ends of its 95 % interval, by drawing users.
        effect: difference divided by its standard deviation from user to user (Cohen's d_z of paired differences).
        p: of a paired t-test over users, after Holm's correction over the rows.
        units: number of users.
        verdict: better, worse or tie, by p.
    """

    row: str
    metric: str
    reference: str
    difference: float
    low: float
    high: float
    effect: float
    p: float
    units: int
    verdict: str


def user_totals(predictions: Path) -> dict[str, dict[str, UserTotals]]:
    """Line of the run -> metric -> what each user adds to it; a run of one line calls it "".

    Args:
        predictions: ``predictions_file`` of a run. The arrays of a line are named LINE/user, LINE/rating and so on.
    """
    arrays = read_arrays(predictions)
    found: dict[str, dict[str, UserTotals]] = {}
    for name in arrays:
        line, _, own = name.rpartition("/")
        start = f"{line}/" if line else ""
        if own == "predicted":
            users, place = np.unique(arrays[f"{start}user"], return_inverse=True)
            error = (arrays[name].astype(float) - arrays[f"{start}rating"]) ** 2
            totals = UserTotals(users, np.bincount(place, error), np.bincount(place))
            found.setdefault(line, {})["rmse"] = totals
        elif own in PAIRED:
            users = arrays[f"{start}ranked_user"]
            found.setdefault(line, {})[own] = UserTotals(users, arrays[name].astype(float), np.ones(len(users), int))
    return found


def compare(rows: Mapping[str, Mapping[RunKey, UserTotals]], baselines: Sequence[str], metric: str) -> list[Comparison]:
    """Each row against the best of the baselines, Holm-corrected over the rows.

    The t-test is that of the difference's influence function, clustered by user: for a metric that is a mean over
    users it is the paired t-test. The interval has the 2.5 and 97.5 % quantiles of `DRAWS` draws of users with
    replacement; the draws have a fixed seed.

    Source: Liang and Zeger, Biometrika 1986, for the variance by clusters; Efron and Tibshirani, "An Introduction to
    the Bootstrap", 1993, chapter 13; Cohen, "Statistical Power Analysis", 1988, for d_z.

    Args:
        rows: row -> run -> what each user adds. A comparison uses only users of whom both rows have the same number
            of ratings in a run. A row with a number that is not finite has no place in the table, and is left out.
        baselines: candidates for the reference, which is the candidate with the best number.
    """
    rows = {row: runs for row, runs in rows.items() if all(np.isfinite(run.totals).all() for run in runs.values())}
    candidates = [row for row in baselines if row in rows]
    if not candidates:
        return []
    sign = -1.0 if metric == "rmse" else 1.0  # lower is better, or higher is better
    means = {row: _Totals.of(rows[row], list(rows[row]), None).value(metric) for row in candidates}
    reference = max(candidates, key=lambda row: sign * means[row])
    users = np.unique(np.concatenate([run.users for runs in rows.values() for run in runs.values()]))
    pairs = {row: _Pair.of(rows[row], rows[reference], users) for row in rows if row != reference}
    drawn: dict[str, list[np.ndarray]] = {row: [] for row in pairs}
    for weights in _weights(len(users)):
        for row, pair in pairs.items():
            drawn[row].append(pair.difference(metric, weights))
    tested = []
    for row, pair in pairs.items():
        low, high = np.quantile(np.concatenate(drawn[row]), [0.025, 0.975]) if pair.runs else (0.0, 0.0)
        tested.append((row, float(low), float(high), *pair.test(metric)))
    corrected = holm([one[-2] for one in tested])
    return [
        Comparison(row, metric, reference, mean, low, high, effect, p, units, _verdict(sign * mean, p))
        for (row, low, high, mean, effect, _, units), p in zip(tested, corrected)
    ]


class _Totals(NamedTuple):
    """Totals and counts of all users, [U, runs] each."""

    totals: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, runs: Mapping[RunKey, UserTotals], keys: Sequence[RunKey], users: np.ndarray | None) -> _Totals:
        """Users are rows, those of ``users`` (sorted) or of the runs themselves."""
        if users is None:
            users = np.unique(np.concatenate([runs[key].users for key in keys]))
        found = cls(np.zeros((len(users), len(keys))), np.zeros((len(users), len(keys))))
        for column, key in enumerate(keys):
            place = np.searchsorted(users, runs[key].users)
            found.totals[place, column], found.counts[place, column] = runs[key].totals, runs[key].counts
        return found

    def value(self, metric: str, weights: np.ndarray | None = None) -> np.ndarray:
        """The metric, mean over runs; with ``weights`` [draws, U] of each draw."""
        weights = np.ones((1, len(self.totals))) if weights is None else weights
        mean = (weights @ self.totals) / np.maximum(weights @ self.counts, 1e-12)
        found = (np.sqrt(mean) if metric == "rmse" else mean).mean(axis=1)
        return found

    def influence(self, metric: str) -> np.ndarray:
        """What each user moves the metric by, [U], to the first order."""
        number = np.maximum(self.counts.sum(axis=0), 1e-12)
        mean = self.totals.sum(axis=0) / number
        slope = 0.5 / np.sqrt(np.maximum(mean, 1e-12)) if metric == "rmse" else np.ones_like(mean)
        return (slope * (self.totals - mean * self.counts) / number).mean(axis=1)


class _Pair(NamedTuple):
    """Two rows on the same users and runs."""

    row: _Totals
    reference: _Totals
    runs: int

    @classmethod
    def of(cls, row: Mapping[RunKey, UserTotals], reference: Mapping[RunKey, UserTotals], users: np.ndarray) -> _Pair:
        keys = [key for key in row if key in reference]
        mine, theirs = _Totals.of(row, keys, users), _Totals.of(reference, keys, users)
        differs = mine.counts != theirs.counts
        for side in (mine, theirs):
            side.totals[differs] = side.counts[differs] = 0.0
        return cls(mine, theirs, len(keys))

    def difference(self, metric: str, weights: np.ndarray | None = None) -> np.ndarray:
        return self.row.value(metric, weights) - self.reference.value(metric, weights)

    def test(self, metric: str) -> tuple[float, float, float, int]:
        """Difference, effect, p and number of users."""
        units = int(self.row.counts.any(axis=1).sum())
        if units == 0:
            return 0.0, 0.0, 1.0, 0
        difference = float(self.difference(metric)[0])
        influence = self.row.influence(metric) - self.reference.influence(metric)
        variance = units / max(units - 1, 1) * float(influence @ influence)
        if units < 2 or variance < 1e-24:
            return difference, 0.0, 1.0, units
        t = difference / np.sqrt(variance)
        return difference, float(t / np.sqrt(units)), float(2 * stats.t.sf(abs(t), units - 1)), units


def _weights(users: int) -> Iterator[np.ndarray]:
    """How often each user is drawn, [draws, U], a block of draws at a time, `DRAWS` in all."""
    random = np.random.default_rng(SEED)
    step = max(1, min(DRAWS, BLOCK // max(users, 1)))
    for start in range(0, DRAWS, step):
        size = min(step, DRAWS - start)
        yield random.multinomial(users, np.full(users, 1 / users), size=size).astype(float)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm, Scandinavian Journal of Statistics 1979)."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _verdict(gain: float, p: float) -> str:
    if p >= LEVEL:
        return "tie"
    return "better" if gain > 0 else "worse"
