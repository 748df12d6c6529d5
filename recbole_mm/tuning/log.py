"""The finished trials of a search in a file of JSON lines, from which the search goes on.

It is read as JSON alone. Optuna's own storages are not used: they keep objects in a database or in pickles, which could
run code when they are read.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from recbole_mm.errors import InputError
from recbole_mm.files import why
from recbole_mm.finite import is_finite
from recbole_mm.tuning.trial import Trial

_REMEDY = "remove it, or give another --out"


class Log:
    """The finished trials of one search. The first line of the file describes the search.

    Args:
        path: the file; read if it exists.
        search: everything that decides the trials, as JSON values.

    Raises:
        InputError: the file holds another search, is not such a log, or cannot be written.
    """

    def __init__(self, path: Path, search: dict[str, Any]) -> None:
        self.path, self.trials = path, dict[int, Trial]()
        head = json.dumps({"search": search})
        lines = _whole_lines(path, head)
        if not lines:
            self._append({"search": search})
            return
        try:
            first, *others = map(json.loads, lines)
            logged_search = first["search"]
            if not isinstance(logged_search, dict):
                raise TypeError("line 1 does not describe a search")
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise InputError(f"{path}: is not a log of trials ({' '.join(str(error).split())}); {_REMEDY}") from error
        if logged_search != search:
            different = [key for key in search if search[key] != logged_search.get(key)]
            different += [key for key in logged_search if key not in search]
            raise InputError(f"{path}: holds a search with other {', '.join(different)}; {_REMEDY}")
        for number, line in enumerate(others, start=2):
            fault = _fault(line)
            if fault is None and line["number"] in self.trials:
                fault = f"trial {line['number']} a second time"
            if fault is not None:
                raise InputError(f"{path}: line {number} is not a trial of a search ({fault}); {_REMEDY}")
            self.trials[line["number"]] = Trial(**line)

    def add(self, trial: Trial) -> None:
        """Write a finished trial."""
        self.trials[trial.number] = trial
        self._append(asdict(trial))

    def _append(self, line: dict[str, Any]) -> None:
        """Add a line that is whole, or, if the disk is full, none."""
        size = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                size = file.tell()
                file.write((json.dumps(line) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if size is not None:
                with suppress(OSError):
                    os.truncate(self.path, size)
            raise InputError(
                f"{self.path}: {why(error)}; finished trials are kept: free some space and type the command again, or "
                f"give another --out"
            ) from error


def _whole_lines(path: Path, head: str) -> list[str]:
    """The lines of a log; a last one that a killed process has torn is dropped from the file, and that is said.

    Args:
        head: the first line that a new log would have: only of a log may a first line be torn.

    Raises:
        InputError: the file cannot be read.
    """
    if not path.is_file():
        return []
    try:
        content = path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn and (whole.startswith(b'{"search"') or (not whole and head.encode().startswith(torn))):
            kept = len(content) - len(torn)
            os.truncate(path, kept)
            content = content[:kept]
            print(
                f"recbole-mm: warning: {path}: its last line is torn and was dropped; that trial runs again",
                file=sys.stderr,
            )
        return content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is not a log of trials ({reason}); {_REMEDY}") from error


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and is_finite(value)


def _is_scores(value: Any) -> bool:
    """[epoch, score] of each validation, in the order of the epochs."""
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return False
    epochs = [epoch for epoch, _ in value]
    rising = all(type(epoch) is int and epoch >= 1 for epoch in epochs) and epochs == sorted(set(epochs))
    return rising and all(_is_number(score) for _, score in value)


_VALUES = {
    "number": lambda value: type(value) is int and value >= 1,
    "options": lambda value: isinstance(value, dict),
    "score": lambda value: value is None or _is_number(value),
    "valid": lambda value: isinstance(value, dict),
    "epochs": lambda value: type(value) is int and value >= 0,
    "seconds": _is_number,
    "date": lambda value: isinstance(value, str),
    "failure": lambda value: value is None or isinstance(value, str),
    "pruned": lambda value: isinstance(value, bool),
    "scores": _is_scores,
}


def _fault(line: Any) -> str | None:
    """What is wrong with a line of trials; None if nothing is."""
    if not isinstance(line, dict):
        return "not an object"
    if unknown := line.keys() - _VALUES.keys():
        return f"unknown '{min(unknown)}'"
    for one in fields(Trial):
        if one.name not in line:
            if one.default is MISSING and one.default_factory is MISSING:
                return f"without '{one.name}'"
        elif not _VALUES[one.name](line[one.name]):
            return f"'{one.name}' is {json.dumps(line[one.name])[:60]}"
    if line["score"] is None and line.get("failure") is None:
        return "neither a score nor a failure"
    return None
