"""Metric families: which metrics belong together, and which predictions they need.

A task of `recbole_mm.model.tasks` names its family. A family is evaluated from what `Evaluation` offers, so that a new
one needs no change of the trainer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from logging import getLogger
from typing import Any, Protocol

from recbole.evaluator import metric_information, metrics_dict, smaller_metrics
from torch import Tensor

from recbole_mm.evaluation.metrics import GENRE_METRICS, genre_metrics, rated_metrics, rating_metrics

RATED = "rated_ndcg"
_OF_RATINGS = ("RMSE", "MAE")


class Evaluation(Protocol):
    """What a family needs from the trainer (`recbole_mm.training.evaluation.EvaluationMixin`)."""

    model: Any
    config: Any
    device: Any

    def predict_pairs(self, predict: Callable[..., Tensor], rows: Any) -> Tensor:
        """``predict`` of each row of a part, [n], in batches."""
        ...

    def predict_ratings(self, rows: Any) -> Tensor:
        """Predicted rating of each row of a part, clipped to the scale, [n]."""
        ...

    def rank_catalogue(self, part: Any, show_progress: bool = False) -> dict[str, float]:
        """RecBole's ranking metrics of a part."""
        ...


class MetricFamily(ABC):
    """Metrics that are computed together from one kind of prediction.

    Attributes:
        name: also the name of the task that is measured by the family.
        metrics: their names, as the option ``metrics`` has them; upper and lower case are the same.
        preferred: the metric that chooses the epoch by default.
    """

    name: str
    metrics: tuple[str, ...]
    preferred: str

    def has_cutoff(self, metric: str) -> bool:
        """Whether the metric is computed at each k of the option ``topk``."""
        return False

    def results(self, metric: str, topk: Sequence[int]) -> list[str]:
        """Names under which a run computes the metric, e.g. NDCG@10."""
        return [f"{metric}@{k}" for k in topk] if self.has_cutoff(metric) else [metric]

    def owns(self, result: str) -> bool:
        """Whether a name in a result file, such as ``ndcg@10``, is of this family."""
        return result.split("@")[0].removesuffix("_random").lower() in {name.lower() for name in self.metrics}

    @abstractmethod
    def evaluate(self, run: Evaluation, part: Any, names: Sequence[str], show_progress: bool) -> dict[str, float]:
        """Values of the metrics ``names`` on a part (`recbole_mm.data.dataloader.EvaluationData`), by result name."""


class RatingFamily(MetricFamily):
    """RMSE and MAE of the predicted ratings, clipped to the scale, over all pairs of a part."""

    name, metrics, preferred = "rating", _OF_RATINGS, "RMSE"

    def evaluate(self, run: Evaluation, part: Any, names: Sequence[str], show_progress: bool) -> dict[str, float]:
        predicted = run.predict_ratings(part.rows)
        return rating_metrics(run.config, names, predicted, part.rows.inter_feat[run.config["RATING_FIELD"]])


class RankingFamily(MetricFamily):
    """RecBole's metrics of ranked lists, and `rated_ndcg` of each user's own rated movies."""

    name, preferred = "ranking", "NDCG"
    metrics = (*(metric.__name__ for metric in metrics_dict.values() if metric.__name__ not in _OF_RATINGS), RATED)

    def has_cutoff(self, metric: str) -> bool:
        needs = metric_information.get(metric.lower(), [])
        return metric == RATED or any(need in ("rec.topk", "rec.items") for need in needs)

    def evaluate(self, run: Evaluation, part: Any, names: Sequence[str], show_progress: bool) -> dict[str, float]:
        values = {} if part.ranking is None else run.rank_catalogue(part, show_progress)
        if RATED in names:
            rows, config = part.rows, run.config
            users, ratings = (rows.inter_feat[name].numpy() for name in (rows.uid_field, config["RATING_FIELD"]))
            try:
                scores = run.predict_pairs(run.model.predict, rows).double().cpu().numpy()
            except (AssertionError, NotImplementedError):
                # GRU4RecCPR and SASRecCPR rank the catalogue and score no single pair.
                getLogger().warning(f"{config['model']} scores no single pair, so {RATED} is left out")
                return values
            rated = rated_metrics(config["topk"], users, ratings, scores)
            values.update({name: round(value, config["metric_decimal_place"]) for name, value in rated.items()})
        return values


class LabelFamily(MetricFamily):
    """Metrics of movie labels, over the movies whose labels are held out in a part.

    Args:
        name: of the task.
        metrics: name -> function of targets and predicted probabilities, both [n, G].
        preferred: one of the names.
        compute: from names, targets and probabilities to values; by default each function is called alone.
    """

    def __init__(
        self,
        name: str,
        metrics: dict[str, Callable[..., float]],
        preferred: str,
        compute: Callable[..., dict[str, float]] | None = None,
    ) -> None:
        self.name, self.metrics, self.preferred = name, tuple(metrics), preferred
        self._functions, self._compute = metrics, compute

    def evaluate(self, run: Evaluation, part: Any, names: Sequence[str], show_progress: bool) -> dict[str, float]:
        held_out = part.labels[self.name]
        probability = run.model.predict_labels(self.name, held_out.items.to(run.device))
        if self._compute is not None:
            values = self._compute(names, held_out.targets, probability)
        else:
            target, predicted = held_out.targets.cpu().numpy(), probability.cpu().numpy()
            values = {name: float(self._functions[name](target, predicted)) for name in names}
        return {name: round(value, run.config["metric_decimal_place"]) for name, value in values.items()}


RATING = RatingFamily()
RANKING = RankingFamily()
GENRE = LabelFamily("genre", GENRE_METRICS, "genre_map", genre_metrics)

FAMILIES: dict[str, MetricFamily] = {family.name: family for family in (RATING, RANKING, GENRE)}
"""Families of this package. By default the first one that a run reports chooses the epoch."""


def bigger_is_better(metric: str) -> bool:
    """Whether a larger value of a metric, such as NDCG@10, is better."""
    return metric.split("@")[0].lower() not in smaller_metrics


def family_of(result: str) -> str:
    """Family of a name in a result file, such as ``ndcg@10``; for an unknown name, the text before the first '_'."""
    return next((name for name, family in FAMILIES.items() if family.owns(result)), result.split("_")[0])
