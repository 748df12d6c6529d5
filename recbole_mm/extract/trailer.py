"""The numbers of one trailer that somebody gives, as `recbole-mm extract` computed those of a data set.

The file may be hostile, so a process of its own decodes it (`recbole_mm.extract.decode_trailer`), with limits of time
and memory. The file is never on disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_mm.errors import InputError
from recbole_mm.extract import audio, video
from recbole_mm.features.encoders import FieldEncoder
from recbole_mm.finite import is_finite

MAX_SECONDS = 600  # a longer file is no trailer
MAX_BYTES = 256 << 20  # nor is a larger one
_PATIENCE = 120  # seconds that decoding may take
# Field of `recbole-mm extract` -> from a file to its numbers, the settings of that, and how many numbers there are.
STATISTICS: dict[str, tuple[Callable[..., np.ndarray], dict[str, Any], int]] = {
    "audio": (audio.audio_statistics, audio.SETTINGS, len(audio.COLUMNS)),
    "video": (video.video_statistics, video.SETTINGS, len(video.COLUMNS)),
}


@dataclass(frozen=True)
class Trailer:
    """What was read from a file: the numbers of each field, and why others could not be read."""

    numbers: dict[str, list[float]]
    problems: dict[str, str]


def how(field: str, settings: Mapping[str, Any]) -> str:
    """How `recbole-mm extract` computed the numbers of a field, for `FieldEncoder.extracted`."""
    return json.dumps({"field": field, **settings})


def statistics_of(encoder: FieldEncoder) -> tuple[str, float | None] | None:
    """The key of `STATISTICS` by which an encoder's raw numbers are computed, and how many seconds of a file are used.

    None: they are numbers of another program, of a pretrained network or of another version of this package. Their
    number alone says nothing: the 7 mise-en-scène features of MMTF-14K are in other units.
    """
    try:
        made = json.loads(encoder.extracted[:1000] or "{}")
        field, seconds = made.pop("field"), made.pop("seconds")
        _, settings, size = STATISTICS[field]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    usable = seconds is None or (type(seconds) in (int, float) and is_finite(seconds) and seconds > 0)
    if encoder.content != "numbers" or made != settings or encoder.components.size != size or not usable:
        return None
    return field, seconds


def trailer_fields(encoders: Mapping[str, FieldEncoder]) -> list[str]:
    """The fields of ``encoders`` whose numbers can be computed from a trailer's file."""
    return [name for name, encoder in encoders.items() if statistics_of(encoder)]


def read_trailer(content: bytes, encoders: Mapping[str, FieldEncoder]) -> Trailer:
    """The raw numbers of each field whose encoder takes those of `recbole-mm extract`.

    Args:
        content: of the media file.
        encoders: by field; others than those of `statistics_of` are left out.

    Raises:
        InputError: nothing could be read.
    """
    wanted = {name: made for name, encoder in encoders.items() if (made := statistics_of(encoder))}
    if not content:
        raise InputError("the file is empty; choose another")
    answer = _decode(content, wanted)
    trailer = Trailer(answer.get("numbers", {}), answer.get("problems", {}))
    if not trailer.numbers:
        reasons = "; ".join(dict.fromkeys(trailer.problems.values()))
        raise InputError(f"the file {reasons}; give a video with sound, such as mp4, webm or mkv")
    return trailer


def check_trailer_file(path: Path) -> None:
    """Raise an InputError if there is no such file, or one that is too large."""
    if not path.is_file():
        raise InputError("there is no such file; give the path of a video")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"the file has more than {MAX_BYTES >> 20} MB; give a smaller one")


def read_trailer_file(path: Path, encoders: Mapping[str, FieldEncoder]) -> Trailer:
    """`read_trailer` of a file on disk.

    Raises:
        InputError: nothing could be read, or `check_trailer_file` refuses the file.
    """
    check_trailer_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be opened ({error.strerror})") from None
    return read_trailer(content, encoders)


def _decode(content: bytes, wanted: Mapping[str, tuple[str, float | None]]) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "recbole_mm.extract.decode_trailer", json.dumps(wanted)]
    try:
        process = subprocess.run(
            command,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            check=True,
        )
        return json.loads(process.stdout)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"the file takes more than {_PATIENCE} seconds to decode; give a shorter or smaller one"
        ) from None
    except (subprocess.CalledProcessError, ValueError):
        reason = "stops the decoder: it is damaged, or needs too much memory"
        return {"problems": dict.fromkeys(wanted, reason)}
