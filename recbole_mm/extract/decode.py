"""Sound and pictures of a media file, block by block: memory use does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from recbole_mm.errors import InputError

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts"),
    *(".flv", ".wmv", ".ogv", ".3gp"),
)
AUDIO_SUFFIXES = (*VIDEO_SUFFIXES, ".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma")

# What FFmpeg takes a file for is decided by its content. Playlists, which name other files, are not among these.
_FORMATS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,3gp,wav,mp3,flac,aac"

# A file is truncated if at most this part of its stated length can be decoded. The decoder reports no error then.
_TRUNCATED = 0.8
# Formats without an index, whose length is guessed from the bit rate.
_LENGTH_IS_A_GUESS = {"mp3", "aac", "mpegts", "mpeg"}


class MediaError(Exception):
    """A media file that cannot be used; the message says why. Such a file is skipped and listed."""


def require_av() -> None:
    """Raises InputError if PyAV, which decodes the files, is not installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise InputError(
            "sound and pictures are decoded by PyAV (module av), which is not installed; type: "
            "pip install 'recbole-mm[extract]'"
        ) from None


def stated_seconds(file: Path | BinaryIO) -> float:
    """Length of a media file as its header states it, in seconds; 0 where it states none.

    Raises:
        MediaError: the file cannot be decoded.
    """
    with _open(file) as container:
        return (container.duration or 0) / 1e6


def sound(path: Path | BinaryIO, rate: int, seconds: float | None = None) -> Iterator[np.ndarray]:
    """The best sound track, mean of its channels, resampled, as float32 blocks [n] in -1..1.

    Args:
        rate: samples a second.
        seconds: use the first seconds only.

    Raises:
        MediaError: the file cannot be decoded, is truncated or has no sound.
    """
    import av

    with _open(path) as container:
        stream = container.streams.best("audio")
        if stream is None:
            raise MediaError("has no sound track")
        resampler = av.AudioResampler(format="fltp", rate=rate)
        limit = None if seconds is None else round(seconds * rate)
        done = 0
        for frame in _then_none(container.decode(stream)):
            for part in resampler.resample(frame):
                # Mean of the channels: FFmpeg's own mix makes the same sound louder in stereo than in mono.
                block = part.to_ndarray().mean(axis=0)[: None if limit is None else limit - done]
                done += len(block)
                yield block
            if limit is not None and done >= limit:
                return
        _check_length(container, stream, done / rate)


def pictures(
    path: Path | BinaryIO, rate: float, width: int | None, height: int, seconds: float | None = None
) -> Iterator[tuple[float, np.ndarray]]:
    """The best video track, at most ``rate`` pictures a second, scaled: (second, uint8 RGB [height, width, 3]).

    Args:
        width: None keeps the aspect ratio of each picture.
        seconds: use the first seconds only.

    Raises:
        MediaError: the file cannot be decoded, is truncated or has no pictures.
    """
    with _open(path) as container:
        stream = container.streams.best("video")
        if stream is None:
            raise MediaError("has no video track")
        stream.thread_type = "AUTO"
        frame_rate = float(stream.average_rate or 25)
        start, time, next_time = None, 0.0, 0.0
        for index, frame in enumerate(container.decode(stream)):
            stamp = index / frame_rate if frame.time is None else frame.time
            start = stamp if start is None else start
            time = stamp - start
            if seconds is not None and time >= seconds:
                return
            if time < next_time - 1e-6:
                continue
            next_time = (np.floor(time * rate + 1e-6) + 1) / rate
            scaled_width = width or max(round(height * frame.width / frame.height), 1)
            scaled = frame.reformat(width=scaled_width, height=height, format="rgb24", interpolation="AREA")
            yield time, scaled.to_ndarray()
        _check_length(container, stream, time + 1 / frame_rate)


@contextmanager
def _open(file: Path | BinaryIO):
    """An open container. PyAV's errors inside the block become a MediaError."""
    import av

    try:
        # Local files only: a playlist named like a media file must not fetch anything.
        options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        # Titles in old files are often not UTF-8. They are not used here, but PyAV before 19 refuses such a file.
        lenient = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}
        source = f"file:{file.resolve()}" if isinstance(file, Path) else file
        with av.open(source, options=options, **lenient) as container:
            for stream in container.streams.video:
                # The header of an AVI file states the number of frames; FFmpeg corrects the duration to the real one.
                if stream.frames and stream.duration and stream.average_rate:
                    duration = float(stream.duration * stream.time_base)
                    _check_not_truncated(duration, float(stream.frames / stream.average_rate))
            yield container
    except (av.FFmpegError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error  # strerror: without the error number and the path
        raise MediaError(f"cannot be decoded ({reason})") from None


def _then_none(frames: Iterator) -> Iterator:
    """The frames, then None, which makes a resampler return its last samples."""
    yield from frames
    yield None


def _check_length(container, stream, decoded: float) -> None:
    """Refuse a file that is much shorter than its stated length."""
    stated = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
    if not _LENGTH_IS_A_GUESS & set(container.format.name.split(",")):
        _check_not_truncated(decoded, stated)


def _check_not_truncated(seconds: float, stated: float) -> None:
    if seconds <= _TRUNCATED * stated:
        raise MediaError(f"is truncated: it holds {seconds:.1f} s of {stated:.1f} s")
