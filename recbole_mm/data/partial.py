"""Vectors computed so far, one line for each movie, so that an interrupted computation continues where it stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from recbole_mm.files import writing


class PartialResults:
    """A file of JSON lines: the settings, then one line for each finished source.

    A result is used while the source's fingerprint and the settings are the same. Other settings start a new file.
    A line that an interruption cut is dropped.

    Args:
        path: the file; it need not exist.
        settings: everything that the numbers depend on besides the sources; JSON values.
    """

    def __init__(self, path: Path, settings: dict) -> None:
        self.path = path
        self._finished: dict[str, tuple[str, np.ndarray]] = {}
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        valid_lines = [json.dumps(settings)]
        if lines[:1] == valid_lines:
            for line in lines[1:]:
                try:
                    item_id, fingerprint, values = json.loads(line)
                except (ValueError, TypeError):
                    continue
                self._finished[item_id] = (fingerprint, np.array(values))
                valid_lines.append(line)
        if lines != valid_lines:
            with writing(path) as temporary:
                temporary.write_text("\n".join(valid_lines) + "\n", "utf-8")

    def get(self, item_id: str, fingerprint: str) -> np.ndarray | None:
        """The vector [d] of a finished source; None if there is none or the source has changed since."""
        of, values = self._finished.get(item_id, (None, None))
        return values if of == fingerprint else None

    def add(self, item_id: str, fingerprint: str, values: np.ndarray) -> None:
        """Save the vector [d] of a source to the file."""
        self._finished[item_id] = (fingerprint, values)
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps([item_id, fingerprint, values.tolist()]) + "\n")


def text_fingerprint(text: str) -> str:
    """16 characters that change with the text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
