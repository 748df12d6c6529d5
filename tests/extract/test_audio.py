"""Statistics of sounds whose coefficients are known."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from clips import SAMPLE_RATE, field, noise, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.extract.audio import COLUMNS, RATE, audio_statistics, mel_bands, mfcc
from recbole_mm.extract.decode import MediaError

MEAN, DEVIATION, DELTA = slice(0, 20), slice(20, 40), slice(40, 60)


def coefficients(signal: np.ndarray) -> np.ndarray:
    return np.concatenate(list(mfcc([signal.astype(np.float32)])))


def test_columns_name_the_numbers():
    assert len(COLUMNS) == len(set(COLUMNS)) == 60
    assert COLUMNS[20] == "mfcc_0_deviation"


def test_silence_tone_and_noise(tmp_path, write_clip):
    silence = audio_statistics(write_clip(tmp_path / "silence.wav", samples=np.zeros(2 * SAMPLE_RATE)))
    steady = audio_statistics(write_clip(tmp_path / "tone.wav", samples=tone(2)))
    hiss = audio_statistics(write_clip(tmp_path / "noise.wav", samples=noise(2)))
    # All 64 bands at -100 dB: coefficient 0 is -100 · √64, the others are 0, and nothing changes.
    assert silence[0] == pytest.approx(-800, abs=1e-3)
    assert np.abs(silence[1:]).max() < 1e-3
    assert silence[0] < steady[0] < hiss[0]
    # A tone has a peak, white noise none.
    assert np.abs(steady[1:20]).max() > 5 * np.abs(hiss[1:20]).max()


def test_what_swells_deviates_more_than_what_is_steady(tmp_path, write_clip):
    steady = audio_statistics(write_clip(tmp_path / "steady.wav", samples=noise(3)))
    swelling = np.abs(np.sin(np.arange(3 * SAMPLE_RATE) * np.pi / SAMPLE_RATE)) * noise(3)
    swells = audio_statistics(write_clip(tmp_path / "swells.wav", samples=swelling))
    assert swells[DEVIATION][0] > 5 * steady[DEVIATION][0]
    assert swells[DELTA][0] > 5 * steady[DELTA][0]


def test_a_tone_is_in_its_band():
    power = np.zeros(1025)
    power[round(440 / (RATE / 2048))] = 1
    middle = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), 66)[1:-1] / 2595) - 1)
    assert np.argmax(power @ mel_bands()) == np.argmin(np.abs(middle - 440))


def test_louder_raises_the_first_coefficient_alone():
    """Ten times the amplitude is 20 dB in all 64 bands."""
    quiet, loud = (coefficients(noise(1, level)) for level in (0.01, 0.1))
    assert np.allclose(loud - quiet, [20 * 8] + [0] * 19, atol=0.01)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 8 * SAMPLE_RATE), min_size=1, max_size=5))
def test_the_size_of_blocks_does_not_matter(cuts):
    signal = noise(8).astype(np.float32)
    blocks = list(mfcc(np.split(signal, sorted(cuts))))
    windows = 1 + (len(signal) - 2048) // 512
    one_by_one = np.concatenate([coefficients(signal[i * 512 : i * 512 + 2048]) for i in range(0, windows, 40)])
    together = np.concatenate(blocks)
    assert len(together) == windows
    assert np.allclose(together[::40], one_by_one, atol=1e-3)


def test_deltas_reach_over_the_ends_of_blocks(monkeypatch):
    """The deviation of the delta, computed from all windows at once."""
    signal = noise(15) * np.linspace(0, 1, 15 * SAMPLE_RATE)
    monkeypatch.setattr("recbole_mm.extract.audio.sound", lambda *_: np.array_split(signal.astype(np.float32), 50))
    rows = coefficients(signal)
    slopes = [np.polyfit(np.arange(9), rows[i : i + 9], 1)[0] for i in range(len(rows) - 8)]
    statistics = audio_statistics(None)
    assert np.allclose(statistics[MEAN], rows.mean(axis=0), atol=1e-3)
    assert np.allclose(statistics[DEVIATION], rows.std(axis=0), atol=1e-3)
    assert np.allclose(statistics[DELTA], np.std(slopes, axis=0), atol=1e-3)


def test_equals_librosa():
    librosa = pytest.importorskip("librosa", reason="librosa is not installed; it is for this comparison only")
    signal = (noise(3) + tone(3)).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=signal, sr=RATE, n_fft=2048, hop_length=512, center=False, n_mels=64, htk=True
    )
    theirs = librosa.feature.mfcc(S=librosa.power_to_db(power, top_db=None), n_mfcc=20).T
    assert np.allclose(coefficients(signal), theirs, atol=1e-3)


def test_sound_is_mixed_down_and_resampled(tmp_path, write_clip):
    mono = audio_statistics(write_clip(tmp_path / "mono.wav", samples=noise(2)))
    stereo = audio_statistics(write_clip(tmp_path / "stereo.wav", samples=np.stack([noise(2)] * 2)))
    assert np.allclose(mono, stereo, atol=0.5)


def test_only_the_first_seconds(tmp_path, write_clip):
    path = write_clip(tmp_path / "late.wav", samples=np.concatenate([np.zeros(SAMPLE_RATE), noise(1)]))
    assert audio_statistics(path, seconds=1)[0] == pytest.approx(-800, abs=1e-3)
    assert audio_statistics(path)[0] > -700


def test_sound_of_a_video(tmp_path, write_clip):
    path = write_clip(tmp_path / "clip.mp4", field((90, 90, 90), 48), noise(2))
    alone = write_clip(tmp_path / "alone.wav", samples=noise(2))
    # AAC at its default rate drops the highest bands; the rest is alike.
    assert audio_statistics(path)[0] == pytest.approx(audio_statistics(alone)[0], abs=8)


def test_memory_does_not_grow_with_the_length():
    def peak(seconds: int) -> int:
        block = noise(1).astype(np.float32)
        tracemalloc.start()
        for _ in mfcc(block for _ in range(seconds)):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(90) < 1.2 * peak(30)


@pytest.mark.parametrize(
    "samples, message", [(None, "has no sound track"), (np.zeros(3000), "less than 0.3 s of sound")]
)
def test_what_has_no_statistics(tmp_path, write_clip, samples, message):
    path = tmp_path / ("clip.mp4" if samples is None else "clip.wav")
    write_clip(path, field((0, 0, 0)) if samples is None else (), samples)
    with pytest.raises(MediaError, match=message):
        audio_statistics(path)
