from __future__ import annotations

import pytest

from recbole_mm.evaluation.families import FAMILIES, GENRE, RANKING, RATING, LabelFamily, bigger_is_better, family_of


@pytest.mark.parametrize(
    ("result", "family"),
    [
        ("rmse", "rating"),
        ("mae", "rating"),
        ("ndcg@10", "ranking"),
        ("itemcoverage@5", "ranking"),
        ("auc", "ranking"),
        ("rated_ndcg@10", "ranking"),
        ("rated_ndcg@10_random", "ranking"),
        ("genre_map", "genre"),
        ("decade_accuracy", "decade"),  # of a family that a model adds
    ],
)
def test_a_result_belongs_to_one_family(result, family):
    assert family_of(result) == family
    assert sum(one.owns(result) for one in FAMILIES.values()) == (family in FAMILIES)


def test_names_of_results():
    assert RATING.results("RMSE", [5, 10]) == ["RMSE"]
    assert RANKING.results("NDCG", [5, 10]) == ["NDCG@5", "NDCG@10"]
    assert RANKING.results("rated_ndcg", [3]) == ["rated_ndcg@3"]
    assert RANKING.results("GAUC", [3]) == ["GAUC"]
    assert GENRE.results("genre_map", [3]) == ["genre_map"]
    assert not bigger_is_better("RMSE") and bigger_is_better("NDCG@10") and bigger_is_better("genre_map")


def test_each_metric_is_in_one_family_and_the_preferred_one_is_among_them():
    names = [name.lower() for family in FAMILIES.values() for name in family.metrics]
    assert len(set(names)) == len(names)
    for family in FAMILIES.values():
        assert family.preferred in family.metrics
    assert {"recall", "mrr", "ndcg", "hit", "precision", "gauc"} <= set(names)


def test_functions_of_a_label_family_are_called_with_targets_and_probabilities():
    import numpy as np
    import torch

    class Part:
        labels = {"decade": type("HeldOut", (), {"items": torch.tensor([1, 2]), "targets": torch.eye(2)})}

    class Run:
        device, config = "cpu", {"metric_decimal_place": 2}
        model = type("Model", (), {"predict_labels": staticmethod(lambda task, items: torch.eye(2) * 0.333)})

    def probability_of_the_right_label(target: np.ndarray, probability: np.ndarray) -> float:
        return (target * probability).sum(axis=1).mean()

    family = LabelFamily("decade", {"decade_right": probability_of_the_right_label}, "decade_right")
    assert family.evaluate(Run(), Part(), ["decade_right"], False) == {"decade_right": 0.33}
