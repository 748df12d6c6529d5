from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import recbole_mm
from recbole_mm import load
from recbole_mm.errors import InputError
from recbole_mm.inference import artefact

LIKED, DISLIKED, OTHERS = ["m4", "m7"], ["m5"], ["m10", "m11", "m30"]
MODELS = [
    ("MMASP", {}),
    ("MMFS", {"paper": True}),
    ("MMSP", {"implicit_size": 4, "pca_components": 2, "ease_weight": 0.0}),
    ("MMASP", {"protocol": "cold-item", "id_size": 4, "rating_bias": True}),
    ("MMASP", {"adversarial_genres": True, "adversarial_rise": 10}),
    ("MMFS", {"tasks": ("ranking", "genre")}),
]


def saved(recommender, tmp_path: Path, histories: bool = False) -> Path:
    path = tmp_path / "model.safetensors"
    recommender.save(path, histories)
    return path


def same(first: pd.DataFrame, second: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(first, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model, options", MODELS)
def test_people_outside_the_data_get_the_same_from_the_file(recommender_of, tmp_path, model, options):
    recommender = recommender_of(model, **options)
    loaded = load(saved(recommender, tmp_path))
    same(loaded.recommend_for(LIKED, DISLIKED, k=90), recommender.recommend_for(LIKED, DISLIKED, k=90))
    same(loaded.genres(OTHERS), recommender.genres(OTHERS))
    same(loaded.movies, recommender.movies)
    same(loaded.movie_embeddings(), recommender.movie_embeddings())
    same(loaded.similar_movies("m4"), recommender.similar_movies("m4"))
    assert (loaded.about, loaded.rating_scale, loaded.dimensions) == (
        recommender.about,
        recommender.rating_scale,
        recommender.dimensions,
    )
    if recommender.rates:
        same(loaded.predict_for(OTHERS, LIKED, DISLIKED), recommender.predict_for(OTHERS, LIKED, DISLIKED))
    for one in (loaded, recommender):
        one.add_movies({"title": ["New"], "text": [[1.0, 0.1, 0.0]]})
    same(loaded.recommend_for(["New"], k=5), recommender.recommend_for(["New"], k=5))
    same(
        loaded.using(["text"]).recommend_for(LIKED, DISLIKED, k=5),
        recommender.using(["text"]).recommend_for(LIKED, DISLIKED, k=5),
    )
    reasons = [one.explain("m10", liked=LIKED, disliked=DISLIKED) for one in (loaded, recommender)]
    same(reasons[0].movies, reasons[1].movies)
    same(reasons[0].modalities, reasons[1].modalities)


@pytest.mark.parametrize("model, options", MODELS)
def test_with_histories_the_users_are_there_too(recommender_of, tmp_path, model, options):
    recommender = recommender_of(model, **options)
    loaded = load(saved(recommender, tmp_path, histories=True))
    assert loaded.users == recommender.users
    for seen in (True, "all", False):
        same(
            loaded.recommend(loaded.users, k=5, exclude_seen=seen),
            recommender.recommend(loaded.users, k=5, exclude_seen=seen),
        )
    if recommender.rates:
        same(loaded.predict(loaded.users, "m4"), recommender.predict(loaded.users, "m4"))
    same(loaded.user_embeddings(), recommender.user_embeddings())
    same(loaded.explain("m10", user="u3").movies, recommender.explain("m10", user="u3").movies)
    same(loaded.recommend_for(LIKED, DISLIKED), recommender.recommend_for(LIKED, DISLIKED))


def test_without_histories_the_file_knows_nobody(recommender, tmp_path):
    path = saved(recommender, tmp_path)
    loaded = load(path)
    assert loaded.users == [] and not any(name.startswith("users.") for name in load_file(path))
    with pytest.raises(InputError, match="user 'u3': the model was saved without its users; give the movies"):
        loaded.recommend("u3")
    users = len(recommender.users) + 1
    assert not any(users in tensor.shape for tensor in load_file(path).values())


def test_movies_that_were_added_are_in_the_file(recommender, tmp_path):
    recommender.add_movies({"item_id": ["x"], "title": ["New"], "year": [2026], "text": [[1.0, 0.0, 0.0]]})
    recommender.add_movies({"title": ["Other"], "audio": [[1.0, 0, 0, 0, 0]]})
    loaded = load(saved(recommender, tmp_path, histories=True))
    same(loaded.movies, recommender.movies)
    assert loaded.movies["year"].tail(2).tolist() == [2026, pd.NA]
    same(loaded.recommend_for(["New"], k=92), recommender.recommend_for(["New"], k=92))
    same(loaded.recommend("u1", k=92), recommender.recommend("u1", k=92))
    again = load(saved(loaded, tmp_path, histories=True))
    same(again.recommend("u1", k=92), recommender.recommend("u1", k=92))


def test_the_file_is_enough(checkpoint_of, tmp_path):
    """Another process, in an empty folder, while the data set is away."""
    recommender = load(checkpoint_of("MMASP"))
    path = saved(recommender, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = (
        "import recbole_mm, sys; r = recbole_mm.load(sys.argv[1]); "
        "print(r.recommend_for(['m4', 'm7'], ['m5'], k=5).to_json())"
    )
    data = Path(recommender._data.options["data_path"])
    away = data.rename(data.with_name("away"))
    try:
        environment = {**os.environ, "PYTHONPATH": str(Path(recbole_mm.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", code, path],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        away.rename(data)
    found = json.loads(done.stdout.splitlines()[-1])
    expected = recommender.recommend_for(LIKED, DISLIKED, k=5)
    assert list(found["item_id"].values()) == expected["item_id"].tolist()
    np.testing.assert_allclose(list(found["score"].values()), expected["score"], rtol=1e-5)
    assert os.listdir(elsewhere) == []


def test_options_beside_a_folder_of_the_same_name_change_nothing(recommender, tmp_path, monkeypatch):
    path = saved(recommender, tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("dataset/planted").mkdir(parents=True)
    Path("dataset/planted/planted.yaml").write_text("embedding_size: 3\nno_such_option: 1\n")
    same(load(path).recommend_for(LIKED), recommender.recommend_for(LIKED))


def test_a_built_in_model_and_one_without_its_modalities_are_refused(recommender, recommender_of, tmp_path):
    with pytest.raises(InputError, match="EASE does not support a file of its own"):
        recommender_of("EASE", epochs=1).save(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="modalities are switched off"):
        recommender.using(["text"]).save(tmp_path / "x.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        recommender.save(tmp_path / "file" / "x.safetensors")
    assert os.listdir(tmp_path) == ["file"]


# ---------------------------------------------------------------------- files that are wrong


def rewritten(path: Path, change) -> Path:
    """The file after ``change(content, tensors)``, with a right checksum: somebody means it."""
    with artefact.safe_open(path, "pt") as file:
        metadata = file.metadata()
    content, tensors = json.loads(metadata["content"]), load_file(path)
    content = change(content, tensors) or content
    text = content if isinstance(content, str) else json.dumps(content)
    other = path.with_name("other.safetensors")
    checksum = artefact.checksum(text, tensors)
    save_file(tensors, other, {**metadata, "content": text, "checksum": checksum})
    return other


def put(name: str, value):
    def change(content, tensors) -> None:
        tensors[name] = value(tensors[name]) if callable(value) else value

    return change


def without(name: str):
    def change(content, tensors) -> None:
        del tensors[name]

    return change


def option(name: str, value):
    def change(content, tensors) -> None:
        content["options"][name] = value

    return change


def part(name: str, value):
    def change(content, tensors) -> None:
        content[name] = value

    return change


def texts(value) -> torch.Tensor:
    return torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)


WRONG = {
    "no JSON": (lambda content, tensors: "{", "'content' is no JSON"),
    "deep JSON": (lambda content, tensors: "[" * 100_000, "'content' is no JSON"),
    "other keys": (lambda content, tensors: {"model": "MMASP"}, "'content' must have model, dataset"),
    "model of RecBole": (part("model", "BPR"), "holds a 'BPR', not one of MMFS, MMSP, MMASP"),
    "model as path": (part("model", "os:system"), "holds a 'os:system'"),
    "options as list": (part("options", []), "'content: options' is of another kind"),
    "unknown option": (option("embeding_size", 3), "embeding_size"),
    "code in an option": (option("embedding_size", "__import__('os').getcwd()"), "embedding_size"),
    "pickled data": (option("save_dataset", True), "pickled Python objects"),
    "another size": (option("embedding_size", 16), "but the model's options need"),
    "a regression without end": (option("regression_components", 10**6), "than its regression_components need"),
    "a size without end": (option("embedding_size", 10**8), "a tensor would be larger than all of the file"),
    "components without end": (
        lambda content, tensors: content["modalities"][0].update(components=10**6),
        "has fewer vectors than its modalities need",
    ),
    "other modalities": (option("modalities", ["text"]), "its modalities or labels are not those of its options"),
    "dimension": (
        lambda content, tensors: content["modalities"][0].update(dimension=-1),
        "'content: modalities' has a name",
    ),
    "labels": (part("labels", {"genre": [1]}), "'content: labels' must be lists of names"),
    "labels of no task": (part("labels", {"smell": ["x"]}), "its modalities or labels"),
    "fewer genres": (part("labels", {"genre": ["Action"]}), "but the model's options need"),
    "no genres": (part("labels", {}), "no model can be built"),
    "dataset as path": (part("dataset", "../x"), "takes the name of a folder"),
    "missing tensor": (without("model.shared_encoder.weight"), "is missing"),
    "unknown tensor": (put("model.x", torch.zeros(1)), "tensor 'model.x' is unknown"),
    "unknown part": (put("x", torch.zeros(1)), "'x' is no part of such a file"),
    "nan": (put("model.shared_encoder.bias", lambda t: t * float("nan")), "has values that are nan or infinite"),
    "infinite": (put("model.shared_encoder.bias", lambda t: t + float("inf")), "has values that are nan or infinite"),
    "type": (put("model.shared_encoder.bias", lambda t: t.double()), "but the model's options need torch.float32"),
    "shape": (put("model.shared_encoder.bias", lambda t: t[1:]), "but the model's options need torch.float32"),
    "zero scale": (
        put("model.catalogue._fields.0.standardizer.scale", lambda t: t * 0),
        None,
    ),
    "titles": (put("movies.titles", texts(["one"])), "one id, one title and one year each"),
    "titles of numbers": (put("movies.titles", texts([1, 2])), "'movies.titles' is no list of texts"),
    "no texts": (put("movies.titles", torch.tensor([255], dtype=torch.uint8)), "'movies.titles' is no list of texts"),
    "deep texts": (put("movies.titles", torch.full((100_000,), 91, dtype=torch.uint8)), "is no list of texts"),
    "years": (put("movies.years", torch.zeros(91)), "one id, one title and one year each"),
    "one id twice": (
        put("movies.ids", texts(["[PAD]", *["m1"] * 90])),
        "'movies.ids' must be different ids after .PAD.",
    ),
    "no PAD": (put("movies.ids", texts([f"m{i}" for i in range(91)])), "'movies.ids' must be different ids"),
    "users without movies": (put("users.ids", texts(["[PAD]", "u"])), "but the model's options need|is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_contradicts_itself_is_refused_in_one_line(recommender_of, tmp_path, name):
    change, message = WRONG[name]
    path = rewritten(saved(recommender_of("MMFS"), tmp_path), change)
    if message is None:
        load(path)
        return
    with pytest.raises(InputError, match=message) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


USERS = {
    "starts": (put("users.starts", lambda t: t.flip(0)), "'users.starts' does not fit"),
    "starts that fall": (put("users.starts", lambda t: t[[0, 2, 1, *range(3, len(t))]]), "'users.starts' does not fit"),
    "starts missing": (without("users.starts"), "'users.starts' is missing"),
    "movie too large": (put("users.movies", lambda t: t + 80), "has a number out of range"),
    "movie PAD": (put("users.movies", lambda t: t * 0), "has a number out of range"),
    "part": (put("users.parts", lambda t: t + 16), "has a number out of range"),
    "type": (put("users.movies", lambda t: t.float()), "'users.movies' is missing or of another type"),
    "ids": (put("users.ids", lambda t: texts(["[PAD]", *["u"] * 60])), "'users.ids' must be different ids"),
}


@pytest.mark.parametrize("name", USERS)
def test_histories_that_are_none_are_refused(recommender, tmp_path, name):
    change, message = USERS[name]
    path = rewritten(saved(recommender, tmp_path, histories=True), change)
    with pytest.raises(InputError, match=message):
        load(path)


def test_a_damaged_file_is_refused_wherever_the_damage_is(recommender, tmp_path):
    path = saved(recommender, tmp_path, histories=True)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for place in [0, 3, 8, 9, *random.integers(0, len(whole), 40).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            load(path)
    for size in (0, 5, 9, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            load(path)
    path.write_bytes(whole)
    assert load(path).users == recommender.users


def test_another_program_s_file_and_another_version_are_told(recommender, tmp_path):
    path = saved(recommender, tmp_path)
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(3)}, other)
    with pytest.raises(InputError, match="no model file of recbole-mm"):
        load(other)
    with artefact.safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(path), other, {**metadata, "format_version": "99"})
    with pytest.raises(InputError, match="has format version 99, this recbole-mm reads 1"):
        load(other)
    with pytest.raises(InputError, match="needs no data set; leave data_path out"):
        load(path, data_path="x")
    shutil.copy(path, tmp_path / "renamed.pt")
    same(load(tmp_path / "renamed.pt").movies, recommender.movies)
