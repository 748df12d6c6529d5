from __future__ import annotations

import pytest
import torch
from model_contract import all_pairs, open_session

from recbole_mm.model.tasks.rating import RatingHead


def test_training_loss_uses_profiles_without_the_target(planted):
    session = open_session("MMASP", planted, dropout_prob=0.0, modality_dropout=0.0, id_dropout=0.0)
    model, rows = session.model.train(), session.split.train.inter_feat
    users, items, ratings = (rows[name].numpy() for name in (model.USER_ID, model.ITEM_ID, "rating"))
    with torch.no_grad():
        task = model.tasks["rating"]
        task.profiles.dislike.weight.copy_(torch.randn_like(task.profiles.dislike.weight))
        z = model.encoded().movies.of_task["rating"]
        profiles = []
        for user, item in zip(users, items):
            others = [(m, r) for u, m, r in zip(users, items, ratings) if u == user and m != item]
            liked, disliked = [m for m, r in others if r >= 4], [m for m, r in others if r < 4]
            profile = z[liked].mean(dim=0) if liked else task.profiles.empty
            profiles.append(profile + task.profiles.dislike(z[disliked].mean(dim=0)) if disliked else profile)
        scores = task.head(torch.stack(profiles), z[items]) + task.mean_rating
        expected = (scores - torch.from_numpy(ratings)).square().mean()
        assert float(model.calculate_loss(rows)["rating"]) == pytest.approx(float(expected), rel=1e-4)


def test_without_the_disliked_average_the_profile_is_the_mean_of_the_liked_movies(planted):
    model = open_session("MMASP", planted, disliked_profile=False).model.eval()
    with torch.no_grad():
        z = model.encoded().movies.of_task["rating"]
        expected = model.users.liked.averages(z, model.tasks["rating"].profiles.empty)
        assert torch.equal(model.user_embeddings(), expected)
    assert model.tasks["rating"].profiles.dislike is None


def test_ratings_are_clipped_to_the_scale_only_when_predicted(planted):
    session = open_session("MMASP", planted)
    model = session.model.eval()
    pairs = all_pairs(model)
    with torch.no_grad():
        model.tasks["rating"].user_bias += 10.0
        assert model.predict_rating(pairs).min() == 5.0
        model.tasks["rating"].user_bias -= 20.0
        model.train().eval()
        assert model.predict_rating(pairs).max() == 1.0


def test_catalogue_scores_equal_pair_scores():
    torch.manual_seed(0)
    head = RatingHead(6, 5, dropout=0.4).eval()
    profiles, movies = torch.randn(7, 6), torch.randn(11, 6)
    with torch.no_grad():
        whole = head.score_catalogue(profiles, movies)
        pairs = head(profiles.repeat_interleave(11, dim=0), movies.repeat(7, 1)).view(7, 11)
    torch.testing.assert_close(whole, pairs)
