from __future__ import annotations

import pytest

from recbole_mm.measure import recbole_parity as stock


@pytest.mark.slow
def test_a_model_without_random_numbers_agrees_with_stock_recbole_to_the_digit(ml_100k_mm):
    lines = stock.compare("ItemKNN", [2020]).set_index("way")
    recbole, ours = lines.loc["through recbole"], lines.loc["through this package"]
    assert recbole["ndcg@10"] > 0.25
    for metric in stock.METRICS:
        assert ours[metric] == recbole[metric], metric
