from __future__ import annotations

import pytest
import torch
from model_contract import all_pairs, open_session


def test_weights_of_the_tasks(planted):
    for task, option in (("rating", "rating_weight"), ("genre", "genre_weight")):
        losses = {}
        for weight in (1.0, 3.0, 0.0):
            session = open_session("MMASP", planted, **{option: weight})
            torch.manual_seed(0)
            losses[weight] = session.model.calculate_loss(session.split.train.inter_feat)[task].item()
        assert losses[0.0] == 0.0
        assert losses[3.0] == pytest.approx(3 * losses[1.0], rel=1e-5)


def test_without_the_ranking_task_the_predicted_rating_ranks(planted):
    model = open_session("MMASP", planted, tasks=["rating", "genre"]).model.eval()
    assert not hasattr(model, "ranking_head")
    assert len(model.tasks["genre"].linear.weight) == model.catalogue.vector_size
    pairs = all_pairs(model)
    with torch.no_grad():
        assert torch.equal(model.predict(pairs).clamp(1, 5), model.predict_rating(pairs))


def test_like_threshold_is_inclusive(planted):
    model = open_session("MMASP", planted, like_threshold=5.0).model
    ratings = planted.ratings["rating:float"]
    counts = [int(averages.counts.sum()) for averages in (model.users.liked, model.users.disliked)]
    assert 0.6 < counts[0] / (ratings == 5).sum() < 1 and 0.6 < counts[1] / (ratings < 5).sum() < 1
    assert sum(counts) == len(open_session("MMASP", planted).split.train)
