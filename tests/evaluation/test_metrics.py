from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from recbole_mm.evaluation.metrics import GENRE_METRICS, genre_metrics, rated_metrics, rating_metrics

CONFIG = {"metric_decimal_place": 4}
RATING, GENRE = ["RMSE", "MAE"], list(GENRE_METRICS)


def test_rating_metrics_are_over_all_pairs_at_once():
    result = rating_metrics(CONFIG, RATING, torch.tensor([1.0, 2.0, 5.0]), torch.tensor([2.0, 4.0, 5.0]))
    assert result == {"rmse": pytest.approx(np.sqrt(5 / 3), abs=1e-4), "mae": 1.0}


def test_rating_metrics_of_one_pair():
    assert rating_metrics(CONFIG, RATING, torch.tensor([1.0]), torch.tensor([3.5])) == {"rmse": 2.5, "mae": 2.5}


def test_perfect_genres_score_one():
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert genre_metrics(GENRE, target, target * 0.8 + 0.1) == dict.fromkeys(GENRE_METRICS, 1.0)


def test_genres_by_hand():
    # Genre a ranks its one movie second of three: AP 1/2, AUC 1/2. Genre b ranks it first: AP 1, AUC 1.
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    probability = torch.tensor([[0.6, 0.1], [0.9, 0.8], [0.2, 0.7]])
    result = genre_metrics(GENRE, target, probability)
    assert result["genre_map"] == pytest.approx(0.75)
    assert result["genre_macro_auc"] == pytest.approx(0.75)
    # At 0.5: a has 1 hit, 1 false alarm: F1 2/3; b the same: 2/3. Together 2 hits, 2 false alarms: 2/3.
    assert result["genre_macro_f1"] == result["genre_micro_f1"] == pytest.approx(2 / 3)


def test_a_genre_that_no_or_every_movie_has_is_left_out():
    target = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    probability = torch.tensor([[0.9, 0.9, 0.1], [0.1, 0.9, 0.1]])
    assert genre_metrics(GENRE, target, probability)["genre_map"] == 1.0


def test_no_genre_to_judge_is_not_a_score():
    assert np.isnan(genre_metrics(GENRE, torch.zeros(2, 2), torch.rand(2, 2))["genre_map"])


def test_rated_ndcg_is_scikit_learns_with_ties_shared():
    random = np.random.default_rng(3)
    users, ratings = np.repeat(np.arange(40), 15), random.integers(1, 6, 600).astype(float)
    scores = random.integers(0, 6, 600).astype(float)  # many ties
    found = rated_metrics([5, 10], users, ratings, scores)
    for k in (5, 10):
        gains = 2 ** ratings.reshape(40, 15) - 1
        expected = ndcg_score(gains, scores.reshape(40, 15), k=k)
        assert found[f"rated_ndcg@{k}"] == pytest.approx(expected)
        by_chance = [ndcg_score(gains, random.random((40, 15)), k=k) for _ in range(300)]
        assert found[f"rated_ndcg@{k}_random"] == pytest.approx(np.mean(by_chance), abs=0.004)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 10)), min_size=1, max_size=60))
def test_the_true_order_is_worth_one_and_users_of_one_movie_nothing(pairs):
    users, ratings = (np.array(column) for column in zip(*pairs))
    found = rated_metrics([10], users, ratings / 2, ratings / 2)
    if (np.bincount(users) > 1).any():
        assert found["rated_ndcg@10"] == pytest.approx(1.0)
        assert found["rated_ndcg@10_random"] <= 1.0 + 1e-12
    else:
        assert np.isnan(found["rated_ndcg@10"])
