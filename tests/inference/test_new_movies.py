"""Movies added from their raw content, by the encoders that lie beside the vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_mm import load, run
from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets.vector_files import write_field
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import encoder_path, fit_names, fit_numbers, fit_words

KINDS = ("robots explosion chase", "joke wedding laughter", "tears letter hospital")


@pytest.fixture
def content(planted) -> dict[str, list]:
    """Planted data whose vectors are made of texts, names and numbers that tell the kind; the raw content by field."""
    random = np.random.default_rng(0)
    filler = [f"filler{i}" for i in range(20)]
    texts = [f"{KINDS[kind]} {' '.join(random.choice(filler, 6))} comedy" for kind in planted.kind]
    people = [{"director": f"Director {kind}", "cast": [f"Actor {random.integers(5)}"]} for kind in planted.kind]
    numbers = np.hstack([planted.text, random.normal(size=(90, 2))])
    for field, (encoder, values) in {
        "text": fit_words(texts, 10),
        "meta": fit_names(people, 5, "metadata"),
        "audio": fit_numbers(numbers, 4),
    }.items():
        write_field(planted.folder, "planted", field, planted.tokens, values, encoder)
    return {"text": texts, "meta": people, "audio": numbers.tolist()}


@pytest.fixture
def recommender(planted, content):
    options = planted.options(modalities=["text", "meta", "audio"], epochs=8, learning_rate=0.03)
    return load(run("MMASP", "planted", config_dict=options).checkpoint)


def test_a_known_movies_raw_content_gives_what_its_vectors_give(planted, content, recommender) -> None:
    raw = {f"{name}_raw": [of_field[7]] for name, of_field in content.items()}
    recommender.add_movies({"title": ["From raw content"], **raw})
    tables = {name: read_vectors(planted.folder, "planted", name) for name in content}
    vectors = {name: [table.values[table.item_ids.tolist().index("m7")]] for name, table in tables.items()}
    recommender.add_movies({"title": ["From vectors"], **vectors})
    recommender.add_movies({"title": ["From its summary"], "summary": [content["text"][7]]})
    recommender.add_movies({"title": ["From text alone"], "text": vectors["text"]})
    for one, other in (("From raw content", "From vectors"), ("From its summary", "From text alone")):
        first, second = (recommender.predict(recommender.users, title)["rating"] for title in (one, other))
        np.testing.assert_allclose(first, second, atol=5e-3)
    first, second = (
        recommender.predict(recommender.users, title)["rating"] for title in ("From vectors", "Movie number 8")
    )
    assert np.abs(first - second).max() > 0.5, "another movie has other ratings"


def test_a_new_movie_is_told_by_its_summary(content, recommender) -> None:
    summaries = [f"A {kind} and nothing else" for kind in KINDS]
    titles = ["New one", "New two", "New three"]
    recommender.add_movies({"title": titles, "summary": summaries, "meta_raw": [{"director": "Nobody"}, None, None]})
    assert recommender.genres(titles).idxmax(axis=1).tolist() == ["Action", "Comedy", "Drama"]
    for kind in range(3):
        found = recommender.predict(f"u{kind}", titles)
        assert found.loc[found["rating"].idxmax(), "title"] == titles[kind]


def test_a_saved_model_keeps_its_encoders(content, recommender, tmp_path: Path) -> None:
    recommender.save(tmp_path / "model.safetensors")
    other = load(tmp_path / "model.safetensors")
    assert other.raw_content == recommender.raw_content
    assert set(other.raw_content) == {"text", "meta", "audio"} and other.raw_content["audio"] == "5 finite numbers"
    for one in (recommender, other):
        one.add_movies({"title": ["New"], "summary": [KINDS[0]]})
    liked = ["m0", "m3"]
    first, second = (one.predict_for(["New"], liked)["rating"] for one in (recommender, other))
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"summary": [3]}, "'summary' of 'A' needs a text, not 3"),
        ({"text_raw": [""]}, "'text_raw' of 'A' needs a text, not ''"),
        ({"meta_raw": [["director=x"]]}, "'meta_raw' of 'A' needs names by kind"),
        ({"meta_raw": [{"director": 5}]}, "'meta_raw' of 'A' needs names by kind"),
        ({"audio_raw": [[1.0, 2.0]]}, "'audio_raw' of 'A' needs 5 finite numbers"),
        ({"audio": [[1.0, 2, 3, 4]], "audio_raw": [[1.0] * 5]}, "'A' has both 'audio' and 'audio_raw'; leave one out"),
        ({"summry": ["x"]}, "no column 'summry'.*Did you mean 'summary'"),
    ],
)
def test_wrong_content_is_refused(content, recommender, table: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recommender.add_movies({"title": ["A"], **table})
    assert len(recommender.movies) == 90


def test_an_encoder_that_cannot_run_here_is_named_by_its_column(recommender, monkeypatch) -> None:
    def not_installed(*_):
        raise InputError("a module is missing; type: pip install it")

    monkeypatch.setattr("recbole_mm.features.encoders.terms_of", not_installed)
    with pytest.raises(InputError, match="'summary' for 'text': a module is missing; type: pip install it"):
        recommender.add_movies({"title": ["A"], "summary": ["robots"]})


def test_an_encoder_of_other_vectors_is_refused(planted, content, recommender) -> None:
    fit_words(content["text"], 3)[0].save(encoder_path(planted.folder, "planted", "text"))
    other = load(recommender_checkpoint(planted))
    with pytest.raises(InputError, match="the encoder of 'text' makes 3 values, but the model takes 10"):
        other.add_movies({"title": ["A"], "summary": ["robots"]})


def recommender_checkpoint(planted) -> str:
    return str(next(Path("saved").glob("*.pt")))


def test_without_encoders_there_are_no_such_columns(recommender_of) -> None:
    with pytest.raises(InputError, match="no column 'summary'"):
        recommender_of("MMASP").add_movies({"title": ["A"], "summary": ["x"]})
    assert recommender_of("MMASP").raw_content == {}


def test_a_damaged_encoder_is_one_error(planted, content, recommender) -> None:
    encoder_path(planted.folder, "planted", "text").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"planted.text.encoder.npz: is not an encoder .*build the data set again"):
        load(recommender_checkpoint(planted))
