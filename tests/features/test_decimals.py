"""Text to numbers: whatever float() says, only faster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recbole_mm.features.decimals import NotANumber, parse_decimals


def parse(*numbers: str) -> np.ndarray:
    text = "".join(number + " " for number in numbers).encode()
    return parse_decimals(text, np.flatnonzero(np.frombuffer(text, np.uint8) == ord(" ")))


def written(number: float) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [f"{number:.3f}", f"{number:.7f}", f"{number:g}", f"{number:e}", repr(number), f"{number:.0f}"]
    )


numbers = st.floats(width=32).flatmap(written)


@given(st.lists(numbers, min_size=1, max_size=30))
@example(["1", "-2", "+3", ".5", "-.5", "5.", "1e-05", "0.1234567890123456789", "007.50", "-0.0", "1E+2", "3"])
@example(["nan", "inf", "-Infinity", "1e39", "-1e400"])
def test_agrees_with_float(texts: list[str]) -> None:
    with np.errstate(over="ignore"):
        expected = np.array([float(text) for text in texts]).astype(np.float32)
    # The last digit of a float32 may differ where more than 15 digits are written.
    np.testing.assert_allclose(parse(*texts), expected, rtol=1.2e-7, atol=0)


def test_short_decimals_are_exact() -> None:
    values = np.round(np.random.default_rng(0).normal(0, 30, 5_000), 3)
    assert (parse(*(f"{value:.3f}" for value in values)) == values.astype(np.float32)).all()


@pytest.mark.parametrize(
    "wrong", ["", "x", "-", ".", "1.2.3", "--1", "1-", "1_000", "0x10", "1,5", "½", "1\x00", "nan(3)"]
)
@pytest.mark.parametrize("others", [["1.5", "2.5"], ["1", "22.25"]])
def test_names_the_first_that_is_no_number(wrong: str, others: list[str]) -> None:
    with pytest.raises(NotANumber) as caught:
        parse(*others, wrong, "7.5", wrong)
    assert caught.value.index == 2
    assert caught.value.text == wrong
