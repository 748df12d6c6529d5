from __future__ import annotations

import pytest
import torch
from model_contract import all_pairs, open_session

from recbole_mm.data.modality import Modality
from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.model.catalogue import Catalogue


def test_vectors_are_standardised_by_training_movies_only(planted):
    before = open_session("MMASP", planted, protocol="cold-item")
    tokens = before.split.test.field2id_token["item_id"]
    cold = {tokens[i] for part in ("valid", "test") for i in getattr(before.split.cold_items, part)}
    text = planted.text.copy()
    text[[t in cold for t in planted.tokens]] += 100.0
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, text)
    after = open_session("MMASP", planted, protocol="cold-item")
    assert after.model.catalogue.field("text").vectors.max() > 50
    for statistic in ("mean", "scale"):
        first, second = (getattr(s.model.catalogue.field("text").standardizer, statistic) for s in (before, after))
        assert torch.equal(first, second)


def test_a_cold_movie_is_its_content_whatever_its_untrained_vectors_hold(planted):
    planted.item_columns = {name: [*column, column[-1]] for name, column in planted.item_columns.items()}
    planted.item_columns["item_id:token"][-1] = "brand new"
    planted.write()
    session = open_session("MMASP", planted)
    model, new = session.model.eval(), session.split.train.field2token_id["item_id"]["brand new"]
    pairs = all_pairs(model)
    with torch.no_grad():
        model.tasks["genre"].linear.weight.fill_(0.1)
        genres, movie = model.predict_genres(torch.tensor([new])), torch.tensor([1])
        before = model.predict(pairs), model.predict_rating(pairs)
        for vectors in (model.catalogue.identity.vectors, model.tasks["ranking"].head.residual):
            vectors[new] += 100.0
        model.train().eval()
        assert torch.equal(model.predict(pairs), before[0]) and torch.equal(model.predict_rating(pairs), before[1])
        assert torch.equal(model.predict_genres(torch.tensor([new])), genres)
        genres = model.predict_genres(movie)
        model.tasks["ranking"].head.residual[movie] += 1.0
        assert not torch.equal(model.predict_genres(movie), genres)
        model.catalogue.identity.vectors[1:new] += 100.0
        model.train().eval()
        assert not torch.equal(model.predict_rating(pairs), before[1])


def catalogue(fields: dict[str, Modality], **options) -> Catalogue:
    """Four movies that all have ratings."""
    config = {"embedding_size": 4, "pca_components": None, "dropout_prob": 0.0, "modality_dropout": 0.0}
    config |= {"id_size": 0, "id_dropout": 0.0, **options}
    movies = len(next(iter(fields.values())).present) if fields else 4
    return Catalogue(fields, torch.ones(movies, dtype=torch.bool), config)


def test_a_missing_modality_is_its_learned_vector_whatever_stands_in_its_place():
    torch.manual_seed(0)
    text = Modality(torch.randn(4, 3), torch.ones(4, dtype=torch.bool))
    fused = []
    for value in (0.0, 9.0):
        present = torch.tensor([True, True, True, False])
        audio = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
        audio[3] = value
        torch.manual_seed(1)
        movies = catalogue({"text": text, "audio": Modality(audio, present)})
        with torch.no_grad():
            movies.field("audio").projection[-1] = torch.tensor([1.0, -2.0, 3.0, 4.0])
        fused.append(movies.fuse(movies.draw_identity()))
    assert torch.equal(fused[0], fused[1])
    torch.testing.assert_close(fused[0][3, 4:], torch.tensor([1.0, -0.02, 3.0, 4.0]))


def test_modality_dropout_acts_in_training_only():
    text = Modality(torch.randn(200, 3), torch.ones(200, dtype=torch.bool))
    movies = catalogue({"text": text}, modality_dropout=0.99)
    with torch.no_grad():
        movies.field("text").projection[-1] = 5.0
    lost = (movies.fuse(movies.draw_identity()) == 5.0).all(dim=1).float().mean()
    assert lost > 0.9
    assert (movies.eval().fuse(movies.draw_identity()) == 5.0).all(dim=1).sum() == 0


def test_the_identity_is_lost_in_training_only_and_never_gained():
    movies = catalogue({}, id_size=3, id_dropout=0.5)
    movies.has_ratings[0] = False
    drawn = torch.stack([movies.draw_identity() for _ in range(200)]).float().mean(dim=0)
    assert drawn[0] == 0 and (drawn[1:] > 0.3).all() and (drawn[1:] < 0.7).all()
    assert torch.equal(movies.eval().draw_identity(), movies.has_ratings)


def test_without_modalities_a_movie_is_its_identity():
    movies = catalogue({}, id_size=3).eval()
    fused = movies.fuse(torch.tensor([True, True, True, False]))
    torch.testing.assert_close(
        fused, torch.nn.functional.leaky_relu(movies.identity(movies.has_ratings & (torch.arange(4) < 3)))
    )
    assert movies.vectors_of(torch.tensor([1, 2])).shape == (2, 0)
    with pytest.raises(InputError, match="'modalities' and 'id_size': a movie has neither vectors nor an identity"):
        catalogue({})


def test_fields_may_have_the_names_of_dictionary_methods():
    modality = Modality(torch.randn(4, 3), torch.ones(4, dtype=torch.bool))
    movies = catalogue({"keys": modality, "items": modality})
    assert list(movies.fields()) == ["keys", "items"] and movies.field("items").dimension == 3
