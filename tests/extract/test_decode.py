"""Files that are no media files, or only half of one."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from clips import field, noise

from recbole_mm.errors import InputError
from recbole_mm.extract.audio import audio_statistics
from recbole_mm.extract.decode import MediaError, require_av
from recbole_mm.extract.video import video_statistics

BOTH = pytest.mark.parametrize("statistics", [audio_statistics, video_statistics])


@BOTH
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_truncated_file_is_refused(tmp_path, write_clip, statistics, suffix):
    path = write_clip(tmp_path / f"clip{suffix}", field((9, 99, 9), 72), noise(3))
    assert statistics(path) is not None
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match="is truncated|cannot be decoded"):
        statistics(path)


@BOTH
@pytest.mark.parametrize(
    "content", [b"", b"no media file", b"\x00" * 5000, b"#EXTM3U\n#EXTINF:9,\nhttp://localhost:9/a.ts\n"]
)
def test_what_is_no_media_file_is_refused_without_its_path(tmp_path, write_clip, statistics, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(MediaError, match="cannot be decoded") as refused:
        statistics(tmp_path / "x.mp4")
    assert str(tmp_path) not in str(refused.value)


@BOTH
def test_a_strange_name_is_opened(tmp_path, write_clip, statistics):
    """No part of a file's name is taken for a protocol, a pattern or an option."""
    plain = write_clip(tmp_path / "plain.mp4", field((9, 99, 9), 24), noise(1))
    for name in ("http:x.mp4", "a%03d.mp4", "-i.mp4", "ü 'q'.mp4"):
        (tmp_path / name).write_bytes(plain.read_bytes())
        assert (statistics(tmp_path / name) == statistics(plain)).all()


def test_a_title_that_is_not_utf_8_does_not_matter(tmp_path, write_clip):
    path = write_clip(tmp_path / "old.wav", samples=noise(1))
    before = audio_statistics(path)
    title = b"INFOINAM" + (8).to_bytes(4, "little") + b"Am\xe9lie\0\0"
    path.write_bytes(path.read_bytes() + b"LIST" + len(title).to_bytes(4, "little") + title)
    assert np.array_equal(audio_statistics(path), before)


def test_a_missing_decoder_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"pip install 'recbole-mm\[extract\]'"):
        require_av()
