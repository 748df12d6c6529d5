"""Which metrics a run reports: the requested names, split into the three families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recbole.evaluator import metric_information, metrics_dict, smaller_metrics

from recbole_mm.config.sources import Given
from recbole_mm.errors import InputError, nearest
from recbole_mm.evaluation.metrics import GENRE_METRICS, RATED_METRICS

RATING_METRICS = ("RMSE", "MAE")


@dataclass(frozen=True)
class MetricRequest:
    """Metrics of a run by family.

    Attributes:
        rating: 'RMSE', 'MAE'.
        ranking: everything of RecBole's that is evaluated by RecBole, also its value metrics AUC and LogLoss.
        genre: names of `GENRE_METRICS`.
        rated: names of `RATED_METRICS`.
        explicit: the user asked for them (a protocol's metrics a model cannot do are dropped; a user's are an error).
        origin: where the user asked.
    """

    rating: list[str]
    ranking: list[str]
    genre: list[str]
    rated: list[str]
    explicit: bool = False
    origin: str = ""

    @classmethod
    def split(cls, names: Sequence[str], given: Given | None) -> MetricRequest:
        """Families of the named metrics (upper and lower case are the same).

        Raises:
            InputError: a name is unknown, or none is given.
        """
        origin = given.origin if given else "metrics"
        if not names:
            raise InputError(f"{origin}: option 'metrics' is empty; name at least one metric")
        of_recbole = {name.lower(): metric.__name__ for name, metric in metrics_dict.items()}
        families: tuple[list[str], ...] = ([], [], [], [])
        for lower, name in {name.lower(): name for name in names}.items():
            if lower in GENRE_METRICS:
                families[2].append(lower)
            elif lower in RATED_METRICS:
                families[3].append(lower)
            elif lower not in of_recbole:
                known = [*of_recbole.values(), *GENRE_METRICS, *RATED_METRICS]
                raise InputError(
                    f"{origin}: metric '{name}' is unknown.{nearest(name, known)} Metrics: {', '.join(known)}"
                )
            else:
                families[0 if of_recbole[lower] in RATING_METRICS else 1].append(of_recbole[lower])
        return cls(*families, explicit=given is not None, origin=origin)

    def restrict(self, model: str, predicts_ratings: bool, predicts_genres: bool) -> MetricRequest:
        """Without the families the model cannot do.

        Raises:
            InputError: the user asked for such a metric.
        """
        request = self
        if self.rating and not predicts_ratings:
            self._refuse(self.rating, f"{model} predicts no ratings; use --builtin_task=rating or a model that does")
            request = replace(request, rating=[])
        if self.genre and not predicts_genres:
            self._refuse(self.genre, f"{model} predicts no genres; use MMFS, MMSP or MMASP")
            request = replace(request, genre=[])
        return request

    def _refuse(self, names: list[str], reason: str) -> None:
        if self.explicit:
            raise InputError(f"{self.origin}: metric {', '.join(names)}: {reason}")

    @property
    def empty(self) -> bool:
        return not (self.rating or self.ranking or self.genre or self.rated)

    def default_valid_metric(self, topk: Sequence[int]) -> str:
        """RMSE where ratings are predicted, else NDCG, else the first metric requested."""
        if self.rating:
            return "RMSE" if "RMSE" in self.rating else self.rating[0]
        names = ["NDCG"] if "NDCG" in self.ranking else [*self.ranking, *self.genre, *self.rated]
        return f"{names[0]}@{10 if 10 in topk else topk[0]}" if _has_cutoff(names[0]) else names[0]

    def check_valid_metric(self, name: str, topk: Sequence[int]) -> str:
        """The metric that chooses the epoch, in its canonical spelling.

        Raises:
            InputError: it is not among those the run computes.
        """
        requested = [*self.rating, *self.genre]
        for metric in [*self.ranking, *self.rated]:
            requested += [f"{metric}@{k}" for k in topk] if _has_cutoff(metric) else [metric]
        for metric in requested:
            if metric.lower() == name.lower().replace(" ", ""):
                return metric
        raise InputError(
            f"option 'valid_metric' is '{name}', which this run does not compute.{nearest(name, requested)} "
            f"It computes {', '.join(requested)} (options metrics and topk)"
        )

    @staticmethod
    def bigger_is_better(valid_metric: str) -> bool:
        """Whether a larger value is the better one."""
        return valid_metric.split("@")[0].lower() not in smaller_metrics


def _has_cutoff(metric: str) -> bool:
    """Whether the metric is computed at each k of topk."""
    if metric in RATED_METRICS:
        return True
    needs = metric_information.get(metric.lower(), [])
    return any(need in ("rec.topk", "rec.items") for need in needs)
