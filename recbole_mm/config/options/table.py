"""Looking up an option of this package by its name and the model of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recbole_mm.config.options.models import MODEL_OPTIONS
from recbole_mm.config.options.option import Option
from recbole_mm.config.options.overall import OVERALL

OF_EVERY_RUN: dict[str, Option] = {option.name: option for section in OVERALL for option in section.options}
OF_MODEL: dict[str, dict[str, Option]] = {
    model: {option.name: option for section in of_model.sections for option in section.options}
    for model, of_model in MODEL_OPTIONS.items()
}


def all_options() -> Iterator[Option]:
    """Each option of the table; an option that models share comes once for each model."""
    yield from OF_EVERY_RUN.values()
    for of_model in OF_MODEL.values():
        yield from of_model.values()


def find_option(name: str, model: str) -> Option | None:
    """The option of a run of ``model``; None if it is RecBole's, or of a model that is not in the table."""
    return OF_EVERY_RUN.get(name) or OF_MODEL.get(model, {}).get(name)


def values_before(model: str) -> dict[str, Any]:
    """Values that stand for options in files that were written before the options were there.

    With them a model predicts what it did then.
    """
    return {option.name: option.before for option in OF_MODEL.get(model, {}).values() if option.before is not None}


_BY_NAME = {option.name: option for option in reversed(list(all_options()))}


def relative(name: str) -> Option | None:
    """The option with this name of any model.

    A model of the user's own may have options of ours, in a property file copied from another model. They keep the
    range and the choices of that model and, if their default is ``~``, its kinds.
    """
    return _BY_NAME.get(name)


FORMER_NAMES: dict[str, str] = {former: option.name for option in all_options() for former in option.former}
"""Former name -> current name."""
