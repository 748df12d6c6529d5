"""The exception for wrong input: its message says where the error is and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class InputError(ValueError):
    r"""Wrong input: a file, field or option. The message is one line with its name and the remedy.

    The command line prints the message without a traceback and exits with status 2. Line breaks, which a wrong value in
    the message may hold, are shown as ``\n``.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message.replace("\r", "\\r").replace("\n", "\\n"))


class NotInDataError(InputError):
    """The data of a run lack what the run needs: ratings, genres, vectors. Other runs on the same data are possible."""


class NotWrittenError(InputError):
    """A result is finished, but a file of it cannot be written.

    Attributes:
        result: what was finished: a `Result`, or the text of a table. The command line prints it before the error.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


class Terminated(KeyboardInterrupt):
    """SIGTERM was sent to the command. Like KeyboardInterrupt it passes by every ``except Exception``."""


@contextmanager
def when_stopped(say: Callable[[], str]) -> Iterator[None]:
    """Let an interruption of the block (Ctrl-C, SIGTERM) say what was kept and how to go on.

    Args:
        say: gives the message; called only then. A message that an inner block has given is kept.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        if str(stop):
            raise
        raise type(stop)(say()) from stop


def nearest(name: str, candidates: Iterable[str]) -> str:
    """' Did you mean X?' for the candidate most similar to ``name`` (ignoring case), or '' if none is similar."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    match = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[match[0]]}'?" if match else ""
