"""A trailer's pictures as 7 numbers, similar to the mise-en-scène features.

Deldjoo, Elahi, Cremonesi, Garzotto, Piazzolla, Quadrana: Content-based video recommendation system based on stylistic
visual features, Journal on Data Semantics 5, 2016. docs/extract.md lists the differences from the paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from recbole_mm.extract.decode import MediaError, pictures
from recbole_mm.extract.moments import Moments

RATE = 4  # pictures a second
WIDTH, HEIGHT = 128, 72  # pixels of a scaled picture

# A cut changes colours and picture; a pan changes only the picture; a slow fade changes both, but little at a time.
CUT_COLOUR_CHANGE = 0.35  # half the L1 distance of the colour histograms: 0 is equal, 1 is nothing in common
CUT_PICTURE_CHANGE = 0.06  # mean absolute change of the RGB values, which are in 0..1

COLUMNS = [
    "log_shot_length",
    "colour_variance_mean",
    "colour_variance_deviation",
    "motion_mean",
    "motion_deviation",
    "lighting_key",
    "log_shots",
]
SETTINGS = {"version": 1, "rate": RATE, "width": WIDTH, "height": HEIGHT}


def video_statistics(path: Path | BinaryIO, seconds: float | None = None) -> np.ndarray:
    """Shots, colour variance, motion and lighting key, in the order of `COLUMNS`; float64 [7].

    Args:
        seconds: use the first seconds only.

    Raises:
        MediaError: the pictures cannot be decoded, or there are fewer than two.
    """
    shots, last_time, last_rgb, last_colours = 1, 0.0, None, None
    colour, motion, lighting = Moments(), Moments(), Moments()
    for time, picture in pictures(path, RATE, WIDTH, HEIGHT, seconds):
        rgb = picture.reshape(-1, 3) / np.float32(255)  # [pixels, 3]
        colours = colour_histogram(picture)
        if last_rgb is not None:
            change = float(np.abs(rgb - last_rgb).mean())
            if change > CUT_PICTURE_CHANGE and np.abs(colours - last_colours).sum() / 2 > CUT_COLOUR_CHANGE:
                shots += 1
            else:
                motion.add(np.array([change]))
        colour.add(np.log1p([colour_variance(rgb)]))
        lighting.add(np.array([lighting_key(rgb)]))
        last_time, last_rgb, last_colours = time, rgb, colours
    if colour.n_rows < 2:
        raise MediaError("has fewer than two pictures, a quarter of a second apart")
    shot_length = (last_time + 1 / RATE) / shots  # seconds
    return np.array(
        [
            np.log(shot_length),
            colour.mean,
            colour.deviation,
            motion.mean,
            motion.deviation,
            lighting.mean,
            np.log(shots),
        ],
        np.float64,
    )


def colour_histogram(picture: np.ndarray) -> np.ndarray:
    """Part of the pixels in each of 8 × 8 × 8 RGB boxes, [512], sum 1; of a picture, uint8 [height, width, 3]."""
    box = (picture >> 5).reshape(-1, 3).astype(np.int64) @ [64, 8, 1]
    return np.bincount(box, minlength=512) / len(box)


def colour_variance(rgb: np.ndarray) -> float:
    """Generalised variance of the colours [pixels, 3]: determinant of their covariance in L*u*v*; 0 if equal."""
    return max(float(np.linalg.det(np.cov(luv(rgb), rowvar=False))), 0.0)


def lighting_key(rgb: np.ndarray) -> float:
    """Mean times standard deviation of the brightness (V of HSV, 0..1): high for a bright picture with contrast."""
    brightness = rgb.max(axis=1)
    return float(brightness.mean() * brightness.std())


def luv(rgb: np.ndarray) -> np.ndarray:
    """CIE 1976 L*u*v* [pixels, 3] of sRGB colours in 0..1, white point D65."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = (linear @ _SRGB_TO_XYZ.T).T
    weight = np.maximum(x + 15 * y + 3 * z, 1e-9)
    lightness = np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, (29 / 3) ** 3 * y)
    white_x, white_y, white_z = _SRGB_TO_XYZ.sum(axis=1)
    white = white_x + 15 * white_y + 3 * white_z
    u = 13 * lightness * (4 * x / weight - 4 * white_x / white)
    v = 13 * lightness * (9 * y / weight - 9 * white_y / white)
    return np.stack([lightness, u, v], axis=1)


_SRGB_TO_XYZ = np.array(  # IEC 61966-2-1
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
