"""Which class a model name means: a table, not a search for files."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
from pathlib import Path

import recbole
import torch
from recbole.utils import get_model as get_recbole_model

from recbole_mm.errors import InputError, nearest
from recbole_mm.model.outside import load_outside_model, outside_models

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
    "GaussianProcess": "recbole_mm.model.baselines.gaussian_process:GaussianProcess",
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

OPTIONAL_PACKAGES = {
    "dgl": "dgl",
    "faiss": "faiss-cpu",
    "lightgbm": "lightgbm",
    "torch_scatter": "torch-scatter",
    "xgboost": "xgboost lightgbm",
}
"""Packages that some built-in models import and this package does not require: import name -> what to install."""


def get_model(name: str, builtin_task: str = "ranking") -> type:
    """Class of a model: one of this package, else a built-in model of RecBole, with task 'rating' in its rating form,
    else one of another package (`recbole_mm.model.outside`).

    Raises:
        InputError: no such model, a built-in without a rating form, or one whose extra package is not installed.
    """
    if place := {**MODELS, **BASELINES}.get(name):
        module, _, attribute = place.partition(":")
        return getattr(importlib.import_module(module), attribute)
    if name not in recbole_model_names():
        if (outside := load_outside_model(name)) is not None:
            return outside
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
    if kind_of_model(name) == "exlib":
        raise InputError(
            f"model '{name}': RecBole's decision trees have no epochs and no weights, which training and checkpoints "
            f"of this package need; run it with RecBole itself, or take a model of features such as FM or DeepFM"
        )
    for package in packages_of(name):
        if importlib.util.find_spec(package) is None:
            raise InputError(missing_package(name, package))
    anomalies = torch.is_anomaly_enabled()
    try:
        return get_recbole_model(name)
    except ImportError as error:
        raise InputError(missing_package(name, error.name or str(error))) from error
    finally:  # RecBole's module of SINE switches on torch's search for anomalies, which slows every later run
        torch.autograd.set_detect_anomaly(anomalies)


def packages_of(name: str) -> list[str]:
    """Packages that a built-in model needs beyond those of this package, as its file in RecBole imports them."""
    return sorted(_imported_packages(_model_files()[name]) & set(OPTIONAL_PACKAGES))


def kind_of_model(name: str) -> str:
    """RecBole's kind of a built-in model: general, context_aware, sequential, knowledge_aware or exlib."""
    return _model_files()[name].parent.name.removesuffix("_recommender")


def missing_package(model: str, package: str) -> str:
    """One line that says what to install."""
    install = OPTIONAL_PACKAGES.get(package.split(".")[0], package)
    return f"model '{model}' needs the package {package}, which is not installed; type: pip install {install}"


def _imported_packages(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names}


def model_names() -> list[str]:
    """Names that `get_model` accepts, models of this package first."""
    return [*MODELS, *BASELINES, *recbole_model_names(), *outside_models()]


def recbole_model_names() -> tuple[str, ...]:
    """Built-in models of the installed RecBole."""
    return tuple(_model_files())


@functools.cache
def _model_files() -> dict[str, Path]:
    """File of each built-in model: a class whose name in lower case is the name of its file (RecBole's rule)."""
    files = {}
    for path in sorted(Path(recbole.__file__).parent.glob("model/*_recommender/*.py")):
        classes = re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        files.update({name: path for name in classes if name.lower() == path.stem})
    return files
