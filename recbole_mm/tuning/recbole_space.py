"""Search spaces in the form of RecBole's HyperTuning: one option a line, read as text and never evaluated.

learning_rate loguniform -8,0        limits are natural logarithms
dropout_prob uniform 0.0,0.5
train_batch_size quniform 512,2048,512
mlp_hidden_size choice ['[64]','[64,32]']
"""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

from recbole_mm.errors import InputError, nearest

KINDS = ("choice", "uniform", "quniform", "loguniform")
MAX_STEPS = 1000


def read_recbole_space(file: Path) -> dict[str, dict[str, list]]:
    """option -> distribution, in the form of properties/tuning.

    Raises:
        InputError: the file cannot be read, or a line of it; names file and line.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({' '.join(str(error).split())}); give a file of options") from error
    found: dict[str, dict[str, list]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split(None, 2)
        if not words or words[0].startswith("#"):
            continue
        place = f"{file}, line {number}"
        if len(words) < 3:
            raise InputError(
                f"{place}: takes an option, a distribution and values, e.g. 'learning_rate loguniform -8,0'"
            )
        option, kind, text = words
        if option in found:
            raise InputError(f"{place}: option '{option}' stands here a second time; remove one")
        found[option] = _distribution(place, option, kind, text)
    return found


def _distribution(place: str, option: str, kind: str, text: str) -> dict[str, list]:
    if kind == "choice":
        return {"choice": _choices(place, option, text)}
    if kind not in KINDS:
        raise InputError(
            f"{place}: option '{option}': '{kind}' is not a distribution.{nearest(kind, KINDS)} "
            f"Distributions: {', '.join(KINDS)}"
        )
    wanted = 3 if kind == "quniform" else 2
    try:
        numbers = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != wanted or not all(map(math.isfinite, numbers)):
        raise InputError(f"{place}: option '{option}': {kind} takes {wanted} numbers with commas, not '{text}'")
    if kind == "quniform":
        return {"choice": _grid(place, option, *numbers)}
    try:
        return {kind: [math.exp(number) if kind == "loguniform" else number for number in numbers]}
    except OverflowError as error:
        raise InputError(
            f"{place}: option '{option}': loguniform takes logarithms, and e^{numbers} is too large"
        ) from error


def _choices(place: str, option: str, text: str) -> list:
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InputError(f"{place}: option '{option}': choice takes a list, e.g. [1,2], not '{text[:60]}'") from error
    if not isinstance(values, (list, tuple)):
        raise InputError(f"{place}: option '{option}': choice takes a list, e.g. [1,2], not '{text[:60]}'")
    return [_value(one) for one in values]


def _value(one: Any) -> Any:
    """RecBole writes a list inside a choice as text: '[64,32]'."""
    if isinstance(one, str) and one.strip().startswith("["):
        try:
            return ast.literal_eval(one)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return one
    return list(one) if isinstance(one, tuple) else one


def _grid(place: str, option: str, low: float, high: float, step: float) -> list:
    steps = (high - low) / step if step > 0 else -1.0
    if not 0 <= steps <= MAX_STEPS:
        raise InputError(
            f"{place}: option '{option}': quniform takes low, high and a step, at most {MAX_STEPS} values, "
            f"not {low:g}, {high:g}, {step:g}"
        )
    values = [low + i * step for i in range(int(steps + 1e-9) + 1)]
    return [int(value) for value in values] if all(value == int(value) for value in values) else values
