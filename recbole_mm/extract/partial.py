"""Results so far, one line for each movie, so that an interrupted extraction goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from recbole_mm.data.vectors import replacing
from recbole_mm.extract.sources import Source


class PartialResults:
    """A file of JSON lines: the settings, then one line for each finished source.

    A result counts as long as the source's fingerprint and the settings are the same; other settings start a new file.
    A line that was cut off by an interruption is dropped.

    Args:
        path: the file; it need not exist.
        settings: all that the numbers depend on besides the sources; JSON values.
    """

    def __init__(self, path: Path, settings: dict) -> None:
        self.path = path
        self._finished: dict[str, tuple[str, np.ndarray]] = {}
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        whole = [json.dumps(settings)]
        if lines[:1] == whole:
            for line in lines[1:]:
                try:
                    item_id, fingerprint, values = json.loads(line)
                except (ValueError, TypeError):
                    continue
                self._finished[item_id] = (fingerprint, np.array(values))
                whole.append(line)
        if lines != whole:
            with replacing(path) as temporary:
                temporary.write_text("\n".join(whole) + "\n", "utf-8")

    def get(self, source: Source) -> np.ndarray | None:
        """The vector [d] of a source that was finished before and has not changed since."""
        fingerprint, values = self._finished.get(source.item_id, (None, None))
        return values if fingerprint == source.fingerprint else None

    def add(self, source: Source, values: np.ndarray) -> None:
        """Keep the vector [d] of a source; it is on disk when this returns."""
        self._finished[source.item_id] = (source.fingerprint, values)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps([source.item_id, source.fingerprint, values.tolist()]) + "\n")
