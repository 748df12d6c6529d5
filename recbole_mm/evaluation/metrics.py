"""Metrics as functions; `recbole_mm.evaluation.families` says which belong together.

- rmse, mae: RecBole's classes, over all pairs of a part at once
- rated_ndcg@k: only over the movies of a part that the user rated
- genre_map, genre_macro_f1, genre_micro_f1, genre_macro_auc: scikit-learn, over the movies held out
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from recbole.evaluator import Evaluator, metrics_dict
from recbole.evaluator.collector import DataStruct
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torch import Tensor

# RecBole reports the mean over users of these metrics.
OF_USERS = ("recall", "ndcg")

# What RecBole collects of each ranked user; all else it collects is of the training part.
COLLECTED = ("rec.items", "rec.topk", "rec.meanrank")

# A genre is predicted when it is more likely than not.
GENRE_THRESHOLD = 0.5


def rating_metrics(config, names: Sequence[str], predicted: Tensor, rating: Tensor) -> dict[str, float]:
    """RMSE and MAE of all pairs together.

    Args:
        names: RMSE, MAE or both.
        predicted: clipped predictions, [n].
        rating: true ratings on the same scale, [n].
    """
    if len(rating) == 1:  # RecBole's classes take a single pair for no list; the mean of two is the same
        predicted, rating = predicted.repeat(2), rating.repeat(2)
    struct = DataStruct()
    struct.set("rec.score", predicted.double().cpu())
    struct.set("data.label", rating.double().cpu())
    result: dict[str, float] = {}
    for name in names:
        result.update(metrics_dict[name.lower()](config).calculate_metric(struct))
    return {name: float(value) for name, value in result.items()}


def rated_metrics(topk: Sequence[int], users: np.ndarray, ratings: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """How well each user's own rated movies are ordered: NDCG@k with gain 2^rating - 1, mean over users.

    Users with one movie are left out: any order is right. Movies of equal score share their places. A random order
    reaches a high value, so its average is reported too, as ``rated_ndcg@k_random``.

    Args:
        users: user of each rated pair, integer [n].
        ratings, scores: true rating and predicted score of each pair, [n].

    Source: Järvelin and Kekäläinen, ACM TOIS 2002; the gain of Burges et al., ICML 2005; ties as in McSherry and
    Najork, ECIR 2008.
    """
    _, users, counts = np.unique(users, return_inverse=True, return_counts=True)
    exponents, lowest = ratings.astype(float), 1.0
    if exponents.max(initial=0.0) > 500:  # numbers of listens: 2^rating overflows, so each user's gains are scaled
        top = np.zeros(len(counts))
        np.maximum.at(top, users, exponents)
        exponents, lowest = exponents - top[users], 2.0 ** -top[users]
    gain = 2.0**exponents - lowest
    result: dict[str, float] = {}
    for k in topk:
        ideal, reached, random = (_dcg(users, gain, by, k) for by in (ratings, scores, np.zeros(len(users))))
        several = (counts > 1) & (ideal > 0)
        for name, values in ((f"rated_ndcg@{k}", reached), (f"rated_ndcg@{k}_random", random)):
            result[name] = float((values[several] / ideal[several]).mean()) if several.any() else float("nan")
    return result


def _dcg(users: np.ndarray, gain: np.ndarray, by: np.ndarray, k: int) -> np.ndarray:
    """Discounted cumulative gain of each user's first k pairs by descending ``by``; ties get their mean gain."""
    order = np.lexsort((-by, users))
    users, gain, by = users[order], gain[order], by[order]
    starts = np.searchsorted(users, users)
    place = np.arange(len(users)) - starts
    new = np.ones(len(users), dtype=bool)
    new[1:] = (users[1:] != users[:-1]) | (by[1:] != by[:-1])
    group = np.cumsum(new) - 1
    gain = (np.bincount(group, gain) / np.bincount(group))[group]
    return np.bincount(users, np.where(place < k, gain / np.log2(place + 2), 0.0))


class UserEvaluator(Evaluator):
    """RecBole's evaluator, which also keeps the values of each user.

    Attributes:
        gather: from values of the users in this process to those of the users of all processes, in order.
        by_user: recall@k and ndcg@k of the last evaluation, each [users], in the order of the loader; empty where the
            evaluation has no list for each user.
    """

    by_user: dict[str, np.ndarray]
    gather: Callable[[Tensor], Tensor] | None = None

    def evaluate(self, dataobject: DataStruct) -> dict[str, float]:
        if self.gather is not None:
            for name in COLLECTED:
                if name in dataobject:
                    dataobject.set(name, self.gather(dataobject.get(name)))
            self.gather = None
        self.by_user = {}
        if "rec.topk" in dataobject:
            for name in OF_USERS:
                metric = metrics_dict[name](self.config)
                values = metric.metric_info(*metric.used_info(dataobject))
                self.by_user.update({f"{name}@{k}": values[:, k - 1] for k in self.config["topk"]})
        return super().evaluate(dataobject)


def genre_map(target: np.ndarray, probability: np.ndarray) -> float:
    """Mean over genres of the average precision of the movies ranked by the genre's probability."""
    return float(average_precision_score(target, probability, average="macro"))


def genre_macro_f1(target: np.ndarray, probability: np.ndarray) -> float:
    """Mean over genres of F1 at threshold 0.5."""
    return _f1(target, probability, "macro")


def genre_micro_f1(target: np.ndarray, probability: np.ndarray) -> float:
    """F1 at threshold 0.5 over all (movie, genre) decisions together."""
    return _f1(target, probability, "micro")


def _f1(target: np.ndarray, probability: np.ndarray, average: str) -> float:
    predicted = probability >= GENRE_THRESHOLD
    # The checker takes zero_division for a str, the type of its default; scikit-learn documents 0.
    return float(f1_score(target, predicted, average=average, zero_division=0))  # pyright: ignore[reportArgumentType]


def genre_macro_auc(target: np.ndarray, probability: np.ndarray) -> float:
    """Mean over genres of the area under the ROC curve."""
    return float(roc_auc_score(target, probability, average="macro"))


GENRE_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    metric.__name__: metric for metric in (genre_map, genre_macro_f1, genre_micro_f1, genre_macro_auc)
}


def genre_metrics(names: Sequence[str], target: Tensor, probability: Tensor) -> dict[str, float]:
    """Genre metrics, over the genres that some movies have and others lack; NaN if there is no such genre.

    Args:
        names: keys of `GENRE_METRICS`.
        target: 0/1, [n, G].
        probability: [n, G].
    """
    targets, probabilities = target.cpu().numpy().astype(int), probability.cpu().numpy()
    usable = (targets.any(axis=0)) & (~targets.astype(bool)).any(axis=0)
    if not usable.any():
        return dict.fromkeys(names, float("nan"))
    return {name: GENRE_METRICS[name](targets[:, usable], probabilities[:, usable]) for name in names}
