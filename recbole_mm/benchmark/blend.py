"""Ratings as the mean of those that several models predict, each trained alone on the same rows."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import torch

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.data.dataloader import PHASES
from recbole_mm.environment import peak_rss_mb, versions
from recbole_mm.errors import InputError
from recbole_mm.evaluation.families import RATING
from recbole_mm.evaluation.metrics import rating_metrics
from recbole_mm.files import writing
from recbole_mm.training.session import Session, fit_model


def blend_cell(cell: Cell) -> dict[str, Any]:
    """Train the models of option ``parts``, one after the other, and average their predicted ratings by equal weights.

    Returns:
        ``valid`` and ``test``: RMSE and MAE; and what all the models cost together. What each pair of the test part got
        is in the cell's ``predictions``.

    Raises:
        InputError: a model does not predict ratings, or two parts are evaluated on other rows.
    """
    sums: dict[str, dict[str, np.ndarray]] = {}
    config: Config | None = None
    start, evaluating, parameters = perf_counter(), 0.0, 0
    for one in cell.parts:
        config = Config(arguments=one.arguments())
        if RATING.name not in config["metrics_of"]:
            raise InputError(f"row '{cell.row}': {one.options['model']} must predict ratings; see tool 'blend'")
        chosen, tested = fit_model(config)
        parameters += sum(weight.numel() for weight in tested.model.parameters() if weight.requires_grad)
        trained = perf_counter()
        for part, session in zip(PHASES, (chosen, tested)):
            found = _ratings(session, part)
            if part not in sums:
                sums[part] = found
            elif any((found[name] != sums[part][name]).any() for name in ("user", "item", "rating")):
                raise InputError(
                    f"row '{cell.row}': {one.options['model']} is evaluated on other rows than the first part"
                )
            else:
                sums[part]["predicted"] += found["predicted"]
        evaluating += perf_counter() - trained
    if config is None:
        raise InputError(f"row '{cell.row}': tool 'blend' needs the option parts, a list of options of models")
    for pairs in sums.values():
        pairs["predicted"] /= len(cell.parts)
    with writing(cell.predictions) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **{name: np.asarray(values) for name, values in sums["test"].items()})
    measured = {
        part: rating_metrics(
            config, ["RMSE", "MAE"], *(torch.from_numpy(pairs[name]) for name in ("predicted", "rating"))
        )
        for part, pairs in sums.items()
    }
    fit = round(perf_counter() - start - evaluating, 3)  # reading the data, too, once for each model
    return {
        **measured,
        "seconds": {"build": 0.0, "fit": fit, "epoch": None},
        "parameters": parameters,
        "epochs": None,
        "best_epoch": None,
        "history": [],
        "throughput": {},
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "versions": versions(),
    }


@torch.no_grad()
def _ratings(session: Session, part: str) -> dict[str, np.ndarray]:
    """Pairs of a part in the order of their tokens, their ratings and the clipped predictions, [n] each."""
    rows = getattr(session, f"{part}_data").rows
    predicted = session.trainer.predict_ratings(rows).double().cpu().numpy()
    users, items = (
        np.char.encode(rows.id2token(field, rows.inter_feat[field]).astype(str), "utf-8")
        for field in (rows.uid_field, rows.iid_field)
    )
    order = np.lexsort((rows.inter_feat[session.config["RATING_FIELD"]].numpy(), items, users))
    ratings = rows.inter_feat[session.config["RATING_FIELD"]].double().numpy()
    return {
        name: values[order]
        for name, values in {"user": users, "item": items, "rating": ratings, "predicted": predicted}.items()
    }
