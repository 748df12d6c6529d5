"""Clips that the tests make themselves, so that what must come out is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

SAMPLE_RATE = 22_050


def write_media(
    path: Path, pictures: Sequence[np.ndarray] = (), samples: np.ndarray | None = None, fps: int = 24
) -> Path:
    """A file with pictures uint8 [height, width, 3], ``fps`` a second, and mono or stereo samples [(channels,) n]."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = audio = None
        if len(pictures):
            video = container.add_stream("mpeg4", rate=fps)
            video.height, video.width, _ = pictures[0].shape
            video.pix_fmt = "yuv420p"
            video.bit_rate = 4_000_000
        if samples is not None:
            samples = np.atleast_2d(samples).astype(np.float32)
            layout = {1: "mono", 2: "stereo"}[len(samples)]
            audio = container.add_stream("pcm_s16le" if path.suffix == ".wav" else "aac", rate=SAMPLE_RATE)
            audio.layout = layout
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if video is not None:
            container.mux(video.encode())
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
            frame.sample_rate = SAMPLE_RATE
            codec = audio.codec_context
            resampler = av.AudioResampler(codec.format, layout, SAMPLE_RATE, frame_size=codec.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(audio.encode(part))
            container.mux(audio.encode())
    return path


def tone(seconds: float, frequency: float = 440.0, level: float = 0.3) -> np.ndarray:
    """A sine, float64 [n]."""
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> np.ndarray:
    """White noise, float64 [n]."""
    return np.random.default_rng(seed).normal(0, level, round(seconds * SAMPLE_RATE))


def field(colour: Sequence[int], count: int = 24) -> list[np.ndarray]:
    """Pictures of one colour."""
    return [np.full((72, 128, 3), colour, np.uint8)] * count


def gradient(low: int, high: int, count: int = 24) -> list[np.ndarray]:
    """Pictures that go from one grey on the left to another on the right."""
    row = np.linspace(low, high, 128).astype(np.uint8)
    return [np.broadcast_to(row[None, :, None], (72, 128, 3)).copy()] * count
