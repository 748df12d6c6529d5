"""What is printed where: letters that a terminal does not know, control characters, and signals that end a command."""

from __future__ import annotations

import codecs
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recbole_mm.errors import Terminated

_LOOK_ALIKE = {"│": "|", "─": "-", "±": "+-", "–": "-", "—": "-", "…": "...", "×": "x", "’": "'", "“": '"', "”": '"'}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_ERRORS = "recbole-mm-look-alike"


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: lines of a table become -, | and +; other letters become ?."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    shown = [_LOOK_ALIKE.get(letter, "+" if "┌" <= letter <= "╿" else "?") for letter in letters]
    return "".join(shown), error.end


def print_everything() -> None:
    """Let no table be lost where the output cannot encode a letter (PYTHONIOENCODING=ascii): a similar one is shown."""
    codecs.register_error(_ERRORS, _look_alike)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)


def encodes_everything() -> bool:
    """Whether every letter can be printed."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def visible(text: str) -> str:
    r"""The text with control characters shown as ``\x1b``: a title cannot move the cursor or clear the screen.

    >>> visible("Alien\x1b[2J")
    'Alien\\x1b[2J'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM raises `Terminated` in the block, so that files are closed and the command says what was kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: let it tidy up
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
