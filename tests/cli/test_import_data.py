"""``recbole-mm import``: an own data set of 300 users, as csv and npy, to a trained model in two commands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recbole_mm.cli.main import main


@pytest.fixture
def own(tmp_path, monkeypatch):
    """csv files and an npy matrix of 300 users and 120 movies in the working directory."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(3)
    pairs = random.permutation(300 * 120)[:6000]
    frame = pd.DataFrame({"user": pairs // 120, "item": pairs % 120, "stars": random.integers(1, 11, 6000) / 2})
    frame.to_csv("r.csv", index=False)
    titles = [f'A "{i}" story, part {i}' for i in range(120)]
    genres = random.choice(["Drama", "Drama|War", "Comedy"], 120)
    pd.DataFrame({"item": range(120), "title": titles, "genres": genres}).to_csv("m.csv", index=False)
    np.save("t.npy", random.normal(size=(100, 6)).astype(np.float32))
    (tmp_path / "ids.txt").write_text("\n".join(map(str, range(100))))
    return tmp_path


def test_two_commands_with_genres(own, capsys):
    assert main(["import", "--ratings=r.csv", "--items=m.csv", "--vectors", "text=t.npy:ids.txt", "--name=mine"]) == 0
    told = capsys.readouterr().out
    assert "ratings: 6,000 of 300 users and 120 items; user is 'user', item is 'item', rating is 'stars'" in told
    assert "genres, split at '|': 3: Drama" in told and "text: 100 of 120 items have a vector, 6-d" in told
    assert "likes: ratings go from 0.5 to 5; from 4 on" in told
    assert "next: recbole-mm run --model=MMASP --dataset=mine" in told
    assert main(["run", "--model=MMASP", "--dataset=mine", "--epochs=1", "--show_progress=False"]) == 0
    told = capsys.readouterr().out
    assert all(metric in told for metric in ("rmse", "ndcg@10", "genre_map"))


def test_two_commands_without_genres_and_items(own, capsys):
    assert main(["import", "--ratings=r.csv", "--vectors", "text=t.npy:ids.txt", "--name=bare"]) == 0
    assert main(["run", "--model=MMASP", "--dataset=bare", "--epochs=1", "--show_progress=False"]) == 0
    told = capsys.readouterr().out
    assert "rmse" in told and "genre_map" not in told


def test_one_line_for_wrong_input_and_nothing_is_left(own, capsys):
    for arguments, message in (
        (["--columns", "user"], "--columns: 'user' is not of the form ROLE=COLUMN"),
        (["--vectors", "text=t.npy"], "t.npy: an .npy matrix holds no item ids"),
        (["--vectors", "text=t.npy:ids.txt", "text=t.npy:ids.txt"], "--vectors: 'text' is given twice"),
        (["--items=none.csv"], "none.csv: no such file"),
        (["--like-threshold=7"], "--like-threshold=7: the ratings go from 0.5 to 5"),
    ):
        assert main(["import", "--ratings=r.csv", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error and len(error.splitlines()) == 1
    assert not (own / "dataset").exists()


def test_the_file_of_options_says_where_it_comes_from(own):
    assert main(["import", "--ratings=r.csv", "--items=m.csv", "--name=mine"]) == 0
    text = (own / "dataset/mine/mine.yaml").read_text()
    assert "recbole-mm import" in text and "#   genres, split at '|'" in text
    assert "modalities: []" in text and "like_threshold: 4.0" in text
