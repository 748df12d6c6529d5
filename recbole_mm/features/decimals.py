"""Decimal numbers in text to float32. Digits at the same place of many numbers are parsed together."""

from __future__ import annotations

import numpy as np

_MAX_DIGITS = 18  # that fit an int64; float() parses longer numbers
EXACT_DIGITS = 15  # a whole number of so many digits is exact as float64
_POWERS_OF_TEN = 10.0 ** np.arange(_MAX_DIGITS + 1)


class NotANumber(ValueError):
    """A piece of text is not a number: ``text``, number ``index`` of the input."""

    def __init__(self, index: int, text: str) -> None:
        super().__init__(f"{text!r} is not a number")
        self.index = index
        self.text = text


def parse_decimals(text: bytes, ends: np.ndarray) -> np.ndarray:
    """The numbers of ``text``, about six times faster than float() on each.

    Plain decimals (``-12.345``, ``7``) are parsed together: the i-th digits of all numbers in one operation. Other
    forms (``1e-05``, ``inf``, ``+1``, more than 18 digits) go through float() one by one.

    Args:
        ends: int [n], ascending; number i ends before the one-byte separator at ``ends[i]`` and starts after the
            separator at ``ends[i - 1]``.

    Returns:
        float32 [n]; numbers beyond the range of float32 become inf.

    Raises:
        NotANumber: for the first text that float() refuses.
    """
    starts = np.concatenate(([0], ends[:-1] + 1))
    values, irregular = plain_decimals(np.frombuffer(text, np.uint8), starts, ends)
    for index in np.flatnonzero(irregular).tolist():
        values[index] = _float(text[starts[index] : ends[index]], index)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def plain_decimals(
    characters: np.ndarray, starts: np.ndarray, ends: np.ndarray, max_digits: int = _MAX_DIGITS
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers written as plain decimals (``-12.345``, ``7``), parsed together.

    Args:
        characters: uint8, the text.
        starts, ends: int [n], ascending; number i is ``characters[starts[i] : ends[i]]``.
        max_digits: of a plain decimal, at most 18. With `EXACT_DIGITS` each value is the float64 nearest to the
            decimal, as float() gives: both the digits and the power of ten are exact, and one division rounds once
            (Clinger, "How to read floating point numbers accurately", 1990).

    Returns:
        float64 [n] and bool [n]: True for texts of another form, whose values mean nothing.
    """
    points = _points(characters, starts, ends)
    negative = characters[starts] == ord("-")
    whole = points - starts - negative  # digits before the point
    fraction = np.maximum(ends - points - 1, 0)  # digits after the point
    irregular = (whole + fraction < 1) | (whole + fraction > max_digits)

    digits = np.zeros(len(ends), np.int64)
    for offset in range(-min(int(whole.max()), max_digits), 0):
        digit = characters.take(points + offset, mode="clip") - np.uint8(ord("0"))
        if whole.min() < -offset:
            digit[whole < -offset] = 0
        irregular |= digit > 9
        digits *= 10
        digits += digit
    for offset in range(1, min(int(fraction.max()), max_digits) + 1):
        digit = characters.take(points + offset, mode="clip") - np.uint8(ord("0"))
        if fraction.min() >= offset:
            irregular |= digit > 9
            digits *= 10
            digits += digit
        else:
            inside = fraction >= offset
            irregular |= inside & (digit > 9)
            np.copyto(digits, digits * 10 + digit, where=inside)
    values = digits / _POWERS_OF_TEN.take(fraction, mode="clip")
    np.negative(values, out=values, where=negative)
    return values, irregular


def _points(characters: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Position of each number's first decimal point, or its end if it has no point."""
    points = np.flatnonzero(characters == ord("."))
    if len(points) == len(ends) and (points >= starts).all() and (points < ends).all():
        return points
    following = np.searchsorted(points, starts)
    return np.minimum(np.append(points, len(characters))[following], ends)


def _float(text: bytes, index: int) -> float:
    try:
        # Python accepts 1_000 and line breaks around a number; in a data file both are errors.
        if b"_" not in text and text == text.strip():
            return float(text)
    except ValueError:
        pass
    raise NotANumber(index, text[:30].decode("utf-8", errors="replace"))
