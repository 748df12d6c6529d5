"""Raw vectors: rotated inside the model, by training movies only, so a checkpoint can encode a new movie."""

from __future__ import annotations

import pytest
import torch
from model_contract import open_session

from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.model.variants import with_movies


def test_statistics_are_of_training_movies_only(planted):
    options = {"protocol": "cold-item", "pca_components": 2}
    before = open_session("MMFS", planted, **options)
    tokens = before.split.test.field2id_token["item_id"]
    cold = {tokens[i] for part in ("valid", "test") for i in getattr(before.split.cold_items, part)}
    text = planted.text.copy()
    text[[token in cold for token in planted.tokens]] += 100.0
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, text)
    after = open_session("MMFS", planted, **options)
    first, second = (session.model.catalogue.field("text").standardizer.state_dict() for session in (before, after))
    assert set(first) == {f"rotation.{name}" for name in ("low", "high", "mean", "deviation", "loadings")} | {
        "mean",
        "scale",
    }
    for name, statistic in first.items():
        assert torch.equal(statistic, second[name]), name
    text[[token not in cold for token in planted.tokens]] += text.std() * text[:1]
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, text)
    other = open_session("MMFS", planted, **options).model.catalogue.field("text").standardizer.state_dict()
    assert not torch.equal(other["rotation.mean"], first["rotation.mean"])


def test_a_new_movie_is_encoded_from_its_raw_vectors(planted):
    session = open_session("MMASP", planted, pca_components=2)
    session.model.catalogue.has_ratings.zero_()
    model, modalities = session.model.eval(), session.split.train.modalities
    has_all = modalities["text"].present & modalities["audio"].present
    with torch.no_grad():
        inside = model.encoded().movies
        vectors = {name: modality.values[has_all] for name, modality in modalities.items()}
        new = with_movies(model, vectors).encoded().movies.of_task["rating"][model.n_items :]
    assert all(field.vectors.shape[1] == 2 for field in model.catalogue.fields().values())
    torch.testing.assert_close(new, inside.of_task["rating"][has_all])
    with pytest.raises(InputError, match=r"'text' has shape \(1, 2\), but the model takes \(1, 3\)"):
        with_movies(model, {"text": torch.zeros(1, 2)})
