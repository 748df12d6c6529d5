"""Encoders: what they compute, and that a kept one computes the same."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from recbole_mm.errors import InputError
from recbole_mm.features import encoders
from recbole_mm.features.encoders import (
    fit_names,
    fit_numbers,
    fit_standard,
    fit_text,
    fit_words,
    load_field_encoder,
)
from recbole_mm.features.genre_words import mask_genre_words

RANDOM = np.random.default_rng(0)
WORDS = [f"word{i}" for i in range(120)]
TEXTS = [" ".join(RANDOM.choice(WORDS, 30)) + (" comedy film" if i % 2 else " horror film") for i in range(160)]
NAMES = [[f"cast={name}" for name in RANDOM.choice(60, 4, replace=False)] for _ in range(160)]
NUMBERS = RANDOM.normal(size=(160, 9)) * np.arange(1, 10)


@pytest.fixture
def sentence_model(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A sentence encoder that counts digits; the texts that it was given."""
    given: list[str] = []

    def embed(texts) -> np.ndarray:
        given.extend(texts)
        return np.array([[text.count(letter) for letter in "01234567"] for text in texts], dtype=np.float32)

    monkeypatch.setattr(encoders, "embed", embed)
    return given


FITS = {
    "text": lambda: (fit_text(TEXTS, 6), TEXTS),
    "words": lambda: (fit_words(TEXTS, 20), TEXTS),
    "names": lambda: (fit_names(NAMES, 12), NAMES),
    "numbers": lambda: (fit_numbers(NUMBERS, 5), NUMBERS),
    "standard": lambda: (fit_standard(NUMBERS), NUMBERS),
}


@pytest.mark.parametrize("kind", FITS)
def test_a_kept_encoder_gives_the_same_vectors(kind: str, tmp_path: Path, sentence_model) -> None:
    (encoder, values), raw = FITS[kind]()
    encoder.save(tmp_path / "d.f.encoder.npz")
    loaded = load_field_encoder(tmp_path / "d.f.encoder.npz")
    np.testing.assert_allclose(loaded(list(raw)), values, atol=1e-9)
    np.testing.assert_allclose(loaded([raw[7]])[0], values[7], atol=1e-9)
    assert np.abs(loaded([raw[7]])[0] - values[8]).max() > 0.1, "another movie's vector is another"
    assert loaded.sentence_encoder == ("all-MiniLM-L6-v2" if kind == "text" else "")


def test_genre_words_change_nothing(sentence_model) -> None:
    plain = [mask_genre_words(text) for text in TEXTS]
    np.testing.assert_array_equal(fit_words(TEXTS, 20)[1], fit_words(plain, 20)[1])
    encoder, values = fit_text(TEXTS, 6)
    assert not any("comedy" in text or "horror" in text for text in sentence_model)
    np.testing.assert_array_equal(encoder(["A horror of word1 and a comedy"]), encoder(["A of word1 and a"]))
    assert 1 < values.shape[1] <= 6


def test_genres_of_another_data_set_are_masked_too(tmp_path: Path) -> None:
    texts = [f"{text} mecha" for text in TEXTS]
    assert "mecha" in fit_words(texts, 5)[0].components.terms
    encoder = fit_words(texts, 5, genres=["Mecha"])[0]
    assert "mecha" not in encoder.components.terms
    encoder.save(tmp_path / "e.npz")
    assert load_field_encoder(tmp_path / "e.npz").genres == ("Mecha",)


def test_tf_idf_is_scikit_learns() -> None:
    for documents, options in ((NAMES, {"min_df": 2}), ([text.split() for text in TEXTS], {"min_df": 3})):
        fit = fit_names if documents is NAMES else lambda given, k: fit_words([" ".join(words) for words in given], k)
        components = fit(documents, 4)[0].components
        masked = [[word for word in words if mask_genre_words(word)] for words in documents]
        reference = TfidfVectorizer(analyzer=list, sublinear_tf=components.sublinear, dtype=np.float64, **options)
        expected = reference.fit_transform(masked)
        assert components.terms.tolist() == reference.get_feature_names_out().tolist()
        np.testing.assert_allclose(components.tf_idf(masked).toarray(), expected.toarray(), atol=1e-12)


