"""Robustness to missing modalities: a trained model is tested on movies without some of their vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.training.session import prepare_session

RATIOS = (0.25, 0.5, 0.75, 1.0)


def missing_cell(cell: Cell) -> dict[str, Any]:
    """Train once; then evaluate without a part of the vectors of one modality, or of all modalities.

    The movies that lose a vector are random, by seed, modality and ratio. Profiles are computed again without these
    vectors. Other learned parameters of movies and users do not change.

    Returns:
        ``lines`` of a suite's table: "nothing", and "<modality> <ratio> %" for each modality and for "all".
    """
    session = prepare_session(Config(arguments=cell.arguments()))
    trainer, model = session.trainer, session.model
    trainer.fit(session.train_data, session.valid_data, saved=True, show_progress=False)
    trainer.load_weights(trainer.saved_model_file)
    present = {name: getattr(model, f"present_{name}") for name in model.modalities}

    def line(row: str) -> dict[str, Any]:
        parts = {"valid": session.valid_data, "test": session.test_data}
        return {"row": row, **{name: trainer.evaluate(data, load_best_model=False) for name, data in parts.items()}}

    lines = [line("nothing")]
    for row, names in {**{name: [name] for name in present}, "all": list(present)}.items():
        for ratio in RATIOS:
            for name in names:
                random = np.random.default_rng([cell.seed, 3, round(100 * ratio), *name.encode()])
                kept = torch.from_numpy(random.random(len(present[name])) >= ratio).to(present[name].device)
                model.set_present(name, present[name] & kept)
            lines.append(line(f"{row} {ratio:.0%}"))
        for name in names:
            model.set_present(name, present[name])
    return {"lines": lines}
