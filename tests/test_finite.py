"""Numbers that a float can hold, and those it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recbole_mm.finite import floats_of, is_finite, is_vector, shown


def test_a_whole_number_beyond_float_is_not_finite() -> None:
    assert all(map(is_finite, (0, -3, 10**300, 1e308, np.float32(1), np.int64(2))))
    assert not any(map(is_finite, (10**400, -(10**5000), True, np.True_, "1", None, 1j, float("nan"), float("inf"))))


def test_floats_are_those_given() -> None:
    for raw in ([1, 2.5, -3], (1, 2.5, -3), np.float32([1, 2.5, -3]), torch.tensor([1, 2.5, -3])):
        np.testing.assert_array_equal(floats_of(raw), [1, 2.5, -3])
        assert floats_of(raw).dtype == np.float64 and is_vector(raw, 3) and not is_vector(raw, 2)
    assert floats_of([[1, 2], [3, 4]]).shape == (2, 2)
    np.testing.assert_array_equal(floats_of([np.nan, np.inf]), [np.nan, np.inf])


@pytest.mark.parametrize("raw", [[10**400], [1, True], ["1"], [None], [1j], [[1], [1, 2]], np.ones(1, bool), "1", {}])
def test_what_are_no_numbers_is_refused(raw) -> None:
    with pytest.raises(ValueError, match="is no number|is too large|inhomogeneous"):
        floats_of(raw)
    assert not is_vector(raw, 1)


def test_a_shown_value_is_short() -> None:
    assert shown("a") == "'a'" and len(shown(10**400)) == 60
    assert shown([10**5000]) == "a list of too many digits"
