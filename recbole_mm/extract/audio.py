"""A trailer's sound as 60 numbers: statistics of its mel-frequency cepstral coefficients (MFCC).

Mono, 22,050 samples a second, Hann windows of 2,048 samples every 512; power in 64 mel bands from 0 Hz to 11,025 Hz, in
decibel (at least -100); an orthonormal discrete cosine transform gives 20 coefficients for each window (Davis and
Mermelstein, IEEE TASSP 1980). The numbers are those of librosa.feature.mfcc with center=False, htk=True, top_db=None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from scipy.fft import dct, rfft
from scipy.signal.windows import hann

from recbole_mm.extract.decode import MediaError, sound
from recbole_mm.extract.moments import Moments

RATE = 22_050  # samples a second
WINDOW, HOP = 2_048, 512  # samples: 93 ms and 23 ms
BANDS, COEFFICIENTS = 64, 20
_DELTA = np.arange(-4, 5) / 60  # slope of a straight line through 9 windows, per window
_BLOCK = 1 << 17  # samples transformed at a time: 6 seconds

# The mean of a delta is left out: it is (last - first) / length, about 0 for every trailer.
COLUMNS = [f"mfcc_{i}_{what}" for what in ("mean", "deviation", "delta_deviation") for i in range(COEFFICIENTS)]
# Results of another version are computed again.
SETTINGS = {"version": 1, "rate": RATE, "window": WINDOW, "hop": HOP, "bands": BANDS}


def audio_statistics(path: Path | BinaryIO, seconds: float | None = None) -> np.ndarray:
    """Mean and standard deviation of each coefficient, and standard deviation of its delta; `COLUMNS`, float64 [60].

    A delta is the slope of the line fitted to nine consecutive windows (librosa.feature.delta).

    Args:
        seconds: use the first seconds only.

    Raises:
        MediaError: the sound cannot be decoded or is shorter than 0.3 s.
    """
    values, deltas = Moments(), Moments()
    tail = np.empty((0, COEFFICIENTS))  # the last windows of earlier blocks: deltas cross the border between blocks
    for block in mfcc(sound(path, RATE, seconds)):
        values.add(block)
        tail = np.concatenate([tail, block])
        if len(tail) >= len(_DELTA):
            deltas.add(np.lib.stride_tricks.sliding_window_view(tail, len(_DELTA), axis=0) @ _DELTA)
            tail = tail[1 - len(_DELTA) :]
    if not deltas.n_rows:
        raise MediaError("has less than 0.3 s of sound")
    statistics = np.concatenate([values.mean, values.deviation, deltas.deviation])
    if not np.isfinite(statistics).all():
        raise MediaError("has sound samples that are not finite")
    return statistics


def mfcc(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Coefficients [windows, 20] of a signal in blocks of samples. Samples after the last full window are not used."""
    window, bands = hann(WINDOW, sym=False).astype(np.float32), mel_bands()
    for signal in _overlapping(blocks):
        windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
        power = np.abs(rfft(windows * window)) ** 2  # [windows, WINDOW / 2 + 1]
        decibel = 10 * np.log10(np.maximum(power @ bands, 1e-10))
        yield dct(decibel, type=2, norm="ortho")[:, :COEFFICIENTS]


def _overlapping(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Long blocks of samples. Each block starts at the first window that the block before does not contain."""
    waiting, length = [], 0
    for block in blocks:
        waiting.append(block)
        length += len(block)
        if length >= _BLOCK:
            signal = np.concatenate(waiting)
            yield signal
            waiting = [signal[((length - WINDOW) // HOP + 1) * HOP :]]
            length = len(waiting[0])
    if length >= WINDOW:
        yield np.concatenate(waiting)


def mel_bands() -> np.ndarray:
    """Weights float32 [WINDOW / 2 + 1, BANDS]: triangles evenly spaced in mel, each with area 1.

    mel = 2595 log10(1 + Hz / 700) (O'Shaughnessy, Speech Communication, 1987).
    """
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)  # Hz
    frequencies = np.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    triangles = np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)).clip(min=0)
    return (triangles * 2 / (high - low)).astype(np.float32)
