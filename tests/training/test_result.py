from __future__ import annotations

import json
from pathlib import Path

from recbole_mm.training.session import run


def test_result_file_holds_every_part_of_a_result(planted, tmp_path):
    path = tmp_path / "results" / "out.json"
    result = run("MMASP", planted.name, config_dict=planted.options(result_file=str(path)))
    content = json.loads(path.read_text())
    assert {"model", "dataset", "protocol", "seed", "valid", "test", "seconds", "epochs", "parameters"} <= set(content)
    assert {"peak_rss_mb", "versions", "config", "history", "checkpoint", "best_epoch"} <= set(content)
    names = {"rmse", "mae", "recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10"}
    names |= {"rated_ndcg@10", "rated_ndcg@10_random"}
    genre = {"genre_map", "genre_macro_f1", "genre_micro_f1", "genre_macro_auc"}
    assert set(content["test"]) == set(content["valid"]) == names | genre
    assert content["test"] == result.test
    assert set(content["seconds"]) == {"build", "fit", "epoch", "evaluate"}
    assert set(content["throughput"]) == {"pairs", "users"} and min(content["throughput"].values()) > 0
    assert content["config"]["embedding_size"] == 8


def test_result_file_is_json_even_where_a_metric_cannot_be_computed(planted):
    planted.item_columns["class:token_seq"] = ["Drama"] * len(planted.tokens)
    planted.write()
    run("MMFS", planted.name, config_dict=planted.options(epochs=1, result_file="out.json"))
    assert "NaN" not in Path("out.json").read_text()
    assert json.loads(Path("out.json").read_text())["test"]["genre_map"] is None
