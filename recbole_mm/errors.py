"""The exception for wrong input: its message says where the error is and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Wrong input: a file, field or option. The message is one line with its name and the remedy.

    The command line prints the message without a traceback and exits with status 2.
    """


def nearest(name: str, candidates: Iterable[str]) -> str:
    """' Did you mean X?' for the candidate most similar to ``name`` (ignoring case), or '' if none is similar."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    match = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[match[0]]}'?" if match else ""
