"""The log of a training run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from logging import Handler, LoggerAdapter, LogRecord, getLogger
from pathlib import Path
from typing import Any

from recbole.utils import init_logger

_EPOCH = re.compile(r"(?<=epoch )\d+(?= evaluating)|(?<=best eval result in epoch )\d+")  # messages of RecBole's `fit`


class CountedFromOne(LoggerAdapter):
    """The log of a trainer: the epochs of RecBole's messages are counted from 1, as in results and tables."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        return _EPOCH.sub(lambda found: str(int(found[0]) + 1), str(msg)), kwargs


_log_handlers: list[Handler] = []


def start_log(config) -> None:
    """RecBole's log, anew for each run: left alone, it opens one file for all runs of a process."""
    root = getLogger()
    for handler in _log_handlers:
        root.removeHandler(handler)
        handler.close()
    others, root.handlers = root.handlers, []
    # RecBole looks whether the folder is there, then makes it: of two runs that start together, one would fail.
    Path("log", config["model"]).mkdir(parents=True, exist_ok=True)
    streams = sys.stdout, sys.stderr
    init_logger(config)
    # It wraps both anew each time (colorama): after 300 runs in a process, a line would be too deep a recursion.
    sys.stdout, sys.stderr = streams
    _log_handlers[:] = root.handlers
    for handler in root.handlers:
        handler.handleError = _say_once(handler)
    root.handlers = others + root.handlers


def _say_once(handler: Handler) -> Callable[[LogRecord], None]:
    """What becomes of a line that a handler cannot write: one warning, where logging prints a traceback for each."""
    said: list[str] = []

    def handle(record: LogRecord) -> None:
        error = sys.exc_info()[1]
        if not said and not isinstance(error, TypeError):  # that is RaCT's line, with an argument too many
            said.append(where := getattr(handler, "baseFilename", "the log"))
            print(f"recbole-mm: warning: {where}: cannot be written ({error}); the run goes on", file=sys.stderr)

    return handle
