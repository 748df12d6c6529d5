"""Multimodal, multitask movie recommendation as a plugin of RecBole 1.2.1.

    >>> import recbole_mm
    >>> result = recbole_mm.run("MMASP", "ml-100k-mm")        # doctest: +SKIP
    >>> movies = recbole_mm.load(result.checkpoint)            # doctest: +SKIP
    >>> movies.recommend_for(liked=["Toy Story", "Alien"])     # doctest: +SKIP

Importing the package checks that the RecBole it extends is installed, applies :mod:`recbole_mm.compat`, and lets
threads that wait for each other sleep (:func:`recbole_mm.environment.let_threads_sleep`). It imports neither RecBole
nor torch: the public names are looked up when they are first used. ``recbole.quick_start`` is never imported, since it
needs ray.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recbole_mm.config.config import Config
    from recbole_mm.inference.load import load
    from recbole_mm.inference.recbole_names import load_data_and_model, run_recbole
    from recbole_mm.inference.recommender import Recommender
    from recbole_mm.interchange.from_frames import from_frames
    from recbole_mm.training.session import run

__version__ = "0.4.0"
__all__ = ["Config", "Recommender", "__version__", "from_frames", "load", "load_data_and_model", "run", "run_recbole"]

_RECBOLE = "1.2.1"
_PUBLIC = {
    "Config": "recbole_mm.config.config",
    "Recommender": "recbole_mm.inference.recommender",
    "from_frames": "recbole_mm.interchange.from_frames",
    "load": "recbole_mm.inference.load",
    "load_data_and_model": "recbole_mm.inference.recbole_names",
    "run": "recbole_mm.training.session",
    "run_recbole": "recbole_mm.inference.recbole_names",
}


def _installed(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _check_requirements() -> None:
    """Refuse another RecBole and pandas 3, which pip lets through where it was told not to resolve dependencies.

    Raises:
        ImportError: says what was found and what to type.
    """
    found = _installed("recbole")
    if found != _RECBOLE:
        # Without its dependencies: RecBole pins an old ray, which this package does not need (pyproject.toml).
        raise ImportError(
            f"recbole_mm needs RecBole {_RECBOLE}, but {f'{found} is' if found else 'none is'} installed; "
            f"type: pip install --no-deps recbole=={_RECBOLE}"
        )
    pandas = _installed("pandas")
    if pandas is None or int(pandas.split(".")[0]) >= 3:
        raise ImportError(
            f"recbole_mm needs pandas 2 (RecBole {_RECBOLE} fails with pandas 3), but "
            f"{f'{pandas} is' if pandas else 'none is'} installed; type: pip install 'pandas>=2.2,<3'"
        )


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})


_check_requirements()

from recbole_mm import compat, environment  # noqa: E402  (a missing RecBole is reported before anything is touched)

environment.let_threads_sleep()
compat.apply()
