"""Which metrics a run reports: the names asked for, by family."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from recbole_mm.errors import InputError, nearest
from recbole_mm.evaluation.families import RANKING, RATED, MetricFamily


@dataclass(frozen=True)
class MetricRequest:
    """Metrics of a run by family.

    Attributes:
        families: all families of the model, by name; the first with a metric chooses the epoch.
        metrics: family -> canonical names of its requested metrics; families without any are left out.
        explicit: the user asked for them. Then a metric that the model cannot report is an error; a protocol's metric
            is dropped.
        origin: where the user asked.
    """

    families: Mapping[str, MetricFamily]
    metrics: dict[str, list[str]]
    explicit: bool = False
    origin: str = "metrics"

    @classmethod
    def split(
        cls, names: Sequence[str], families: Mapping[str, MetricFamily], explicit: bool = False, origin: str = "metrics"
    ) -> MetricRequest:
        """Families of the named metrics (upper and lower case are the same).

        Raises:
            InputError: a name is unknown, or none is given.
        """
        if not names:
            raise InputError(f"{origin}: option 'metrics' is empty; name at least one metric")
        canonical = {name.lower(): (family, name) for family, one in families.items() for name in one.metrics}
        asked: dict[str, list[str]] = {family: [] for family in families}
        for lower, name in {name.lower(): name for name in names}.items():
            if lower not in canonical:
                every = [metric for _, metric in canonical.values()]
                raise InputError(
                    f"{origin}: metric '{name}' is unknown.{nearest(name, every)} Metrics: {', '.join(every)}"
                )
            family, metric = canonical[lower]
            asked[family].append(metric)
        return cls(families, {family: found for family, found in asked.items() if found}, explicit, origin)

    def restrict(
        self, reported: Collection[str], possible: Collection[str], reasons: Mapping[str, str], has_ratings: bool
    ) -> MetricRequest:
        """Without the families that the run does not report.

        Args:
            reported: families that are reported without being asked for.
            possible: families that the model can be asked for.
            reasons: family -> why the run cannot report it.
            has_ratings: whether the parts have several ratings of a user, which ``rated_ndcg`` orders.

        Raises:
            InputError: the user asked for a metric of a family that is not possible.
        """
        if not self.explicit:
            kept = {family: found for family, found in self.metrics.items() if family in reported}
        else:
            kept = dict(self.metrics)
            for family, found in kept.items():
                if family not in possible:
                    reason = reasons.get(family, "no task of this run is measured by it")
                    raise InputError(f"{self.origin}: metric {', '.join(found)}: {reason}")
        if RATED in kept.get(RANKING.name, []) and not has_ratings:
            if self.explicit:
                raise InputError(
                    f"{self.origin}: metric {RATED}: needs ratings, several of each user in a part, and this run "
                    f"reads none (option eval_args: split LS leaves one)"
                )
            kept[RANKING.name] = [name for name in kept[RANKING.name] if name != RATED]
        return replace(self, metrics={family: found for family, found in kept.items() if found})

    @property
    def empty(self) -> bool:
        return not self.metrics

    @property
    def of_recbole(self) -> list[str]:
        """The metrics that RecBole's evaluator computes."""
        return [name for name in self.metrics.get(RANKING.name, []) if name != RATED]

    def default_valid_metric(self, topk: Sequence[int]) -> str:
        """The preferred metric of the first family that is reported, at k = 10 (or the first k of ``topk``)."""
        name = next(name for name in self.families if name in self.metrics)
        family, names = self.families[name], self.metrics[name]
        metric = family.preferred if family.preferred in names else names[0]
        return f"{metric}@{10 if 10 in topk else topk[0]}" if family.has_cutoff(metric) else metric

    def check_valid_metric(self, name: str, topk: Sequence[int]) -> str:
        """The metric that chooses the epoch, in its canonical spelling.

        Raises:
            InputError: the run does not compute it.
        """
        computed = [
            result
            for family, names in self.metrics.items()
            for metric in names
            for result in self.families[family].results(metric, topk)
        ]
        for result in computed:
            if result.lower() == name.lower().replace(" ", ""):
                return result
        raise InputError(
            f"option 'valid_metric' is '{name}', which this run does not compute.{nearest(name, computed)} "
            f"It computes {', '.join(computed)} (options metrics and topk)"
        )
