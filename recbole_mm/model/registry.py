"""Which class a model name means: a table, not a search for files."""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path

import recbole
from recbole.utils import get_model as get_recbole_model

from recbole_mm.errors import InputError, nearest

MODELS = {
    "MMFS": "recbole_mm.model.mmfs:MMFS",
    "MMSP": "recbole_mm.model.mmsp:MMSP",
    "MMASP": "recbole_mm.model.mmasp:MMASP",
}
"""Models of this package: name -> 'module:class'."""

BASELINES = {
    "Bias": "recbole_mm.model.baselines.bias:Bias",
    "GenreRidge": "recbole_mm.model.baselines.genre_ridge:GenreRidge",
    "SVDpp": "recbole_mm.model.baselines.svdpp:SVDpp",
    "HierarchicalRegression": "recbole_mm.model.baselines.hierarchical_regression:HierarchicalRegression",
    "BayesianFM": "recbole_mm.model.baselines.bayesian_fm:BayesianFM",
    "KernelRidge": "recbole_mm.model.baselines.content_ranking:KernelRidge",
    "ContentEASE": "recbole_mm.model.baselines.content_ranking:ContentEASE",
    "ContentKNN": "recbole_mm.model.baselines.content_ranking:ContentKNN",
    "VBPR": "recbole_mm.model.multimodal.vbpr:VBPR",
    "FREEDOM": "recbole_mm.model.multimodal.freedom:FREEDOM",
    "LATTICE": "recbole_mm.model.multimodal.lattice:LATTICE",
    "BM3": "recbole_mm.model.multimodal.bm3:BM3",
    "MGCN": "recbole_mm.model.multimodal.mgcn:MGCN",
    "SMORE": "recbole_mm.model.multimodal.smore:SMORE",
    "MMGCN": "recbole_mm.model.multimodal.mmgcn:MMGCN",
}
"""Baselines of this package that RecBole lacks."""


def get_model(name: str, builtin_task: str = "ranking") -> type:
    """Class of a model: one of this package, else a built-in model of RecBole, with task 'rating' in its rating form.

    Raises:
        InputError: no such model, a built-in without a rating form, or one whose extra package is not installed.
    """
    if place := {**MODELS, **BASELINES}.get(name):
        module, _, attribute = place.partition(":")
        return getattr(importlib.import_module(module), attribute)
    if name not in recbole_model_names():
        raise InputError(f"model '{name}' is unknown.{nearest(name, model_names())}")
    if builtin_task == "rating":
        from recbole_mm.model.baselines.rating_regressors import RATING_FORMS  # imports RecBole's models

        if name not in RATING_FORMS:
            raise InputError(
                f"model '{name}' has no form that predicts ratings, which builtin_task 'rating' needs (protocols u1 to "
                f"u5 and cold-item set it); take one of {', '.join([*MODELS, *BASELINES, *RATING_FORMS])}, or another "
                f"protocol"
            )
        return RATING_FORMS[name]
    try:
        return get_recbole_model(name)
    except ImportError as error:
        raise InputError(f"model '{name}' needs a package that is not installed: {error}") from error


def model_names() -> list[str]:
    """Names that `get_model` accepts, models of this package first."""
    return [*MODELS, *BASELINES, *recbole_model_names()]


@functools.cache
def recbole_model_names() -> tuple[str, ...]:
    """Built-in models: in each file, the class whose name in lower case is the name of the file (RecBole's rule)."""
    names = []
    for path in sorted(Path(recbole.__file__).parent.glob("model/*_recommender/*.py")):
        classes = re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        names += [name for name in classes if name.lower() == path.stem]
    return tuple(names)
