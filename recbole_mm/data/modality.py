"""One field of vectors for a whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Modality:
    """Vectors of one field for the whole catalogue.

    Attributes:
        values: float32 [item_num, dimension]; row 0 ([PAD]) and absent rows are zeros.
        present: bool [item_num].
    """

    values: Tensor
    present: Tensor
