from __future__ import annotations

import pytest
import torch
from model_contract import all_pairs, open_session

from recbole_mm.errors import InputError
from recbole_mm.model import variants

LIKED, DISLIKED = [[1, 2], [], [7]], [[3], [4, 5], []]


@pytest.fixture
def model(planted):
    """Untrained, but with nothing left at zero."""
    model = open_session("MMASP", planted).model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def everything(model) -> list[torch.Tensor]:
    with torch.no_grad():
        pairs, items = all_pairs(model), torch.arange(model.n_items)
        return [model.predict(pairs), model.predict_rating(pairs), model.predict_genres(items)]


@pytest.mark.parametrize(
    "variant",
    [
        lambda model: variants.with_movies(model, {"text": torch.ones(2, 3)}),
        lambda model: variants.with_people(model, LIKED, DISLIKED),
        lambda model: variants.with_modalities(model, ["audio"]),
        lambda model: variants.without_ratings(model),
        lambda model: variants.with_candidates(model, variants.with_modalities(model, [])),
    ],
)
def test_a_variant_leaves_the_model_as_it_is_and_differs_from_it(model, variant):
    before, saved = everything(model), {name: t.clone() for name, t in model.state_dict().items()}
    other = variant(model)
    different = everything(other)
    assert any(a.shape != b.shape or not torch.allclose(a, b) for a, b in zip(different, before))
    for a, b in zip(everything(model), before):
        assert torch.equal(a, b)
    model.train().eval()
    for a, b in zip(everything(model), before):
        torch.testing.assert_close(a, b)
    assert all(torch.equal(t, saved[name]) for name, t in model.state_dict().items())


def test_movies_that_are_there_stay_as_they_were(model):
    larger = variants.with_movies(model, {"text": torch.ones(2, 3)})
    assert larger.n_items == model.n_items + 2
    for name in ("predict", "predict_rating"):
        with torch.no_grad():
            scores = getattr(larger, name)(all_pairs(larger)).view(model.n_users, -1)
            expected = getattr(model, name)(all_pairs(model)).view(model.n_users, -1)
        torch.testing.assert_close(scores[:, : model.n_items], expected)


def test_several_people_at_once_are_each_of_them(model):
    items = torch.arange(1, model.n_items)
    together = variants.with_people(model, LIKED, DISLIKED)
    for i, (liked, disliked) in enumerate(zip(LIKED, DISLIKED)):
        alone = variants.with_people(model, [liked], [disliked])
        for name in ("predict", "predict_rating"):
            with torch.no_grad():
                first, second = (
                    getattr(one, name)({one.USER_ID: torch.full_like(items, user), one.ITEM_ID: items})
                    for one, user in ((together, i), (alone, 0))
                )
            torch.testing.assert_close(first, second)


def test_with_all_modalities_nothing_changes_and_without_any_all_unrated_movies_are_one(model):
    for a, b in zip(everything(variants.with_modalities(model, ["text", "audio"])), everything(model)):
        assert torch.equal(a, b)
    blind = variants.without_ratings(variants.with_modalities(model, []))
    ratings = everything(blind)[1].view(model.n_users, model.n_items)
    torch.testing.assert_close(ratings, ratings[:, :1].expand_as(ratings))
    with pytest.raises(InputError, match="no modality 'txt'. It has text, audio. Did you mean 'text'"):
        variants.with_modalities(model, ["txt"])


def test_candidates_of_another_meet_the_users_as_they_are(model):
    other = variants.with_modalities(model, ["text"])
    mixed = variants.with_candidates(model, other).encoded()
    mine, theirs = model.encoded(), other.encoded()
    assert mixed.users is mine.users and mixed.states["rating"].profiles is mine.states["rating"].profiles
    regression = mixed.states["rating"].regression
    assert regression.users is mine.states["rating"].regression.users
    assert regression.movies is theirs.states["rating"].regression.movies
    assert mixed.states["ranking"].queries is mine.states["ranking"].queries
    assert mixed.movies is theirs.movies and mixed.states["ranking"].movies is theirs.states["ranking"].movies
