"""Is a row better than the best baseline, beyond chance? Paired tests on the same ratings and the same users.

Ratings are paired by (user, movie) on squared error, ranking by user on recall@k and ndcg@k; what several seeds or
folds say of one pair or user is averaged first, so that a unit counts once. Ratings of one user are not independent of
each other, so the test of RMSE is a little too sure of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """One row against the reference.

    Attributes:
        difference: mean over units of row minus reference, of squared error or of the metric.
        effect: the same in standard deviations of the paired differences (Cohen's d_z).
        p: of the paired t-test, after Holm's correction.
        units: how many pairs or users.
        verdict: better, worse or tie.
    """

    row: str
    metric: str
    reference: str
    difference: float
    effect: float
    p: float
    units: int
    verdict: str


def units(files: Sequence[Path], metric: str) -> pd.Series | None:
    """What each unit got, averaged over the files of a row's runs; None if they do not have the metric.

    Args:
        files: ``predictions_file`` of each run.
        metric: rmse (then squared errors by user and movie), or a metric of users such as ndcg@10.
    """
    parts = []
    for file in files:
        with np.load(file, allow_pickle=False) as found:
            if metric == "rmse" and "predicted" in found:
                error = (found["predicted"].astype(float) - found["rating"]) ** 2
                parts.append(pd.DataFrame({"user": found["user"], "item": found["item"], "value": error}))
            elif metric in found:
                parts.append(pd.DataFrame({"user": found["ranked_user"], "item": b"", "value": found[metric]}))
    if not parts:
        return None
    return pd.concat(parts).groupby(["user", "item"])["value"].mean()


def compare(values: Mapping[str, pd.Series], baselines: Sequence[str], metric: str) -> list[Comparison]:
    """Each row against the best of the baselines, Holm-corrected over the rows.

    Args:
        values: row -> `units` of the metric. Units that one of two rows lacks are left out of their comparison.
        baselines: rows among which the reference is taken: the one that is best on average.
    """
    known = [row for row in baselines if row in values]
    if not known:
        return []
    lower_is_better = metric == "rmse"
    sign = -1.0 if lower_is_better else 1.0
    reference = max(known, key=lambda row: sign * values[row].mean())
    found = []
    for row in values:
        if row == reference:
            continue
        pairs = pd.concat([values[row], values[reference]], axis=1, join="inner").to_numpy()
        difference = pairs[:, 0] - pairs[:, 1]
        spread = difference.std(ddof=1) if len(difference) > 1 else 0.0
        p = float(ttest_rel(pairs[:, 0], pairs[:, 1]).pvalue) if spread > 0 else 1.0
        mean = float(difference.mean()) if len(difference) else 0.0
        found.append((row, mean, mean / spread if spread > 0 else 0.0, p, len(difference)))
    corrected = holm([p for *_, p, _ in found])
    return [
        Comparison(row, metric, reference, mean, effect, p, count, _verdict(sign * mean, p))
        for (row, mean, effect, _, count), p in zip(found, corrected)
    ]


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
