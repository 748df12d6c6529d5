"""What one run measured, and its JSON form."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Result:
    """What one run measured; `to_json` is what ``--result_file`` holds.

    Attributes:
        valid, test: metric name -> value, of the model that was best on the validation part.
        seconds: ``build`` (the model; some are fitted there), ``fit`` (training and its validations), ``epoch`` (median
            training epoch), ``evaluate`` (the validation and the test part once each).
        throughput: on the test part, ``pairs`` rated a second and ``users`` whose catalogue is ranked a second.
        epochs: epochs trained; ``best_epoch`` is the one that the numbers come from.
        history: per epoch: epoch, seconds, losses, statistics and validation metrics.
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

    def to_json(self) -> str:
        """JSON text; a metric that could not be computed (NaN) is null."""
        return json.dumps(_without_nan(asdict(self)), indent=1, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
