"""How good a model is on movies with few and with many training ratings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.data.catalogue_loader import CatalogueLoader
from recbole_mm.data.dataloader import PHASES, EvaluationData, Phase
from recbole_mm.data.labels import HeldOutLabels
from recbole_mm.files import writing
from recbole_mm.training.session import Session, fit_model

BUCKETS = {
    "0 ratings": (0, 0),
    "1 to 5 ratings": (1, 5),
    "6 to 20 ratings": (6, 20),
    "21 to 100 ratings": (21, 100),
    "more than 100 ratings": (101, math.inf),
}
"""Fewest and most training ratings of a bucket's movies."""
_KEPT = ("user", "item", "rating", "predicted", "ranked_user", "recall@10", "ndcg@10")


def tail_cell(cell: Cell) -> dict[str, Any]:
    """Train once; then evaluate on each bucket of movies by their number of training ratings.

    Ratings are those of the part's rows whose movie is in the bucket. A user's ranking is among the movies of the
    bucket, as that of `cold-item` is among the cold movies; users without a test movie in it do not count. Genres are
    those of the held-out movies in it. What a part does not have in a bucket is not measured.

    Returns:
        ``lines``, one for each bucket that the validation or the test part has. What pairs and users of the test part
        got is in the cell's ``predictions``, under BUCKET/.
    """
    sessions = dict(zip(PHASES, fit_model(Config(arguments=cell.arguments()))))  # valid before test
    counts = {phase: _training_ratings(session) for phase, session in sessions.items()}
    lines, predictions = [], {}
    for name, (least, most) in BUCKETS.items():
        parts = {
            phase: bucket_of(session, phase, (counts[phase] >= least) & (counts[phase] <= most))
            for phase, session in sessions.items()
        }
        values = {phase: _measured(sessions[phase], part) for phase, part in parts.items()}
        if not any(values.values()):
            continue
        lines.append({"bucket": name, **values})
        if len(parts["test"].rows):
            found = sessions["test"].trainer.predictions(parts["test"])
            predictions |= {f"{name}/{array}": found[array] for array in _KEPT if array in found}
    with writing(cell.predictions) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **predictions)
    return {"lines": lines}


def _training_ratings(session: Session) -> Tensor:
    """Training ratings of each movie, [item_num]; of [PAD] -1, so that it is in no bucket."""
    train = session.split.train
    counts = torch.bincount(train.inter_feat[train.iid_field], minlength=train.item_num)
    counts[0] = -1
    return counts


def bucket_of(session: Session, phase: Phase, movies: Tensor) -> EvaluationData:
    """The evaluation of a part on some of the movies, bool [item_num]: rows, candidates and held-out labels."""
    whole, split = getattr(session, f"{phase}_data"), session.split
    rows = whole.rows.copy(whole.rows.inter_feat[movies[whole.rows.inter_feat[whole.rows.iid_field]]])
    ranking = None
    if whole.ranking is not None and len(rows):
        history = [split.train] if phase == "valid" else [split.train, split.valid]
        ranking = CatalogueLoader(session.config, rows, history)
    candidates = movies if whole.candidates is None else movies & whole.candidates
    labels = {}
    for task, held_out in whole.labels.items():
        chosen = movies[held_out.items]
        labels[task] = HeldOutLabels(held_out.items[chosen], held_out.targets[chosen])
    return replace(whole, rows=rows, ranking=ranking, candidates=candidates, labels=labels)


@torch.no_grad()
def _measured(session: Session, part: EvaluationData) -> dict[str, float]:
    """The metrics of the run that the part has anything for."""
    session.model.eval()
    values: dict[str, float] = {}
    for name, metrics in session.config["metrics_of"].items():
        if len(part.labels[name].items) if name in part.labels else len(part.rows):
            values |= session.trainer.families[name].evaluate(session.trainer, part, metrics, False)
    return {name: value for name, value in values.items() if math.isfinite(value)}
