"""Which metrics a run reports, from the option ``metrics``, the model and the tasks of the run."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_mm.config.sources import Given
from recbole_mm.evaluation.families import FAMILIES, MetricFamily
from recbole_mm.evaluation.requested import MetricRequest
from recbole_mm.model.capabilities import Capabilities
from recbole_mm.model.tasks.base import Task


def known_families(capabilities: Capabilities) -> dict[str, MetricFamily]:
    """Metric families of this package and of the tasks that the model adds, by name."""
    return {**FAMILIES, **{task.family.name: task.family for task in capabilities.tasks.values()}}


def reported_families(capabilities: Capabilities, tasks: Sequence[type[Task]]) -> list[str]:
    """Names of the families that a run reports without being asked for them.

    Args:
        tasks: that a multitask model learns in the run.
    """
    if capabilities.tasks:
        return [task.family.name for task in tasks]
    return ["rating", "ranking"] if capabilities.predicts_ratings else ["ranking"]


def split_metrics(names: Sequence[str], capabilities: Capabilities, given: Given | None) -> MetricRequest:
    """Metrics by family.

    Args:
        given: the option ``metrics`` as the user set it; None if the names come from a protocol.

    Raises:
        InputError: a name is unknown, or there are no names.
    """
    origin = given.origin if given else "metrics"
    return MetricRequest.split(names, known_families(capabilities), given is not None, origin)


def requested_metrics(
    model: str,
    capabilities: Capabilities,
    tasks: Sequence[type[Task]],
    names: Sequence[str],
    given: Given | None,
    orders_ratings: bool,
) -> MetricRequest:
    """The metrics of a run. Of a protocol's metrics, those that the model does not report are left out.

    Args:
        model: its name.
        tasks: that a multitask model learns in the run.
        names: value of the option ``metrics``.
        given: the option as the user set it, else None.
        orders_ratings: whether the parts have several ratings of a user.

    Raises:
        InputError: a name is unknown, or the user asked for a metric that the run cannot report.
    """
    if given is None:  # a protocol cannot list the families that a model adds
        added = [task.family for task in tasks if task.family.name not in FAMILIES]
        names = [*names, *(name for family in added for name in family.metrics)]
    request = split_metrics(names, capabilities, given)
    reported = reported_families(capabilities, tasks)
    # A model that predicts ratings can rank the catalogue by them, but does so only if the user asks for it.
    possible = {*reported, "ranking"} if "rating" in reported else set(reported)
    reasons = {
        "rating": f"{model} predicts no ratings; use --builtin_task=rating or a model that predicts ratings",
        "genre": f"{model} predicts no genres; use MMFS, MMSP or MMASP",
    }
    if capabilities.tasks:
        on = ", ".join(task.name for task in tasks)
        reasons = {name: f"task '{name}' is off (tasks: {on}); add it to the option tasks" for name in request.families}
    return request.restrict(reported, possible, reasons, orders_ratings)
