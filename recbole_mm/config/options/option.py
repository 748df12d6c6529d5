"""One option: its name, default, kinds of value, range, choices and help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["bool", "int", "number", "str", "list", "dict", "none"]


@dataclass(frozen=True)
class Range:
    """Numbers that an option takes.

    Attributes:
        text: ends the sentence "must be …" of an error message.
        contains: whether a number is inside. It must be False for NaN.
    """

    text: str
    contains: Callable[[float], bool]


AT_LEAST_0 = Range(">= 0", lambda x: 0 <= x < float("inf"))
AT_LEAST_1 = Range(">= 1", lambda x: x >= 1)
ABOVE_0 = Range("> 0", lambda x: 0 < x < float("inf"))
BETWEEN_0_AND_1 = Range("in (0, 1)", lambda x: 0 < x < 1)
FROM_0_BELOW_1 = Range("in [0, 1)", lambda x: 0 <= x < 1)
FROM_0_TO_1 = Range("in [0, 1]", lambda x: 0 <= x <= 1)
FINITE = Range("finite", lambda x: abs(x) < float("inf"))


@dataclass(frozen=True)
class Option:
    """One option of a run.

    Attributes:
        name: as it is typed, ``--name=value``.
        default: a plain value; a list is written as a tuple here.
        help: one line for the comment in the yaml file. It says what each choice and ``~`` mean.
        kinds: kinds of value; where it is empty, the kind of the default. ``none`` is ``~``.
        items: kind of each item of a list; where it is None, the kind of the default's first item. An option with
            ``items`` also takes one item in place of a list of one.
        range: of the number, or of each number in a list.
        choices: the only texts it takes, in lower case.
        former: names that it had before. Using one is an error that says the new name.
        before: its value in checkpoints and model files that were written before it was there; None: the default.
    """

    name: str
    default: Any
    help: str
    kinds: tuple[Kind, ...] = ()
    items: Kind | None = None
    range: Range | None = None
    choices: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    before: Any = None

    @property
    def all_kinds(self) -> tuple[Kind, ...]:
        """``kinds``, or the kind of the default."""
        return self.kinds or (kind_of(self.default),)


@dataclass(frozen=True)
class Section:
    """Options that stand together in a yaml file.

    Attributes:
        title: of the section.
        options: in the order of the file.
    """

    title: str
    options: tuple[Option, ...]


def kind_of(value: Any) -> str:
    """The `Kind` of a value; the name of its class for anything else."""
    for kind, classes in (
        ("bool", bool),  # before int, which it is in Python
        ("int", int),
        ("number", float),
        ("str", str),
        ("list", (list, tuple)),
        ("dict", dict),
    ):
        if isinstance(value, classes):
            return kind
    return "none" if value is None else type(value).__name__
