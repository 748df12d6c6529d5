"""A strong simple baseline of genre prediction: kernel ridge regression on the same vectors and held-out movies."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.evaluation.metrics import genre_metrics
from recbole_mm.model.closed_form.kernels import rbf_kernel
from recbole_mm.model.content import CatalogueContent, ContentVectors
from recbole_mm.training.session import prepare_data

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Factors of the squared distance in the kernel: the larger, the narrower."""
METRICS = ("genre_map", "genre_macro_auc")
# The part of the training movies on which penalty and width are chosen.
INNER = 0.2


def kernel_genre_metrics(config: Config) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics of an RBF kernel ridge regression of genres (0/1), on each modality and on all of them.

    The kernel of all modalities is the mean of theirs; a missing vector has the kernel 0. Width and penalty are the
    same for all genres. They are chosen by mAP on a fifth of the training movies, drawn by seed; the other four fifths
    are fitted for that. Neither validation nor test movies take part.

    Returns:
        modality (or "all") -> part -> metric -> value.

    Source: Saunders, Gammerman and Vovk, "Ridge Regression Learning Algorithm in Dual Variables", ICML 1998.
    """
    dataset, split = prepare_data(config, refit=False)
    targets = dataset.labels["genre"].targets.numpy().astype(float)
    parts = {name: getattr(split.label_items["genre"], name).numpy() for name in ("train", "valid", "test")}
    content = CatalogueContent(split.train)
    fields = {
        name: ContentVectors(field[:, :-2].double(), field[:, -2].bool())
        for name, field in zip(content.widths, content.fields())
    }
    order = np.random.default_rng([config["seed"], 4]).permutation(parts["train"])
    held, fitted = np.split(order, [max(1, round(INNER * len(order)))])
    found = {}
    for name, chosen in {**{name: [field] for name, field in fields.items()}, "all": list(fields.values())}.items():
        kernels = {width: _kernel(chosen, width) for width in WIDTHS}
        width, penalty = max(
            product(WIDTHS, PENALTIES),
            key=lambda pair: _measured(kernels[pair[0]], targets, fitted, held, pair[1])["genre_map"],
        )
        found[name] = {
            part: {
                metric: round(value, config["metric_decimal_place"])
                for metric, value in _measured(kernels[width], targets, parts["train"], parts[part], penalty).items()
            }
            for part in ("valid", "test")
        }
    return found


def _kernel(fields: list[ContentVectors], width: float) -> np.ndarray:
    """Of all movies, [N, N]."""
    scaled = [ContentVectors(field.values * width**0.5, field.present) for field in fields]
    return rbf_kernel(scaled, scaled).numpy()


def _measured(
    kernel: np.ndarray, targets: np.ndarray, fitted: np.ndarray, held: np.ndarray, penalty: float
) -> dict[str, float]:
    """Metrics on the movies ``held``, of a regression fitted on the movies ``fitted`` around their mean."""
    mean = targets[fitted].mean(axis=0)
    regression = KernelRidge(alpha=penalty, kernel="precomputed")
    regression.fit(kernel[np.ix_(fitted, fitted)], targets[fitted] - mean)
    predicted = mean + regression.predict(kernel[np.ix_(held, fitted)])
    return genre_metrics(list(METRICS), torch.from_numpy(targets[held]), torch.from_numpy(predicted))


def kernel_cell(cell: Cell) -> dict[str, Any]:
    """The regressions as lines of a suite's table, one for each modality and one for all."""
    by_modality = kernel_genre_metrics(Config(arguments=cell.arguments()))
    return {"lines": [{"row": name, **parts} for name, parts in by_modality.items()]}
