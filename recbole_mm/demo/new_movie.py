"""What a visitor gives of a movie that does not exist, a summary or a trailer, as vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from recbole_mm.errors import InputError
from recbole_mm.extract.decode import require_av
from recbole_mm.extract.trailer import read_trailer, statistics_of
from recbole_mm.features.encoders import CONTENTS, FieldEncoder

MAX_SUMMARY = 5_000
MAX_TRAILER = 64 << 20


@dataclass
class GivenMovie:
    """Vectors of a movie by modality; names of those made of its summary, and of those that need another install."""

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    of_summary: list[str] = field(default_factory=list)
    not_of_summary: list[str] = field(default_factory=list)


class NewMovieReader:
    """Reads summaries and trailers by the encoders that were kept with a data set's vectors."""

    def __init__(self, encoders: Mapping[str, FieldEncoder]) -> None:
        self._encoders, self._decoding = encoders, Lock()
        self._of_summary = [name for name, one in encoders.items() if CONTENTS[one.content] == CONTENTS["text"]]
        self._of_trailer = [name for name, one in encoders.items() if statistics_of(one)]

    @property
    def about(self) -> dict[str, Any]:
        """takes_summary; takes_trailer, the modalities that a trailer's file gives here; why_no_trailer, a sentence
        where there is none; largest_trailer, in bytes.
        """
        taken, reason = self._of_trailer, ""
        if not taken:
            reason = "A trailer file cannot be read: no numbers of this data set were computed by recbole-mm extract."
        else:
            try:
                require_av()
            except InputError:
                taken, reason = [], "A trailer file can be read after: pip install 'recbole-mm[extract]'"
        return {
            "takes_summary": bool(self._of_summary),
            "takes_trailer": taken,
            "why_no_trailer": reason,
            "largest_trailer": MAX_TRAILER,
        }

    def trailer(self, content: bytes) -> dict[str, Any]:
        """numbers of each modality that the file gives, and problems, the reason of each that it does not.

        Raises:
            InputError: the file gives none, or another file is being read.
        """
        about = self.about
        if not about["takes_trailer"]:
            raise InputError(about["why_no_trailer"])
        if not self._decoding.acquire(blocking=False):
            raise InputError("another trailer is being read; try again in a minute")
        try:
            return vars(read_trailer(content, self._encoders))
        finally:
            self._decoding.release()

    def read(self, summary: Any, trailer: Any) -> GivenMovie:
        """The movie's vectors.

        Raises:
            InputError: neither is given, one is something else, or no modality can be made of them.
        """
        given = GivenMovie()
        if trailer is not None:
            self._read_numbers(trailer, given)
        if summary is not None or trailer is None:
            self._read_summary(summary, given)
        return given

    def _read_numbers(self, trailer: Any, given: GivenMovie) -> None:
        if not isinstance(trailer, dict) or not trailer or not set(trailer) <= set(self._of_trailer):
            names = ", ".join(self._of_trailer) or "none here"
            raise InputError(f"trailer: must be an object with the numbers of one or more of: {names}")
        for name, numbers in trailer.items():
            try:
                given.vectors[name] = self._encoders[name]([numbers])[0]
            except InputError as error:
                raise InputError(f"trailer: '{name}' {error}") from None

    def _read_summary(self, summary: Any, given: GivenMovie) -> None:
        if not isinstance(summary, str) or not summary.strip() or len(summary) > MAX_SUMMARY:
            raise InputError(f"summary: must be a text of at most {MAX_SUMMARY:,} characters")
        problem: Exception = InputError("no encoder of texts was kept with the vectors of this data set")
        for name in self._of_summary:
            try:
                given.vectors[name] = self._encoders[name]([summary])[0]
            except InputError as error:
                problem = error
                given.not_of_summary.append(name)
            else:
                given.of_summary.append(name)
        if not given.of_summary:
            raise InputError(f"summary: no modality can be made of it here ({problem})")
