"""Vectors computed so far, in files of a folder, so that a stopped computation goes on and several share the work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from recbole_mm.errors import InputError
from recbole_mm.files import UnreadableArrays, make_folder, read_arrays, writing

ROWS = 1_024  # vectors in a file
SECONDS = 30.0  # what is computed is in a file after this time
_TRIES = 5  # to read a folder in which another process replaces files, each at most once in `SECONDS`


class _Place(NamedTuple):
    part: Path
    row: int


class PartialResults:
    """The finished vectors of a folder: files ``part-….npz`` of up to 1,024 vectors each, written aside and renamed.

    A vector is used while the source's fingerprint and the settings are the same. A file is named by a checksum of what
    it holds, so that processes which share the work write into one folder, or into several that are copied together.
    Only ids are read at the start; vectors stay on the disk. A file whose ids cannot be read is passed over, and
    `pass_over_damaged` does the same for damaged vectors: what they held is computed again.

    Another process that still adds to its own file writes a longer one and removes the shorter one. Then the folder is
    read again: the longer file has the same vectors.

    As a context it writes at the end of the block, also when that is stopped, what is in no file yet.

    Args:
        folder: it need not exist.
        settings: everything that the numbers depend on besides the sources; JSON values.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, settings: dict) -> None:
        make_folder(folder)
        self.folder = folder
        self._settings = json.dumps(settings)
        self._places: dict[tuple[str, str], _Place] = {}
        self._damaged: list[Path] = []
        self._other_settings: list[str] = []  # of each file of other settings
        self._rows: list[tuple[str, str, np.ndarray]] = []  # of the file that grows
        self._in_file, self._growing, self._since = 0, None, monotonic()
        self._read = lru_cache(maxsize=16)(_vectors_of)
        self._index_all()

    def _index_all(self) -> None:
        """Index the files of the folder, and once more if another process replaced one of them meanwhile."""
        self._places.clear()
        for _ in range(_TRIES):
            self._damaged.clear()
            self._other_settings.clear()
            paths = sorted(self.folder.glob("part-*.npz"))
            for path in paths:
                self._index(path)
            if all(path.exists() for path in paths):
                break

    def _index(self, path: Path) -> None:
        try:
            arrays = read_arrays(path, ("settings", "item_id", "fingerprint"))
            ids, fingerprints = (arrays[name].astype(str).tolist() for name in ("item_id", "fingerprint"))
        except (KeyError, UnreadableArrays, ValueError):
            self._damaged.append(path)
            return
        if len(ids) != len(fingerprints):
            self._damaged.append(path)
            return
        if str(arrays["settings"]) != self._settings:
            self._other_settings.append(str(arrays["settings"]))
            return
        self._places.update((key, _Place(path, row)) for row, key in enumerate(zip(ids, fingerprints)))

    def has(self, item_id: str, fingerprint: str) -> bool:
        """Whether the vector of a source is there."""
        return (item_id, fingerprint) in self._places

    def add(self, item_ids: Sequence[str], fingerprints: Sequence[str], values: np.ndarray) -> None:
        """Take the vectors [n, d] of n sources. They are in a file at the latest after `SECONDS` and the next call."""
        self._rows += zip(item_ids, fingerprints, np.asarray(values), strict=True)
        if len(self._rows) >= ROWS or monotonic() - self._since >= SECONDS:
            self.flush()

    def __enter__(self) -> PartialResults:
        return self

    def __exit__(self, *error: object) -> None:
        self.flush()

    def flush(self) -> None:
        """Write what is in no file yet."""
        if len(self._rows) > self._in_file:
            ids, fingerprints, values = (list(column) for column in zip(*self._rows, strict=True))
            content = json.dumps([self._settings, ids, fingerprints])
            path = self.folder / f"part-{hashlib.sha256(content.encode()).hexdigest()[:20]}.npz"
            with writing(path) as temporary, temporary.open("wb") as file:
                texts = {"settings": self._settings, "item_id": ids, "fingerprint": fingerprints}
                arrays: dict[str, Any] = {name: np.array(text, str) for name, text in texts.items()}
                np.savez(file, vectors=np.stack(values), **arrays)
            self._index(path)
            if self._growing is not None and self._growing != path:
                self._growing.unlink(missing_ok=True)  # its vectors are in the new file too
            self._growing, self._in_file = path, len(self._rows)
            if len(self._rows) >= ROWS:
                self._rows, self._in_file, self._growing = [], 0, None
        self._since = monotonic()

    def blocks(self, sources: Sequence[tuple[str, str]], size: int = 4_096) -> Iterator[np.ndarray]:
        """The vectors of (item_id, fingerprint) that are there, in this order, [at most size, d] at a time.

        Raises:
            InputError: a file is damaged, or files were removed while they were read.
        """
        self.flush()
        for start in range(0, len(sources), size):
            yield self._block(sources[start : start + size])

    def _block(self, sources: Sequence[tuple[str, str]]) -> np.ndarray:
        for _ in range(_TRIES):
            with suppress(KeyError, FileNotFoundError):
                places = [self._places[source] for source in sources]
                return np.stack([self._read(place.part)[place.row] for place in places])
            self._index_all()
        raise InputError(
            f"{self.folder}: result files were removed while they were read, or a shard is still at work; run the same "
            "command again when all shards are done"
        )

    def pass_over_damaged(self) -> None:
        """Read all vectors once; those in damaged files are not there any more, so that they are computed again."""
        for path in {place.part for place in self._places.values()}:
            try:
                _vectors_of(path)
            except FileNotFoundError:
                continue  # replaced by another process
            except InputError:
                self._damaged.append(path)
        self._places = {key: place for key, place in self._places.items() if place.part not in self._damaged}

    def remove_damaged(self) -> None:
        """Remove damaged files; their vectors are in other files now."""
        in_use = {place.part for place in self._places.values()}  # a file computed again has the name that it had
        while self._damaged:
            if (path := self._damaged.pop()) not in in_use:
                path.unlink(missing_ok=True)

    def note(self) -> str | None:
        """A line about files of other settings, which are left as they are; None if there are none."""
        if not self._other_settings:
            return None
        return (
            f"{self.folder} also holds {len(self._other_settings):,} files of other settings "
            f"({_differences(self._settings, self._other_settings[0])}), which were not used and are kept; to use "
            "them, give the options that they were made with; to remove them, remove the folder (what is missing then "
            "is computed again)"
        )


def _differences(ours: str, others: str) -> str:
    """'seconds: 60, here: null'."""
    try:
        there, here = json.loads(others), json.loads(ours)
        names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
        shown = [f"{name}: {_short(there.get(name))}, here: {_short(here.get(name))}" for name in names]
        return "; ".join(shown) or "in another order"
    except (ValueError, AttributeError, RecursionError):
        return "not readable as JSON"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _vectors_of(path: Path) -> np.ndarray:
    try:
        arrays = read_arrays(path, ("item_id", "vectors"))
        vectors = arrays["vectors"]
        if vectors.ndim == 2 and len(vectors) == len(arrays["item_id"]):
            return vectors
        reason = "wrong shape"
    except (KeyError, UnreadableArrays) as error:
        if not path.exists():
            raise FileNotFoundError(path) from None
        reason = str(error)
    raise InputError(f"{path}: is damaged ({reason}); remove it, and the same command computes its vectors again")


def text_fingerprint(text: str) -> str:
    """16 characters that change with the text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
