"""The vectors of one field."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Modality:
    """Vectors of one field for the whole catalogue.

    Attributes:
        values: float32 [item_num, dimension]; row 0 ([PAD]) and missing vectors are zeros.
        present: bool [item_num], whether the item has a vector.
    """

    values: Tensor
    present: Tensor
