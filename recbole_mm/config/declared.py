"""Options that a model class declares itself, in its attribute ``default_options``: option -> default.

A class that stands on a model of this package or of RecBole has the options of that model, too; one that stands on
`recbole_mm.model.recommender.MultitaskRecommender` has those of MMFS, which every multitask model reads. What it
declares is stronger.
"""

from __future__ import annotations

from typing import Any

from recbole_mm.config.options.option import kind_of
from recbole_mm.errors import InputError

# Named, not imported: what every run imports decides which results of a benchmark are kept (benchmark/key.py).
_MULTITASK, _OF_MULTITASK = "recbole_mm.model.recommender", "MMFS"
_PACKAGES = ("recbole", "recbole_mm")
_KINDS = ("bool", "int", "number", "str", "list", "dict", "none")


def model_with_options(model: str, model_class: type | None) -> str:
    """The model whose property files hold the options that a class has beside those it declares."""
    if model_class is None or model_class.__module__.partition(".")[0] in _PACKAGES:
        return model
    for base in model_class.__mro__[1:]:
        if base.__module__ == _MULTITASK:
            return _OF_MULTITASK
        if (
            base.__module__.partition(".")[0] in _PACKAGES
            and base.__module__.rpartition(".")[2] != "abstract_recommender"
        ):
            return base.__name__
    return model


def declared_options(model_class: type | None) -> dict[str, Any]:
    """What the class declares, the stronger of a class and its bases.

    Raises:
        InputError: it is no mapping of names to plain values.
    """
    options: dict[str, Any] = {}
    for base in reversed(model_class.__mro__ if model_class is not None else ()):
        own = base.__dict__.get("default_options", {})
        if not isinstance(own, dict):
            raise InputError(
                f"{base.__name__}.default_options is a {type(own).__name__}, but takes a dict: option -> default"
            )
        for name, value in own.items():
            if not isinstance(name, str) or not name.isidentifier() or kind_of(value) not in _KINDS:
                raise InputError(
                    f"{base.__name__}.default_options: {name!r}: {value!r} is no option; take a name and a plain value"
                )
            options[name] = list(value) if isinstance(value, tuple) else value
    return options
