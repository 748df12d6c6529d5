"""Whether what JSON, yaml or a caller gives is a number that a float can hold. Python's whole numbers have no limit."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def is_finite(value: Any) -> bool:
    """Whether ``value`` is a finite number. True and False are none, and neither is a whole number such as 10**400."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(_float(value))


def floats_of(raw: Any) -> np.ndarray:
    """Numbers in a list, an array or a tensor -> float64, in their shape; inf and nan stay.

    Raises:
        ValueError: something is no number (True and False are none), is a whole number too large for a float, or the
            rows of a list have different lengths.
    """
    import numpy as np  # here, so that --help need not wait for it

    if hasattr(raw, "dtype"):
        array = np.asarray(raw)
        if array.dtype.kind in "iuf":
            return array.astype(np.float64)
    array = np.asarray(raw, object)  # as they are: beside a number, numpy makes 1.0 of True
    floats = np.empty(array.shape)
    for place, value in np.ndenumerate(array):
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ValueError(f"{shown(value)} is no number")
        floats[place] = _float(value)
        if math.isinf(floats[place]) and not isinstance(value, float):
            raise ValueError(f"{shown(value)} is too large")
    return floats


def is_vector(raw: Any, size: int) -> bool:
    """Whether ``raw`` is ``size`` finite numbers."""
    import numpy as np

    try:
        floats = floats_of(raw)
    except ValueError:
        return False
    return floats.shape == (size,) and bool(np.isfinite(floats).all())


def shown(value: Any, most: int = 60) -> str:
    """``repr`` of a value, cut to ``most`` characters, for messages."""
    try:
        text = repr(value)
    except ValueError:  # a whole number with more digits than Python writes
        text = f"a {type(value).__name__} of too many digits"
    return text if len(text) <= most else text[: most - 3] + "..."


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
