"""The simplest baseline of genre prediction: logistic regression on the same vectors and the same held-out movies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.data.splits import ItemSplit
from recbole_mm.evaluation.metrics import genre_metrics
from recbole_mm.model.layers import Standardizer
from recbole_mm.training.session import prepare_data

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def logistic_genre_map(config: Config) -> dict[str, dict[str, float]]:
    """Genre mAP of one logistic regression for each genre, on each modality and on all modalities concatenated.

    The inverse of the L2 strength is the same for all genres and chosen on the validation movies. A missing vector is
    zeros with a flag. Vectors are standardised by training movies, as in our models.

    Returns:
        modality (or "all") -> {"valid": …, "test": …}.
    """
    dataset, split = prepare_data(config, refit=False)
    items, genres = split.label_items["genre"], dataset.labels["genre"].targets.numpy()
    has_ratings = np.bincount(split.train.inter_feat[config["ITEM_ID_FIELD"]].numpy(), minlength=dataset.item_num) > 0
    inputs = {}
    for name, modality in dataset.modalities.items():
        present = modality.present.numpy()
        training_vectors = modality.values[present & has_ratings]
        standardizer = Standardizer(training_vectors, modality.values.shape[1], config["pca_components"])
        values = standardizer(modality.values).numpy() * present[:, None]
        inputs[name] = np.column_stack([values, present])
    inputs["all"] = np.column_stack(list(inputs.values()))
    return {name: _best(config, values, genres, items) for name, values in inputs.items()}


def _best(config: Config, values: np.ndarray, genres: np.ndarray, items: ItemSplit) -> dict[str, float]:
    train, valid, test = (part.numpy() for part in (items.train, items.valid, items.test))
    columns = [j for j, genre in enumerate(genres[train].T) if 0 < genre.sum() < len(train)]
    scores = []
    for strength in STRENGTHS:
        models = [LogisticRegression(C=strength, max_iter=1000).fit(values[train], genres[train, j]) for j in columns]
        result = {}
        for name, part in (("valid", valid), ("test", test)):
            probability = np.zeros((len(part), genres.shape[1]))
            probability[:, columns] = np.column_stack([m.predict_proba(values[part])[:, 1] for m in models])
            targets = torch.from_numpy(genres[part])
            found = genre_metrics(["genre_map"], targets, torch.from_numpy(probability))["genre_map"]
            result[name] = round(found, config["metric_decimal_place"])
        scores.append(result)
    return max(scores, key=lambda result: result["valid"])


def logistic_cell(cell: Cell) -> dict[str, Any]:
    """The regressions as lines of a suite's table, one for each modality."""
    by_modality = logistic_genre_map(Config(arguments=cell.arguments()))
    lines = [
        {"row": name, **{part: {"genre_map": value} for part, value in parts.items()}}
        for name, parts in by_modality.items()
    ]
    return {"lines": lines}
