"""A trailer's file on the page: from clips that the tests make, through `recbole-mm extract`, to the answer."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("flask", reason="the extra 'demo' is not installed")
pytest.importorskip("av", reason="the extra 'extract' is not installed")
from clips import gradient, noise, write_media
from trailers import clip

from recbole_mm import load
from recbole_mm.demo import new_movie
from recbole_mm.demo.answers import NEW
from recbole_mm.demo.app import MAX_BYTES, create_app
from recbole_mm.extract.audio import audio_statistics
from recbole_mm.extract.video import video_statistics

BYTES = "application/octet-stream"


@pytest.fixture
def recommender(trained):
    return load(trained)


@pytest.fixture
def client(recommender):
    return create_app(recommender).test_client()


def send(client, content: bytes, content_type: str = BYTES):
    return client.post("/api/trailer", data=content, content_type=content_type)


def error_of(response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    (message,) = response.json.values()
    assert "\n" not in message and "Traceback" not in message
    return message


@pytest.mark.parametrize("kind, genre", enumerate(("Action", "Comedy", "Drama")))
def test_a_trailer_is_a_movie_for_one_answer(client, recommender, tmp_path, kind, genre):
    assert client.get("/api/catalogue").json["takes_trailer"] == ["audio", "video"]
    path = clip(tmp_path / "new.mp4", kind, seed=100)
    read = send(client, path.read_bytes()).json
    assert read["problems"] == {}
    assert read["numbers"]["audio"] == pytest.approx(audio_statistics(path).tolist(), rel=1e-9)
    assert read["numbers"]["video"] == pytest.approx(video_statistics(path).tolist(), rel=1e-9)
    client.get("/api/map")
    liked = [f"m{kind}", f"m{kind + 3}"]
    response = client.post("/api/new", json={"liked": liked, "trailer": read["numbers"]})
    assert response.status_code == 200, response.text
    answer = response.json
    assert answer["genres"][0]["genre"] == genre
    assert {int(one["item_id"][1:]) % 3 for one in answer["similar"]} == {kind}
    assert len(recommender.movies) == 90, "the movie is forgotten"
    places = client.get("/api/map").json
    distance = np.hypot(np.array(places["x"]) - answer["position"][0], np.array(places["y"]) - answer["position"][1])
    near = recommender.movies["item_id"].iloc[np.argsort(distance)[:10]]
    assert np.mean([int(item[1:]) % 3 == kind for item in near]) > 0.8, "it is among its kind"
    numbers = {f"{name}_raw": [values] for name, values in read["numbers"].items()}
    recommender.add_movies({"title": [NEW], **numbers})
    rating = recommender.predict_for(NEW, liked)["rating"].item()
    assert answer["rating"] == pytest.approx(rating, rel=1e-5)


def test_a_model_from_one_file_knows_how_its_numbers_were_made(recommender, trained, tmp_path):
    recommender.save(tmp_path / "model.safetensors")
    path = clip(tmp_path / "new.mp4", 1, 7)
    answers = []
    for found in (recommender, load(tmp_path / "model.safetensors")):
        client = create_app(found).test_client()
        answers.append(client.post("/api/new", json={"trailer": send(client, path.read_bytes()).json["numbers"]}).json)
    assert answers[0]["genres"][0]["genre"] == "Comedy"
    assert [one["item_id"] for one in answers[0]["similar"]] == [one["item_id"] for one in answers[1]["similar"]]
    assert answers[0]["rating"] == pytest.approx(answers[1]["rating"], rel=1e-4)


def test_a_trailer_and_a_modality_off_are_as_in_python(client, recommender, tmp_path):
    read = send(client, clip(tmp_path / "new.mp4", 1, 5).read_bytes()).json
    answer = client.post("/api/new", json={"liked": ["m1"], "modalities": ["video"], "trailer": read["numbers"]}).json
    recommender.add_movies({"title": [NEW], **{f"{name}_raw": [values] for name, values in read["numbers"].items()}})
    expected = recommender.using(["video"]).predict_for(NEW, ["m1"])["rating"].item()
    assert answer["rating"] == pytest.approx(expected, rel=1e-5)


def test_no_file_stays_on_disk(client, tmp_path, monkeypatch):
    content = clip(tmp_path / "x" / "new.mp4", 0, 3).read_bytes()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    before = set(Path.cwd().iterdir())
    assert send(client, content).status_code == 200
    assert list((tmp_path / "t").iterdir()) == [] and set(Path.cwd().iterdir()) == before


def test_a_file_without_sound_or_pictures_gives_the_other(client, tmp_path):
    silent = write_media(tmp_path / "silent.mp4", gradient(0, 200, 24)).read_bytes()
    read = send(client, silent).json
    assert (list(read["numbers"]), read["problems"]) == (["video"], {"audio": "has no sound track"})
    assert client.post("/api/new", json={"trailer": read["numbers"]}).status_code == 200
    dark = write_media(tmp_path / "dark.wav", samples=noise(1)).read_bytes()
    read = send(client, dark).json
    assert (list(read["numbers"]), read["problems"]) == (["audio"], {"video": "has no video track"})


PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:9,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04 no video", "cannot be decoded"),
        (b"<svg onload=alert(1)>", "cannot be decoded"),
        (b"\x00" * 5_000, "cannot be decoded"),
        (PLAYLIST, "cannot be decoded"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "cannot be decoded"),
        (json.dumps({"trailer": 1}).encode(), "cannot be decoded"),
    ],
)
def test_what_is_no_video_is_one_line(client, content, message):
    assert message in error_of(send(client, content))


def test_half_a_file_is_one_line(client, tmp_path):
    content = clip(tmp_path / "new.mp4", 0, 3, seconds=3).read_bytes()
    assert "the file" in error_of(send(client, content[: len(content) // 2]))


def test_a_whole_film_is_no_trailer(client, tmp_path, monkeypatch):
    long = write_media(tmp_path / "long.wav", samples=np.zeros(22_050 * 660))
    assert "is 11 minutes long, but a trailer has at most 10" in error_of(send(client, long.read_bytes()))


def test_only_bytes_of_some_size_are_read(client, monkeypatch):
    for content_type in ("multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded", ""):
        assert "application/octet-stream" in error_of(send(client, b"x", content_type), 415)
    assert "at most 67,108,864 are read" in error_of(send(client, bytes(new_movie.MAX_TRAILER + 1)), 413)
    assert "at most 65,536" in error_of(
        client.post("/api/new", data=b"x" * (MAX_BYTES + 1), content_type="application/json"), 413
    )
    assert client.options("/api/trailer").headers.get("Access-Control-Allow-Origin") is None
    assert client.get("/api/trailer").status_code == 405


@pytest.mark.parametrize(
    "trailer, message",
    [
        ([], "must be an object with the numbers of one or more of: audio, video"),
        ({}, "must be an object"),
        ({"text": [1]}, "must be an object"),
        ({"video": [1, 2]}, "trailer: 'video' needs 7 finite numbers, not"),
        ({"video": "../../etc/passwd"}, "trailer: 'video' needs 7 finite numbers"),
        ({"video": [None] * 7}, "trailer: 'video' needs 7 finite numbers"),
        ({"video": [1e999] * 7}, "trailer: 'video' needs 7 finite numbers"),
        ({"video": [10**400] * 7}, "trailer: 'video' needs 7 finite numbers"),
        ({"video": [True] * 7}, "trailer: 'video' needs 7 finite numbers"),
    ],
)
def test_what_are_no_numbers_of_a_trailer_is_refused(client, trailer, message):
    assert message in error_of(client.post("/api/new", json={"trailer": trailer}))


def test_a_file_that_stops_the_decoder_stops_nothing_else(client, tmp_path, monkeypatch):
    content = clip(tmp_path / "new.mp4", 0, 3).read_bytes()
    monkeypatch.setattr("recbole_mm.extract.trailer.sys.executable", "/bin/false")
    assert "stops the decoder" in error_of(send(client, content))
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 30\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr("recbole_mm.extract.trailer.sys.executable", str(sleeper))
    monkeypatch.setattr("recbole_mm.extract.trailer._PATIENCE", 0.2)
    assert "takes more than 0.2 seconds" in error_of(send(client, content))


def test_one_file_at_a_time(recommender):
    reader = new_movie.NewMovieReader(recommender.encoders)
    with reader._decoding, pytest.raises(new_movie.InputError, match="another trailer is being read"):
        reader.trailer(b"x")


def test_without_the_decoder_the_page_says_what_to_install(client, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    catalogue = client.get("/api/catalogue").json
    assert catalogue["takes_trailer"] == [] and "pip install 'recbole-mm[extract]'" in catalogue["why_no_trailer"]
    assert "pip install" in error_of(send(client, b"x"))
