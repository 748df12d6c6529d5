"""Fitted encoders: raw content of a movie -> its vector. An encoder is kept, so that it can encode a later movie.

A field's encoder is a file beside the field's vectors, ``<dataset>.<field>.encoder.npz``: plain arrays, without pickle.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from recbole_mm.errors import InputError
from recbole_mm.features.components import Rotation, fit_rotation, with_fixed_signs
from recbole_mm.features.genre_words import genre_pattern, mask_and_count
from recbole_mm.features.metadata import keyword_names, metadata_names, words_of
from recbole_mm.features.sentence_encoder import PACKAGED, load_encoder
from recbole_mm.files import UnreadableArrays, read_arrays, writing
from recbole_mm.finite import floats_of, is_vector, shown

# Content of a field -> what a movie's raw content is.
CONTENTS = {
    "text": "a text",
    "words": "a text",
    "names": "a list of names",
    "metadata": "names by kind, as in {'director': 'Agnès Varda', 'cast': ['Corinne Marchand']}",
    "keywords": "a list of keywords",
    "numbers": "a list of numbers",
}
_EXPLAINED_VARIANCE = 0.95
_REMEDY = "build the data set again (recbole-mm prepare … --force)"


@dataclass(frozen=True)
class NumberComponents:
    """Vectors [n, d] -> components [n, k]: clip, standardise, rotate (`Rotation`), divide by one number."""

    rotation: Rotation
    scale: float

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """float64 [n, k]."""
        return self.rotation(np.asarray(raw, np.float64)) / self.scale

    def raw_of(self, vectors: np.ndarray) -> np.ndarray:
        """Raw vectors [n, d] that have these components [n, k], and nothing outside of them.

        What the components leave out is at its mean: directions of small variance, constant columns.
        """
        rotation = self.rotation
        varies = np.isfinite(rotation.deviation)
        raw = np.broadcast_to(rotation.mean, (len(vectors), self.size)).astype(np.float64)
        raw[:, varies] += (vectors * self.scale @ rotation.loadings)[:, varies] * rotation.deviation[varies]
        return raw

    @property
    def size(self) -> int:
        """Length of a raw vector, d."""
        return len(self.rotation.mean)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` reads."""
        parts = {name: value.astype(np.float32) for name, value in vars(self.rotation).items()}
        return {**parts, "scale": np.float64(self.scale)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> NumberComponents:
        """The components with these arrays; raises ValueError if their shapes do not match."""
        parts = {name: arrays[name].astype(np.float64) for name in ("low", "high", "mean", "deviation", "loadings")}
        size = len(parts["mean"])
        if parts["loadings"].ndim != 2 or any(parts[name].shape[-1] != size for name in parts):
            raise ValueError("its arrays have different lengths")
        return cls(Rotation(**parts), float(arrays["scale"]))


@dataclass(frozen=True)
class TermComponents:
    """Terms of a movie -> components [k]: tf-idf, length 1, loadings, minus the mean, divided by one number.

    Attributes:
        terms: str [w], sorted; other terms are ignored.
        idf: [w].
        loadings: float16 [k, w].
        mean: [k].
        sublinear: a term counts 1 + log(number of times), not the number.
    """

    terms: np.ndarray
    idf: np.ndarray
    loadings: np.ndarray
    mean: np.ndarray
    scale: float
    sublinear: bool

    def __call__(self, documents: Sequence[Sequence[str]]) -> np.ndarray:
        """float64 [n, k]."""
        weights = self.tf_idf(documents)
        return (weights @ self.loadings.astype(np.float64).T - self.mean) / self.scale

    def tf_idf(self, documents: Sequence[Sequence[str]]) -> csr_matrix:
        """[n, w]; rows have length 1, or 0 where no term is known."""
        place = {term: i for i, term in enumerate(self.terms.tolist())}
        rows, columns, counts = [], [], []
        for row, document in enumerate(documents):
            for term, times in Counter(term for term in document if term in place).items():
                rows.append(row)
                columns.append(place[term])
                counts.append(times)
        weights = np.array(counts, np.float64)
        weights = (1 + np.log(weights) if self.sublinear else weights) * self.idf[columns]
        squares = np.bincount(rows, weights**2, minlength=len(documents))
        weights /= np.sqrt(squares)[rows]
        return csr_matrix((weights, (rows, columns)), shape=(len(documents), len(self.terms)))

    def arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` reads."""
        names = ("terms", "idf", "loadings", "mean")
        rest = {"scale": np.float64(self.scale), "sublinear": np.bool_(self.sublinear)}
        return {**{name: getattr(self, name) for name in names}, **rest}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> TermComponents:
        """The components with these arrays; raises ValueError if their shapes do not match."""
        terms, idf, loadings, mean = (arrays[name] for name in ("terms", "idf", "loadings", "mean"))
        if terms.dtype.kind != "U" or idf.shape != terms.shape or loadings.shape != (len(mean), len(terms)):
            raise ValueError("its arrays have different lengths")
        return cls(terms, idf, loadings, mean, float(arrays["scale"]), bool(arrays["sublinear"]))


@dataclass(frozen=True)
class FieldEncoder:
    """Raw content of movies -> vectors of one field.

    Attributes:
        content: a key of `CONTENTS`.
        components: fitted on the movies of a data set.
        sentence_encoder: of content ``text``: the name of the model. A file can name none but the packaged one: what a
            name on a hub loads is not for a data file to decide.
        genres: whose names are masked or left out besides those of MovieLens.
        extracted: of content ``numbers`` that `recbole-mm extract` computed from media files: how, as JSON text.
    """

    content: str
    components: NumberComponents | TermComponents
    sentence_encoder: str = ""
    genres: tuple[str, ...] = ()
    extracted: str = ""

    def __call__(self, raw: Sequence[Any]) -> np.ndarray:
        """Vectors float64 [n, k] of n movies.

        Args:
            raw: the content of each movie; `CONTENTS` says what it is.

        Raises:
            InputError: a movie's content is something else, or the sentence encoder is not installed.
        """
        for one in raw:
            self.check(one)
        if self.content == "text":
            return self.components(embed(mask_genres(raw, self.genres)))
        if self.content == "numbers":
            return self._of_numbers(raw)
        return self.components(terms_of(self.content, raw, self.genres))

    def _of_numbers(self, raw: Sequence[Any]) -> np.ndarray:
        vectors = self.components(np.array([floats_of(numbers) for numbers in raw]))
        if (np.abs(vectors) > np.finfo(np.float32).max).any():
            raise InputError("holds a number that is too large for the model; correct it")
        return vectors

    def describe(self) -> str:
        """What a movie's raw content is."""
        if self.content == "numbers":
            return f"{self.components.size} finite numbers"
        return CONTENTS[self.content]

    def check(self, raw: Any) -> None:
        """Raise an InputError if ``raw`` is not the content of a movie."""
        is_right = is_vector(raw, self.components.size) if self.content == "numbers" else _CHECKS[self.content](raw)
        if not is_right:
            raise InputError(f"needs {self.describe()}, not {shown(raw)}")

    def save(self, path: Path) -> None:
        """Write `to_bytes`. The file appears complete or not at all."""
        with writing(path) as temporary:
            temporary.write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The encoder as a compressed npz of plain arrays."""
        about = {
            "content": np.array(self.content),
            "sentence_encoder": np.array(self.sentence_encoder),
            "genres": np.array(self.genres, dtype=np.str_),
            **({"extracted": np.array(self.extracted)} if self.extracted else {}),
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **about, **self.components.arrays())
        return buffer.getvalue()


def encoder_path(folder: Path, dataset: str, field: str) -> Path:
    """Where the encoder of a field lies."""
    return Path(folder) / f"{dataset}.{field}.encoder.npz"


def load_field_encoder(path: Path) -> FieldEncoder:
    """Read a file of `FieldEncoder.save`.

    Raises:
        InputError: no such file, or it holds something else.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; {_REMEDY}")
    return field_encoder_of(path.read_bytes(), str(path), _REMEDY)


def field_encoder_of(content: bytes, name: str, remedy: str) -> FieldEncoder:
    """The encoder of `FieldEncoder.to_bytes`.

    Args:
        name, remedy: for messages: where it is from, and what to do.

    Raises:
        InputError: the bytes are something else.
    """
    try:
        arrays = read_arrays(io.BytesIO(content))
        content = str(arrays["content"])
        if content not in CONTENTS:
            raise ValueError(f"content '{content}'")
        kind = NumberComponents if content in ("text", "numbers") else TermComponents
        if content == "text" and str(arrays["sentence_encoder"]) != PACKAGED:
            raise ValueError(f"sentence encoder '{str(arrays['sentence_encoder'])[:60]}' is not {PACKAGED}")
        genres = tuple(map(str, arrays["genres"].tolist()))
        components, extracted = kind.from_arrays(arrays), str(arrays.get("extracted", ""))
        return FieldEncoder(content, components, str(arrays["sentence_encoder"]), genres, extracted)
    except (UnreadableArrays, KeyError, ValueError, TypeError, IndexError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name}: is not an encoder of recbole-mm ({reason}); {remedy}") from None


# ------------------------------------------------------------------------------------------------------------ fitting


def fit_numbers(raw: np.ndarray, max_components: int) -> tuple[FieldEncoder, np.ndarray]:
    """Clip, standardise, rotate to principal components (`fit_rotation`), divide by the first one's deviation.

    The components keep their relative variances (no whitening). The first components that explain 95 % of the variance
    are kept, at most ``max_components``.

    Args:
        raw: [n, d], finite.

    Returns:
        The encoder, and float64 [n, k]; the first column has a standard deviation of 1.
    """
    raw = np.asarray(raw, np.float64)
    rotation = _single_precision(fit_rotation(raw, max_components, _EXPLAINED_VARIANCE))
    encoder = FieldEncoder("numbers", NumberComponents(rotation, float(rotation(raw)[:, 0].std())))
    return encoder, encoder.components(raw)


def fit_standard(raw: np.ndarray) -> tuple[FieldEncoder, np.ndarray]:
    """Columns with mean 0 and deviation 1; a constant column becomes 0. Returns the encoder and float64 [n, d]."""
    raw = np.asarray(raw, np.float64)
    unbounded, deviation = np.full(raw.shape[1], np.inf), raw.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    rotation = _single_precision(Rotation(-unbounded, unbounded, raw.mean(axis=0), deviation, np.eye(raw.shape[1])))
    encoder = FieldEncoder("numbers", NumberComponents(rotation, 1.0))
    return encoder, encoder.components(raw)


def fit_text(texts: Sequence[str], max_components: int, genres: Sequence[str] = ()) -> tuple[FieldEncoder, np.ndarray]:
    """Sentence embeddings of texts without their genre words, rotated as by `fit_numbers`."""
    return fit_embedded(embed(mask_genres(texts, genres)), max_components, genres)


def fit_embedded(
    embeddings: np.ndarray, max_components: int, genres: Sequence[str] = ()
) -> tuple[FieldEncoder, np.ndarray]:
    """`fit_text` for texts whose embeddings [n, d] are there already."""
    encoder, vectors = fit_numbers(embeddings, max_components)
    return FieldEncoder("text", encoder.components, PACKAGED, tuple(genres)), vectors


def embedding_encoder(size: int, genres: Sequence[str] = ()) -> FieldEncoder:
    """The encoder of vectors that are sentence embeddings as they are, of ``size`` numbers."""
    unbounded = np.full(size, np.inf)
    rotation = Rotation(-unbounded, unbounded, np.zeros(size), np.ones(size), np.eye(size))
    return FieldEncoder("text", NumberComponents(rotation, 1.0), PACKAGED, tuple(genres))


def scaling_encoder(mean: np.ndarray, deviation: np.ndarray, limit: float, extracted: str = "") -> FieldEncoder:
    """The encoder of standardised numbers within ± ``limit``; a deviation [d] of inf makes a column 0."""
    finite = np.where(np.isfinite(deviation), deviation, 1.0)
    low, high = mean - limit * finite, mean + limit * finite
    components = NumberComponents(Rotation(low, high, mean, deviation, np.eye(len(mean))), 1.0)
    return FieldEncoder("numbers", components, extracted=extracted)


def fit_words(texts: Sequence[str], components: int, genres: Sequence[str] = ()) -> tuple[FieldEncoder, np.ndarray]:
    """tf-idf over the words in three or more texts, then truncated SVD. Genre words are removed first.

    The sentence embedding gives the topic of a summary, but loses single words ("sequel", "trial").
    """
    documents = terms_of("words", texts, genres)
    fitted = _fit_terms(documents, components, min_documents=3, sublinear=True)
    return FieldEncoder("words", fitted, genres=tuple(genres)), fitted(documents)


def fit_names(
    raw: Sequence[Any], components: int, content: str = "names", genres: Sequence[str] = ()
) -> tuple[FieldEncoder, np.ndarray]:
    """tf-idf over the names that two or more movies have, then truncated SVD.

    A name of a single movie tells nothing about other movies.

    Args:
        raw: of each movie.
        content: names, metadata or keywords.
    """
    documents = terms_of(content, raw, genres)
    fitted = _fit_terms(documents, components, min_documents=2, sublinear=False)
    return FieldEncoder(content, fitted, genres=tuple(genres)), fitted(documents)


def terms_of(content: str, raw: Sequence[Any], genres: Sequence[str] = ()) -> list[list[str]]:
    """The words or names of each movie, without words for genres (content ``names``: as they are)."""
    if content == "words":
        return [words_of(text) for text in mask_genres(raw, genres)]
    if content == "metadata":
        return [metadata_names(metadata, genres) for metadata in raw]
    if content == "keywords":
        return [keyword_names(keywords, genres) for keywords in raw]
    return [list(names) for names in raw]


def _fit_terms(
    documents: Sequence[Sequence[str]], components: int, min_documents: int, sublinear: bool
) -> TermComponents:
    """Truncated SVD of tf-idf rows; components are centred and divided by the largest of their deviations."""
    in_documents = Counter(term for document in documents for term in set(document))
    terms = sorted(term for term, times in in_documents.items() if times >= min_documents)
    components = min(components, len(terms) - 1, len(documents) - 1)
    if components < 1:
        raise InputError(
            f"only {len(terms)} names or words are in {min_documents} of the {len(documents)} movies or more: too few "
            f"for vectors"
        )
    # The idf of scikit-learn, as if one more document held every term.
    idf = np.log((1 + len(documents)) / (1 + np.array([in_documents[term] for term in terms]))) + 1
    place = {"terms": np.array(terms, dtype=np.str_), "idf": idf, "sublinear": sublinear}
    weights = TermComponents(loadings=np.empty((0, len(terms))), mean=np.zeros(0), scale=1.0, **place).tf_idf(documents)
    _, _, loadings = svds(weights, k=components, v0=np.ones(min(weights.shape)))
    loadings = with_fixed_signs(loadings[::-1]).astype(np.float16)  # svds returns the smallest first
    values = weights @ loadings.astype(np.float64).T
    return TermComponents(loadings=loadings, mean=values.mean(axis=0), scale=float(values.std(axis=0).max()), **place)


def _single_precision(rotation: Rotation) -> Rotation:
    """With the numbers that a kept encoder has, so that it gives the same vectors."""
    with np.errstate(over="ignore"):
        parts = {name: np.asarray(value, np.float32) for name, value in vars(rotation).items()}
    return Rotation(**{name: value.astype(np.float64) for name, value in parts.items()})


# -------------------------------------------------------------------------------------------------------------- texts


def mask_genres(texts: Sequence[str], genres: Sequence[str] = ()) -> list[str]:
    """Texts without words that name a MovieLens genre or one of ``genres``."""
    pattern = genre_pattern(genres)
    return [mask_and_count(text, pattern)[0] for text in texts]


def embed(texts: Sequence[str]) -> np.ndarray:
    """Sentence embeddings [n, 384] (all-MiniLM-L6-v2) of texts as they are."""
    return load_encoder().encode(list(texts), batch_size=32, show_progress_bar=False)


def _is_text(raw: Any) -> bool:
    return isinstance(raw, str) and bool(raw.strip())


def _are_names(raw: Any) -> bool:
    is_list = isinstance(raw, Sequence) and not isinstance(raw, str)
    return is_list and all(isinstance(name, str) for name in raw)


def _are_names_by_kind(raw: Any) -> bool:
    return isinstance(raw, Mapping) and all(
        isinstance(kind, str) and (isinstance(names, str) or _are_names(names)) for kind, names in raw.items()
    )


_CHECKS = {
    **dict.fromkeys(("text", "words"), _is_text),
    **dict.fromkeys(("names", "keywords"), _are_names),
    "metadata": _are_names_by_kind,
}
