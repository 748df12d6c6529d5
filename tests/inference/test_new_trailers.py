"""Movies added from their trailer's file: as from its numbers, and as on the page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import gradient, noise, write_media

from recbole_mm import load
from recbole_mm.errors import InputError

pytest.importorskip("av", reason="the extra 'extract' is not installed")
from trailers import clip

from recbole_mm.extract import trailer as extract_trailer
from recbole_mm.extract.audio import audio_statistics
from recbole_mm.extract.video import video_statistics


@pytest.fixture(scope="module")
def loaded(trained):
    return load(trained)


@pytest.fixture
def recommender(trained):
    return load(trained)


def everything(recommender, movie: str) -> np.ndarray:
    """All that the model says of a movie."""
    rating = recommender.predict(recommender.users, movie)["rating"]
    return np.concatenate([recommender.movie_embeddings().loc[movie], recommender.genres(movie).loc[movie], rating])


def test_a_file_is_what_its_numbers_are(recommender, tmp_path):
    paths = [clip(tmp_path / f"{kind}.mp4", kind, 100 + kind, seconds=1.5) for kind in range(3)]
    titles = ["New one", "New two", "New three"]
    recommender.add_movies({"title": [*titles, "Without"], "trailer": [str(paths[0]), *paths[1:], None]})
    by_hand = {
        "audio_raw": [audio_statistics(path) for path in paths],
        "video_raw": [video_statistics(path) for path in paths],
    }
    recommender.add_movies({"title": [f"{title} by hand" for title in titles], **by_hand})
    for title in titles:
        np.testing.assert_allclose(
            everything(recommender, title), everything(recommender, f"{title} by hand"), rtol=1e-5, atol=1e-6
        )
    assert recommender.genres(titles).idxmax(axis=1).tolist() == ["Action", "Comedy", "Drama"]
    recommender.add_movies({"title": ["Nothing known"]})
    assert (everything(recommender, "Without") == everything(recommender, "Nothing known")).all()
    assert np.abs(everything(recommender, titles[0]) - everything(recommender, "Without")).max() > 0.5


def test_a_file_is_what_the_page_answers(recommender, tmp_path):
    pytest.importorskip("flask", reason="the extra 'demo' is not installed")
    from recbole_mm.demo.app import create_app

    path, liked = clip(tmp_path / "new.mp4", 2, 300), ["m2", "m5"]
    client = create_app(recommender).test_client()
    sent = client.post("/api/trailer", data=path.read_bytes(), content_type="application/octet-stream").json
    answer = client.post("/api/new", json={"liked": liked, "trailer": sent["numbers"]}).json
    recommender.add_movies({"title": "New", "trailer": path})
    assert recommender.predict_for("New", liked)["rating"].item() == pytest.approx(answer["rating"], rel=1e-5)
    genres = {row["genre"]: row["probability"] for row in answer["genres"]}
    assert genres == pytest.approx(recommender.genres("New").loc["New", list(genres)].to_dict(), rel=1e-4)
    similar = [row["item_id"] for row in answer["similar"]]
    assert recommender.similar_movies("New", len(similar))["item_id"].tolist() == similar


def test_a_model_from_one_file_takes_trailers(recommender, tmp_path):
    recommender.save(tmp_path / "model.safetensors")
    path, liked = clip(tmp_path / "new.mp4", 1, 7), ["m1", "m4"]
    ratings = []
    for one in (recommender, load(tmp_path / "model.safetensors")):
        one.add_movies(pd.DataFrame({"title": ["New", "Other"], "trailer": [str(path), np.nan]}))
        ratings.append(one.predict_for(["New", "Other"], liked)["rating"])
    np.testing.assert_allclose(*ratings, rtol=1e-4)
    assert ratings[0][0] - ratings[0][1] > 0.3


def test_the_raw_content_names_the_column(loaded):
    assert loaded.raw_content == {
        "audio": "60 finite numbers, or a file in the column trailer",
        "video": "7 finite numbers, or a file in the column trailer",
    }
    with pytest.raises(InputError, match="no column 'trailr'.* Did you mean 'trailer'"):
        loaded.add_movies({"title": ["A"], "trailr": ["x"]})


def test_a_file_fills_what_no_other_column_gives(recommender, tmp_path):
    silent = write_media(tmp_path / "silent.mp4", gradient(0, 200, 24))
    sound = audio_statistics(clip(tmp_path / "other.mp4", 0, 5))
    recommender.add_movies({"title": "One", "trailer": silent, "audio_raw": sound})
    recommender.add_movies({"title": "Two", "video_raw": video_statistics(silent), "audio_raw": sound})
    np.testing.assert_allclose(everything(recommender, "One"), everything(recommender, "Two"), rtol=1e-5, atol=1e-6)


def refused(recommender, table: dict) -> str:
    """The message for this table; no movie of it is added."""
    before = len(recommender.movies)
    with pytest.raises(InputError) as error:
        recommender.add_movies(table)
    assert len(recommender.movies) == before
    (message,) = str(error.value).splitlines()
    return message


def files(folder: Path) -> dict[str, Path]:
    """Files that are no trailers."""
    (folder / "folder").mkdir()
    whole = clip(folder / "whole.mp4", 0, 3, seconds=3).read_bytes()
    contents = {"half.mp4": whole[: len(whole) // 2], "empty.mp4": b"", "text.mp4": b"PK no video"}
    contents["list.m3u8"] = b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    write_media(folder / "silent.mp4", gradient(0, 200, 24))
    write_media(folder / "dark.wav", samples=noise(1))
    write_media(folder / "long.wav", samples=np.zeros(22_050 * 660))
    return {path.name: path for path in folder.iterdir()}


def test_what_is_no_trailer_is_one_line(loaded, tmp_path):
    made = files(tmp_path)
    assert "of 'A'" in refused(loaded, {"title": ["Good", "A"], "trailer": [made["whole.mp4"], made["silent.mp4"]]})
    for name, message in {
        "half.mp4": "the file .*; give a video with sound, such as mp4",
        "empty.mp4": "the file is empty; choose another",
        "text.mp4": "the file cannot be decoded .*; give a video with sound",
        "list.m3u8": "the file cannot be decoded .*; give a video with sound",
        "long.wav": "the file is 11 minutes long, but a trailer has at most 10",
        "folder": "there is no such file; give the path of a video",
        "silent.mp4": "the file has no sound track, so 'audio' cannot be made of it; give another file, or leave "
        "'trailer' out and give 'video_raw'",
        "dark.wav": "the file has no video track, so 'video' cannot be made of it; .* and give 'audio_raw'",
    }.items():
        found = refused(loaded, {"title": ["A", "Good"], "trailer": [made[name], made["whole.mp4"]]})
        assert found.startswith("add_movies: 'trailer' of 'A', ") and name in found
        assert re.search(message, found), found


@pytest.mark.parametrize(
    "table, message",
    [
        ({"trailer": ["no/such.mp4"]}, "'trailer' of 'A', 'no/such.mp4': there is no such file"),
        ({"trailer": [""]}, "there is no such file"),
        ({"trailer": ["a\0b\n"]}, r"'a\\x00b\\n': there is no such file"),
        ({"trailer": ["https://example.org/a.mp4"]}, "there is no such file; give the path of a video"),
        ({"trailer": [b"a.mp4"]}, "must be the path of a video file"),
        ({"trailer": [7]}, "'trailer' of 'A', 7: must be the path of a video file"),
        ({"trailer": [[0.1] * 60]}, "must be the path of a video file"),
        ({"trailer": "a.mp4"}, "'trailer' is 'a.mp4', not a column; give a list"),
        ({"year": [[1979]]}, r"year \[1979\] is no year; give a number such as 1979"),
        ({"year": 1979}, "'year' is 1979, not a column; give a list"),
        ({"trailer": ["a.mp4", "b.mp4"]}, "'trailer' has 2 rows, 'title' has 1"),
    ],
)
def test_a_cell_or_column_of_another_kind_is_refused(loaded, table, message):
    with pytest.raises(InputError, match=message):
        loaded.add_movies({"title": ["A"], **table})


def test_a_missing_file_is_found_before_another_is_decoded(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(extract_trailer.subprocess, "run", lambda *_, **__: pytest.fail("a file was decoded"))
    good = clip(tmp_path / "good.mp4", 0, 3)
    assert "of 'B', 'none.mp4'" in refused(loaded, {"title": ["A", "B"], "trailer": [good, "none.mp4"]})
    assert "belongs to movie" in refused(loaded, {"title": ["A", "Movie number 8"], "trailer": [good, good]})
    monkeypatch.setattr(extract_trailer, "MAX_BYTES", 100)
    assert "the file has more than" in refused(loaded, {"title": "A", "trailer": good})


def test_without_the_decoder_the_remedy_is_named(loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    found = refused(loaded, {"title": "A", "trailer": "a.mp4"})
    assert "'trailer' of 'A', 'a.mp4': sound and pictures are" in found and "pip install 'recbole-mm[extract]'" in found
    assert "trailer" in loaded.raw_content["video"]


def test_a_data_set_whose_vectors_are_from_elsewhere_takes_no_file(recommender_of, tmp_path):
    recommender = recommender_of("MMASP")
    found = refused(recommender, {"title": "A", "trailer": clip(tmp_path / "a.mp4", 0, 1)})
    assert found.startswith("add_movies: 'trailer' of 'A', ") and "train on audio or video that it computed" in found
    assert recommender.add_movies({"title": ["A"], "trailer": [None]}) == ["A"], "no file, no error"


def test_one_movie_may_be_given_without_lists(recommender):
    assert recommender.add_movies({"title": "Alien", "year": 1979, "video_raw": [0.0] * 7}) == ["Alien"]
    assert recommender.movies.iloc[-1][["title", "year"]].tolist() == ["Alien", 1979]
