from __future__ import annotations

import pytest

from recbole_mm.errors import InputError
from recbole_mm.evaluation.families import FAMILIES
from recbole_mm.evaluation.requested import MetricRequest

EVERY = ["RMSE", "NDCG", "rated_ndcg", "genre_map"]


def request(names=EVERY, explicit=False) -> MetricRequest:
    return MetricRequest.split(names, FAMILIES, explicit)


def test_names_are_sorted_into_families_in_the_order_that_chooses_the_epoch():
    found = request(["genre_map", "ndcg", "NDCG", "mae"])
    assert found.metrics == {"rating": ["MAE"], "ranking": ["NDCG"], "genre": ["genre_map"]}
    assert list(found.metrics) == ["rating", "ranking", "genre"]
    with pytest.raises(InputError, match="metric 'NDGC' is unknown. Did you mean 'NDCG'"):
        request(["NDGC"])
    with pytest.raises(InputError, match="'metrics' is empty"):
        request([])


def test_what_a_protocol_names_is_left_out_where_it_is_not_reported():
    found = request().restrict(["genre"], ["genre"], {}, has_ratings=True)
    assert found.metrics == {"genre": ["genre_map"]} and found.of_recbole == []
    assert request().restrict([], [], {}, has_ratings=True).empty
    assert request().restrict(["ranking"], ["ranking"], {}, has_ratings=False).metrics == {"ranking": ["NDCG"]}


def test_what_the_user_names_is_given_or_refused():
    asked = request(["RMSE", "NDCG"], explicit=True)
    assert asked.restrict(["rating"], ["rating", "ranking"], {}, True).metrics == asked.metrics
    with pytest.raises(InputError, match="metric NDCG: it ranks nothing"):
        asked.restrict(["rating"], ["rating"], {"ranking": "it ranks nothing"}, True)
    with pytest.raises(InputError, match="rated_ndcg: needs ratings"):
        request(["rated_ndcg"], explicit=True).restrict(["ranking"], ["ranking"], {}, has_ratings=False)


@pytest.mark.parametrize(
    ("names", "topk", "chosen"),
    [
        (EVERY, [10], "RMSE"),
        (["MAE", "NDCG"], [10], "MAE"),
        (["Recall", "NDCG", "genre_map"], [5, 10], "NDCG@10"),
        (["NDCG"], [5, 20], "NDCG@5"),
        (["rated_ndcg"], [10], "rated_ndcg@10"),
        (["genre_macro_f1", "genre_map"], [10], "genre_map"),
        (["genre_macro_f1"], [10], "genre_macro_f1"),
    ],
)
def test_the_first_family_chooses_the_epoch(names, topk, chosen):
    assert request(names).default_valid_metric(topk) == chosen
    assert request(names).check_valid_metric(chosen.lower(), topk) == chosen


def test_a_valid_metric_is_one_that_is_computed():
    with pytest.raises(InputError, match="'NDCG@5', which this run does not compute. Did you mean 'NDCG@10'"):
        request().check_valid_metric("NDCG@5", [10])
