"""One scale for numbers of different units: columns are standardised; mean and deviation are kept for later movies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.features.encoders import FieldEncoder, scaling_encoder
from recbole_mm.files import writing

_LIMIT = 5  # standard deviations: one unusual trailer must not outweigh all others


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each column, float64 [d]."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Scaling:
        """The scaling of values [n, d]."""
        return cls(values.mean(axis=0), values.std(axis=0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Standardised values [n, d], within ±5; 0 in a column that is constant."""
        varying = self._varying
        scaled = (values - self.mean) / np.where(varying, self.deviation, 1)
        return np.where(varying, scaled, 0).clip(-_LIMIT, _LIMIT)

    def encoder(self, extracted: str = "") -> FieldEncoder:
        """What `apply` does, as an encoder that can be kept beside the vectors.

        Args:
            extracted: how the numbers were computed, from `recbole_mm.extract.trailer.how`.
        """
        return scaling_encoder(self.mean, np.where(self._varying, self.deviation, np.inf), _LIMIT, extracted)

    @property
    def _varying(self) -> np.ndarray:
        """Columns whose differences are more than rounding, and that an encoder's single precision can divide by."""
        return self.deviation > np.maximum(1e-9 * np.abs(self.mean), np.finfo(np.float32).tiny)

    def write(self, path: Path, names: list[str]) -> None:
        """Write columns name, mean, deviation as csv."""
        table = pd.DataFrame({"name": names, "mean": self.mean, "deviation": self.deviation})
        with writing(path) as temporary:
            table.to_csv(temporary, index=False)


def read_scaling(path: Path, names: list[str]) -> Scaling:
    """Read a file of `Scaling.write`.

    Raises:
        InputError: the file is missing, or has other columns than ``names``.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; --scale-from is the folder 'extract.NAME' beside the earlier vectors")
    try:
        table = pd.read_csv(path, dtype={"name": str, "mean": np.float64, "deviation": np.float64})
        scaling = Scaling(table["mean"].to_numpy(), table["deviation"].to_numpy())
        is_valid = table["name"].tolist() == names and np.isfinite([scaling.mean, scaling.deviation]).all()
    except (KeyError, ValueError):
        is_valid = False
    if not is_valid:
        raise InputError(
            f"{path}: does not hold mean and deviation of the {len(names)} columns {names[0]} … {names[-1]}; give "
            "another folder (--scale-from)"
        )
    return scaling
