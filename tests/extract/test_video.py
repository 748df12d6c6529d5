"""Statistics of clips in which shots, motion, light and colour were planted."""

from __future__ import annotations

import numpy as np
import pytest
from clips import field, gradient, tone

from recbole_mm.extract.decode import MediaError
from recbole_mm.extract.video import COLUMNS, colour_variance, lighting_key, luv, video_statistics

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (128, 128, 128)]


def statistics(path, **options) -> dict[str, float]:
    return dict(zip(COLUMNS, video_statistics(path, **options), strict=True))


@pytest.mark.parametrize("cuts", [0, 1, 4])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_cuts_make_shots(tmp_path, write_clip, cuts, suffix):
    """Shots of one second each."""
    pictures = sum((field(colour) for colour in COLOURS[: cuts + 1]), [])
    found = statistics(write_clip(tmp_path / f"clip{suffix}", pictures))
    assert np.exp(found["log_shots"]) == pytest.approx(cuts + 1)
    assert np.exp(found["log_shot_length"]) == pytest.approx(1, rel=0.05)
    assert found["motion_mean"] < 0.005


def test_what_moves_is_motion_and_no_cut(tmp_path, write_clip):
    still = gradient(20, 230, 72)
    moving = [np.roll(picture, 2 * i, axis=1) for i, picture in enumerate(still)]
    at_rest, in_motion = (
        statistics(write_clip(tmp_path / f"{name}.mp4", pictures))
        for name, pictures in (("still", still), ("moving", moving))
    )
    assert at_rest["motion_mean"] < 0.005 and at_rest["motion_deviation"] < 0.005
    assert in_motion["motion_mean"] > 0.1
    assert at_rest["log_shots"] == in_motion["log_shots"] == 0


def test_a_flash_of_motion_deviates(tmp_path, write_clip):
    still = gradient(20, 230, 72)
    half = [np.roll(picture, 2 * i * (i > 36), axis=1) for i, picture in enumerate(still)]
    found = statistics(write_clip(tmp_path / "half.mp4", half))
    assert found["motion_deviation"] > 0.03


def test_a_bright_clip_has_a_higher_lighting_key(tmp_path, write_clip):
    dark = statistics(write_clip(tmp_path / "dark.mp4", gradient(0, 60)))
    bright = statistics(write_clip(tmp_path / "bright.mp4", gradient(60, 250)))
    assert bright["lighting_key"] > 5 * dark["lighting_key"]
    # Mean 155 and deviation 190 / √12 of 255.
    assert bright["lighting_key"] == pytest.approx(155 / 255 * 190 / np.sqrt(12) / 255, rel=0.05)


def test_many_colours_vary_more_than_one(tmp_path, write_clip):
    mosaic = np.zeros((72, 128, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        mosaic[:, i * 26 : (i + 1) * 26] = colour
    colourful = statistics(write_clip(tmp_path / "colours.mp4", [mosaic] * 24))
    one = statistics(write_clip(tmp_path / "one.mp4", field(COLOURS[0])))
    assert colourful["colour_variance_mean"] > 10 > 1 > one["colour_variance_mean"]
    assert colourful["colour_variance_deviation"] < 0.1


def test_the_frame_rate_does_not_matter(tmp_path, write_clip):
    slow, fast = (
        video_statistics(write_clip(tmp_path / f"{fps}.mp4", field(COLOURS[0], fps) + field(COLOURS[1], fps), fps=fps))
        for fps in (12, 30)
    )
    assert np.allclose(slow, fast, atol=0.05)


def test_only_the_first_seconds(tmp_path, write_clip):
    path = write_clip(tmp_path / "clip.mp4", sum((field(colour) for colour in COLOURS), []))
    assert np.exp(statistics(path, seconds=2)["log_shots"]) == pytest.approx(2)


@pytest.mark.parametrize(
    "rgb, expected",
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 175.01, 37.75)),
        ((0, 1, 0), (87.73, -83.07, 107.40)),
        ((0, 0, 1), (32.30, -9.40, -130.34)),
    ],
)
def test_known_colours_in_luv(rgb, expected):
    assert luv(np.array([rgb], np.float32))[0] == pytest.approx(expected, abs=0.05)


def test_one_colour_has_neither_variance_nor_key():
    rgb = np.full((50, 3), 0.4, np.float32)
    assert colour_variance(rgb) == pytest.approx(0, abs=1e-9)
    assert lighting_key(rgb) == pytest.approx(0, abs=1e-6)


def test_what_has_no_statistics(tmp_path, write_clip):
    with pytest.raises(MediaError, match="has no video track"):
        video_statistics(write_clip(tmp_path / "sound.mp4", samples=tone(1)))
    with pytest.raises(MediaError, match="fewer than two pictures"):
        video_statistics(write_clip(tmp_path / "short.mp4", field((9, 9, 9), 3)))
