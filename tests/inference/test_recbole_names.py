"""The names that RecBole's users know."""

from __future__ import annotations

import recbole_mm


def test_run_recbole_and_load_data_and_model(planted):
    found = recbole_mm.run_recbole("MMFS", planted.name, config_dict=planted.options(epochs=2))
    assert set(found) == {"best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"}
    assert found["best_valid_score"] == found["best_valid_result"]["rmse"] and found["valid_score_bigger"] is False
    assert "ndcg@10" in found["test_result"]
    (checkpoint,) = planted.folder.parent.parent.glob("saved/MMFS-*.pt")
    config, model, dataset, train, valid, test = recbole_mm.load_data_and_model(checkpoint)
    assert (config["model"], type(model).__name__, dataset.item_num) == ("MMFS", "MMFS", 91)
    assert not model.training and len(train.dataset) > 0 and valid is not None and test is not None


def test_a_ranker_is_chosen_by_a_ranking_metric(planted):
    found = recbole_mm.run_recbole("BPR", planted.name, config_dict=planted.data_options(epochs=1))
    assert found["best_valid_score"] == found["best_valid_result"]["ndcg@10"] and found["valid_score_bigger"] is True
