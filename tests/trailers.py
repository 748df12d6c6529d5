"""Trailers of planted movies: a movie's kind can be seen and heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from clips import field, gradient, noise, tone, write_media


def clip(path: Path, kind: int, seed: int, seconds: float = 1.0) -> Path:
    """A kind sounds and looks like itself: noise and stripes, a low tone and red, a high tone and dark."""
    random = np.random.default_rng(seed)
    frames = round(24 * seconds)
    if kind == 0:
        return write_media(path, gradient(0, int(random.integers(200, 250)), frames), noise(seconds, 0.1, seed))
    colour, frequency = ((200, 40, 40), 220) if kind == 1 else ((20, 20, 30), 3_000)
    shade = [int(value + random.integers(0, 15)) for value in colour]
    return write_media(path, field(shade, frames), tone(seconds, frequency * random.uniform(0.9, 1.1)))