def test_components_are_centred_and_in_proportion() -> None:
    _, values = fit_names(NAMES, 12)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)
    assert values.std(axis=0).max() == pytest.approx(1)
    _, values = fit_standard(np.column_stack([NUMBERS, np.full(160, 3.0)]))
    np.testing.assert_allclose(values.std(axis=0), [1] * 9 + [0], atol=1e-6)


def test_unknown_names_are_ignored_and_too_few_are_an_error() -> None:
    encoder, values = fit_names(NAMES, 12)
    np.testing.assert_allclose(encoder([[*NAMES[3], "cast=nobody"]])[0], values[3], atol=1e-12)
    with pytest.raises(InputError, match="only 0 names or words are in 2 of the 3 movies"):
        fit_names([["a"], ["b"], ["c"]], 5)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("words", "", "needs a text, not ''"),
        ("words", None, "needs a text, not None"),
        ("names", "cast=a", "needs a list of names, not 'cast=a'"),
        ("names", [1, 2], "needs a list of names"),
        ("numbers", [1.0, 2.0], r"needs 9 finite numbers, not \[1.0, 2.0\]"),
        ("numbers", [np.nan] * 9, "needs 9 finite numbers"),
        ("numbers", "text", "needs 9 finite numbers, not 'text'"),
        ("numbers", [10**400] * 9, r"needs 9 finite numbers, not \[1000.*\.\.\."),
        ("numbers", [True] * 9, r"needs 9 finite numbers, not \[True"),
        ("numbers", [1.0] * 8 + [True], "needs 9 finite numbers"),
        ("numbers", np.ones(9, bool), "needs 9 finite numbers"),
        ("numbers", ["1"] * 9, "needs 9 finite numbers"),
        ("numbers", [10**5000] * 9, "needs 9 finite numbers"),
        ("standard", [1e300] * 9, "too large for the model"),
    ],
)
def test_wrong_content_is_an_error(kind: str, content, message: str) -> None:
    (encoder, _), _ = FITS[kind]()
    with pytest.raises(InputError, match=message):
        encoder([content])


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        fit_names(NAMES, 4)[0].save(tmp_path / "d.meta.encoder.npz")
        return tmp_path / "d.meta.encoder.npz"

    def arrays(self, path: Path) -> dict:
        with np.load(path) as archive:
            return dict(archive)

    @pytest.mark.parametrize(
        "change",
        [
            {"content": np.array("sounds")},
            {"content": np.array("text"), "sentence_encoder": np.array("somebody/model")},
            {"loadings": np.zeros((3, 3))},
            {"terms": np.arange(5)},
            {"idf": np.zeros((2, 2))},
            {"scale": np.zeros(2)},
            {"genres": np.array([{}], dtype=object)},
        ],
    )
    def test_a_wrong_file_is_one_error(self, path: Path, change: dict) -> None:
        np.savez(path, **{**self.arrays(path), **change})
        with pytest.raises(InputError, match="d.meta.encoder.npz: is not an encoder of recbole-mm") as caught:
            load_field_encoder(path)
        assert "\n" not in str(caught.value)

    def test_missing_truncated_and_pickled(self, path: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file; build the data set again"):
            load_field_encoder(tmp_path / "none.npz")
        whole = path.read_bytes()
        for content in (whole[: len(whole) // 2], b"", pickle.dumps({"a": 1})):
            path.write_bytes(content)
            with pytest.raises(InputError, match="is not an encoder"):
                load_field_encoder(path)

    def test_of_equal_content_the_bytes_are_equal(self, path: Path) -> None:
        before = path.read_bytes()
        fit_names(NAMES, 4)[0].save(path)
        assert path.read_bytes() == before
