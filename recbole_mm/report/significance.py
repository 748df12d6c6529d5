"""Is a row significantly better than the best baseline? Paired tests on the same ratings and the same users.

A unit is a (user, movie) pair with its squared error, or a user with recall@k or ndcg@k. Values of one unit from
several seeds or folds are averaged first, so each unit counts once. Ratings of one user are not independent, so the
p values of RMSE are a little too small.
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
        effect: difference divided by the standard deviation of the paired differences (Cohen's d_z).
        p: of the paired t-test, after Holm's correction.
        units: number of pairs or users.
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
    """The value of each unit, averaged over the files of a row's runs; None if the files do not have the metric.

    Args:
        files: ``predictions_file`` of each run.
        metric: rmse (squared errors by user and movie), or a metric by user such as ndcg@10.
    """
    parts = []
    for file in files:
        with np.load(file, allow_pickle=False) as arrays:
            if metric == "rmse" and "predicted" in arrays:
                error = (arrays["predicted"].astype(float) - arrays["rating"]) ** 2
                parts.append(pd.DataFrame({"user": arrays["user"], "item": arrays["item"], "value": error}))
            elif metric in arrays:
                parts.append(pd.DataFrame({"user": arrays["ranked_user"], "item": b"", "value": arrays[metric]}))
    if not parts:
        return None
    return pd.concat(parts).groupby(["user", "item"])["value"].mean()


def compare(values: Mapping[str, pd.Series], baselines: Sequence[str], metric: str) -> list[Comparison]:
    """Each row against the best of the baselines, Holm-corrected over the rows.

    Args:
        values: row -> `units` of the metric. A comparison uses only units that both rows have.
        baselines: candidates for the reference, which is the candidate with the best mean.
    """
    candidates = [row for row in baselines if row in values]
    if not candidates:
        return []
    sign = -1.0 if metric == "rmse" else 1.0  # lower is better, or higher is better
    reference = max(candidates, key=lambda row: sign * values[row].mean())
    tested = []
    for row in values:
        if row == reference:
            continue
        pairs = pd.concat([values[row], values[reference]], axis=1, join="inner").to_numpy()
        difference = pairs[:, 0] - pairs[:, 1]
        deviation = difference.std(ddof=1) if len(difference) > 1 else 0.0
        p = float(ttest_rel(pairs[:, 0], pairs[:, 1]).pvalue) if deviation > 0 else 1.0
        mean = float(difference.mean()) if len(difference) else 0.0
        tested.append((row, mean, mean / deviation if deviation > 0 else 0.0, p, len(difference)))
    corrected = holm([p for *_, p, _ in tested])
    return [
        Comparison(row, metric, reference, mean, effect, p, n_units, _verdict(sign * mean, p))
        for (row, mean, effect, _, n_units), p in zip(tested, corrected)
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
