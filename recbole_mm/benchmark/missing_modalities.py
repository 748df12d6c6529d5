"""Robustness to missing modalities: a trained model is tested on movies without some of their vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.data.dataloader import PHASES
from recbole_mm.errors import InputError
from recbole_mm.model.content import ReadsContent
from recbole_mm.model.variants import with_presence
from recbole_mm.training.session import fit_model

RATIOS = (0.25, 0.5, 0.75, 1.0)


def missing_cell(cell: Cell) -> dict[str, Any]:
    """Train once; then evaluate without a part of the vectors of one modality, or of all modalities.

    The movies that lose a vector are random, by seed, modality and ratio. Profiles and graphs of movies are computed
    again without these vectors. Learned parameters do not change.

    Returns:
        ``lines`` of a suite's table: "nothing", and "<modality> <ratio> %" for each modality and for "all".
    """
    sessions = dict(zip(PHASES, fit_model(Config(arguments=cell.arguments()))))  # valid before test
    model = sessions["test"].model
    if sessions["test"].config.is_multitask:
        whole = {name: field.present for name, field in model.catalogue.fields().items()}
    elif isinstance(model, ReadsContent):
        whole = dict(zip(model.content.widths, model.content.present()))
    else:
        raise InputError(
            f"tool 'missing': {cell.options['model']} has no vectors that can be taken away after training"
        )

    def line(row: str, present: dict[str, torch.Tensor]) -> dict[str, Any]:
        values: dict[str, Any] = {"row": row}
        for phase, session in sessions.items():
            model, trainer = session.model, session.trainer
            trainer.model = (
                model.with_presence(present) if isinstance(model, ReadsContent) else with_presence(model, present)
            )
            values[phase] = trainer.evaluate(getattr(session, f"{phase}_data"), load_best_model=False)
        return values

    lines = [line("nothing", {})]
    for chosen, names in {**{name: [name] for name in whole}, "all": list(whole)}.items():
        for ratio in RATIOS:
            kept = {name: whole[name] & _drawn(cell.seed, name, ratio, whole[name]) for name in names}
            lines.append(line(f"{chosen} {ratio:.0%}", kept))
    return {"lines": lines}


def _drawn(seed: int, name: str, ratio: float, like: torch.Tensor) -> torch.Tensor:
    """Movies that keep their vector, bool [N], drawn by seed, modality and ratio."""
    random = np.random.default_rng([seed, 3, round(100 * ratio), *name.encode()])
    return torch.from_numpy(random.random(len(like)) >= ratio).to(like.device)
