"""Models of other packages, which they announce in the entry point group ``recbole_mm.models``.

    [project.entry-points."recbole_mm.models"]
    GatedMMFS = "my_package.gated:GatedMMFS"

An installed package can run code anyway; nothing else, such as a checkpoint or a file of options, can add to the group.
"""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

from recbole.model.abstract_recommender import AbstractRecommender

from recbole_mm.errors import InputError

GROUP = "recbole_mm.models"


def outside_models() -> dict[str, metadata.EntryPoint]:
    """Name -> entry point, for each model that an installed package announces.

    Raises:
        InputError: two packages announce different classes under one name.
    """
    found: dict[str, metadata.EntryPoint] = {}
    for entry in metadata.entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise InputError(
                f"model '{entry.name}': {package_of(entry)} and {package_of(other)} both have one ({entry.value}, "
                f"{other.value}); uninstall one of the packages"
            )
    return found


def load_outside_model(name: str) -> type | None:
    """Class of a model of another package; None if none has this name.

    Raises:
        InputError: its module cannot be imported, or it is no model of RecBole.
    """
    entry = outside_models().get(name)
    if entry is None:
        return None
    try:
        model = entry.load()
    except Exception as error:  # whatever the other package raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"model '{name}' of {package_of(entry)}: {entry.value} cannot be imported ({reason})"
        ) from error
    if not (isinstance(model, type) and issubclass(model, AbstractRecommender)):
        raise InputError(
            f"model '{name}' of {package_of(entry)}: {entry.value} is no model; it must be a class that stands "
            f"on one of "
            f"RecBole's, such as GeneralRecommender, or on one of this package"
        )
    if model.__name__ != name:
        raise InputError(
            f"model '{name}' of {package_of(entry)}: the class is called {model.__name__}; name the entry point like it"
        )
    return model


def package_of(entry: metadata.EntryPoint) -> str:
    """Name and version of the package that announces a model."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package"


def source_files(name: str) -> list[Path]:
    """Files of the package that a model of this name is in, all that end in .py; none if there is no such model.

    Nothing is imported to find out, but the packages above the module.
    """
    entry = outside_models().get(name)
    if entry is None:
        return []
    top = importlib.util.find_spec(entry.module.partition(".")[0])
    if top is None or top.origin is None:
        return []
    origin = Path(top.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
