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


@pytest.mark.parametrize(
    "model",
    [
        "BPR",  # general
        "MultiVAE",  # general, by user
        "FM",  # context-aware
        "GRU4Rec",  # sequential
        "GRU4RecF",  # sequential, of features
        "SHAN",  # sequential, with a transform
        "CKE",  # knowledge-aware, of ratings and triples at once
        "MKR",  # knowledge-aware, in turn
    ],
)
def test_a_model_of_each_kind_agrees_with_stock_recbole_to_the_digit(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = stock.compare_on_small_data(model).set_index("way")
    assert lines.loc["through recbole"].to_dict() == lines.loc["through this package"].to_dict()
    assert lines.loc["through recbole", "ndcg@10"] > 0


def test_another_order_of_batches_is_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stock, "seed_epoch", lambda *_: None)
    lines = stock.compare_on_small_data("BPR").set_index("way")
    assert lines.loc["through recbole"].to_dict() != lines.loc["through this package"].to_dict()
