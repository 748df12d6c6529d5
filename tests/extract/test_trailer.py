"""Whose numbers a trailer's can be: those of the same program, settings and version."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from recbole_mm.extract import audio, video
from recbole_mm.extract.scaling import Scaling
from recbole_mm.extract.trailer import how, statistics_of
from recbole_mm.features.encoders import field_encoder_of, fit_words

SEVEN = Scaling.of(np.random.default_rng(0).normal(0, 1, (9, 7)))


def test_the_mark_is_kept_with_the_encoder():
    encoder = SEVEN.encoder(how("video", {**video.SETTINGS, "seconds": 60}))
    assert statistics_of(field_encoder_of(encoder.to_bytes(), "x", "y")) == ("video", 60)
    encoder = SEVEN.encoder(how("video", {**video.SETTINGS, "seconds": None}))
    assert statistics_of(field_encoder_of(encoder.to_bytes(), "x", "y")) == ("video", None)


@pytest.mark.parametrize(
    "mark",
    [
        "",
        how("audio", {**audio.SETTINGS, "seconds": None}),  # 60 numbers, not 7
        how("video", {**video.SETTINGS, "seconds": None, "version": 0}),
        how("video", {**video.SETTINGS, "seconds": -1}),
        how("video", {**video.SETTINGS, "seconds": "60"}),
        how("video", video.SETTINGS),
        how("smell", {**video.SETTINGS, "seconds": None}),
        json.dumps([1]),
        json.dumps({"field": ["video"], "seconds": None}),
        "[" * 5_000,
        "{broken",
    ],
)
def test_other_numbers_are_not_a_trailers_however_many_they_are(mark):
    assert statistics_of(SEVEN.encoder(mark)) is None


def test_a_text_is_no_trailer():
    encoder, _ = fit_words(["one two three four"] * 9 + ["five six"] * 9, 2)
    assert statistics_of(encoder) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of a process are those of Linux")
@pytest.mark.parametrize("wish", ["open('x', 'w').write('a' * 9999)", "bytearray(5 << 30)"])
def test_the_process_that_decodes_can_write_no_file_and_take_no_more_memory(tmp_path, wish):
    limited = "from recbole_mm.extract.decode_trailer import limit_this_process\nlimit_this_process()\n"
    for lines, fails in ((limited, True), ("import recbole_mm.extract.decode_trailer\n", False)):
        if fails or "5 << 30" not in wish:  # without the limit it would take the memory of this machine
            ended = subprocess.run([sys.executable, "-c", lines + wish], cwd=tmp_path, capture_output=True)
            assert (ended.returncode != 0) == fails, ended.stderr
