"""The usual cell: one run of a model, which keeps what each pair and each user of the test part got."""

from __future__ import annotations

import json
from typing import Any

from recbole_mm.benchmark.cell import Cell
from recbole_mm.training.session import run


def model_cell(cell: Cell) -> dict[str, Any]:
    """Train and evaluate the model; returns its `Result` as plain values."""
    result = run(arguments=[*cell.arguments(), f"--predictions_file={cell.predictions}"])
    return json.loads(result.to_json())
