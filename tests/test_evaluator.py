from __future__ import annotations

import numpy as np
import pytest
import torch

from recbole_mm.evaluator import GENRE_METRICS, genre_metrics, rating_metrics

CONFIG = {
    "rating_metrics": ["rmse", "mae"],
    "genre_metrics": list(GENRE_METRICS),
    "metric_decimal_place": 4,
}


def test_rating_metrics_are_over_all_pairs_at_once():
    result = rating_metrics(CONFIG, torch.tensor([1.0, 2.0, 5.0]), torch.tensor([2.0, 4.0, 5.0]))
    assert result == {"rmse": pytest.approx(np.sqrt(5 / 3), abs=1e-4), "mae": 1.0}


def test_perfect_genres_score_one():
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert genre_metrics(CONFIG, target, target * 0.8 + 0.1) == dict.fromkeys(GENRE_METRICS, 1.0)


def test_genres_by_hand():
    # Genre a ranks its one movie second of three: AP 1/2, AUC 1/2. Genre b ranks it first: AP 1, AUC 1.
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    probability = torch.tensor([[0.6, 0.1], [0.9, 0.8], [0.2, 0.7]])
    result = genre_metrics(CONFIG, target, probability)
    assert result["genre_map"] == pytest.approx(0.75)
    assert result["genre_macro_auc"] == pytest.approx(0.75)
    # At 0.5: a has 1 hit, 1 false alarm: F1 2/3; b the same: 2/3. Together 2 hits, 2 false alarms: 2/3.
    assert result["genre_macro_f1"] == result["genre_micro_f1"] == pytest.approx(0.6667)


def test_a_genre_that_no_or_every_movie_has_is_left_out():
    target = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    probability = torch.tensor([[0.9, 0.9, 0.1], [0.1, 0.9, 0.1]])
    assert genre_metrics(CONFIG, target, probability)["genre_map"] == 1.0


def test_no_genre_to_judge_is_not_a_score():
    assert np.isnan(genre_metrics(CONFIG, torch.zeros(2, 2), torch.rand(2, 2))["genre_map"])
