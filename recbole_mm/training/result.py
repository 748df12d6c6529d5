"""What one run measured, and its JSON form."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

MAIN = ("rmse", "mae", "ndcg", "recall", "genre_map")
"""Metrics that ``print`` shows first, with any cutoff."""


@dataclass(repr=False)
class Result:
    """What one run measured; `to_json` is what ``--result_file`` holds, and ``print`` shows five lines.

    Attributes:
        valid, test: metric name -> value, of the model that was best on the validation part.
        seconds: ``build`` (the model; some are fitted there), ``fit`` (training and its validations), ``epoch`` (median
            training epoch), ``evaluate`` (the validation and the test part once each).
        throughput: on the test part, ``pairs`` rated a second and ``users`` whose catalogue is ranked a second.
        epochs: epochs trained; ``best_epoch`` (from 1) is the one that the numbers come from.
        history: per epoch: epoch (from 1), seconds, losses, statistics and validation metrics.
    """

    model: str
    dataset: str
    protocol: str
    seed: int
    valid: dict[str, float]
    test: dict[str, float]
    seconds: dict[str, float]
    throughput: dict[str, float]
    epochs: int
    best_epoch: int | None
    parameters: int
    peak_rss_mb: float
    checkpoint: str | None
    versions: dict[str, str]
    config: dict[str, Any]
    history: list[dict] = field(default_factory=list)

    def __str__(self) -> str:
        best = "" if self.best_epoch is None else f" (best: {self.best_epoch})"
        lines = [
            f"{self.model} on {self.dataset}, protocol {self.protocol}, seed {self.seed}",
            f"valid: {_main_metrics(self.valid)}",
            f"test:  {_main_metrics(self.test)}",
            f"epochs {self.epochs}{best}, {self.seconds.get('fit', 0.0):.1f} s; {self.parameters:,} parameters",
            f"checkpoint: {self.checkpoint or 'none'}",
        ]
        return "\n".join(lines)

    __repr__ = __str__

    def to_json(self) -> str:
        """JSON text; a metric that could not be computed (NaN) is null."""
        return json.dumps(_without_nan(asdict(self)), indent=1, allow_nan=False)


def _main_metrics(values: dict[str, float]) -> str:
    """At most six metrics: those that tables are about come first."""
    names = [name for main in MAIN for name in values if name == main or name.startswith(f"{main}@")]
    names += [name for name in values if name not in names]
    return ", ".join(f"{name} {values[name]:.4f}" for name in names[:6]) or "none"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
