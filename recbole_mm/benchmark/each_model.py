"""Suites that run the same rows for each of several models: ``each_model`` x ``models`` in the file of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DEFAULTS = ", defaults"


def with_rows(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan with the rows of its models, named '<model>, <row>'; a plan without ``each_model`` as it is.

    ``, defaults`` behind the name of a model stands behind the name of each of its rows. Rows with an ``imputation``
    are for the models in ``imputed`` alone, if the plan has this list.
    """
    if "each_model" not in plan:
        return dict(plan)
    rows = {}
    for label, of_model in plan["models"].items():
        name = label.removesuffix(DEFAULTS)
        for row, options in plan["each_model"].items():
            if "imputation" not in options or name in plan.get("imputed", [name]):
                rows[f"{name}, {row}{label.removeprefix(name)}"] = {**of_model, **options}
    return {**plan, "rows": rows}


def short_form(plan: Mapping[str, Any], quick: Mapping[str, Any]) -> dict[str, Any]:
    """The plan with the models and rows that its short form names."""
    models = {label: plan["models"][label] for label in quick["models"]}
    rows = {row: plan["each_model"][row] for row in quick["each_model"]}
    return with_rows({**plan, **quick, "models": models, "each_model": rows, "known_models": plan["models"]})


def with_chosen(plan: Mapping[str, Any], models: Sequence[str]) -> dict[str, Any]:
    """The plan for these models alone: with the options that it has for them, others with their defaults."""
    known = plan.get("known_models", plan["models"])
    labels = {label.removesuffix(DEFAULTS): label for label in known}
    chosen = {}
    for name in models:
        label = labels.get(name, f"{name}{DEFAULTS}")
        chosen[label] = known.get(label, {"model": name})
    return with_rows({**plan, "models": chosen, "imputed": list(models)})
