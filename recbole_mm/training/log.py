"""The log of a training run."""

from __future__ import annotations

import re
from logging import LoggerAdapter
from typing import Any

_EPOCH = re.compile(r"(?<=epoch )\d+(?= evaluating)|(?<=best eval result in epoch )\d+")  # messages of RecBole's `fit`


class CountedFromOne(LoggerAdapter):
    """The log of a trainer: the epochs of RecBole's messages are counted from 1, as in results and tables."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        return _EPOCH.sub(lambda found: str(int(found[0]) + 1), str(msg)), kwargs
