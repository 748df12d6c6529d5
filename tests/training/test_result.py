from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from recbole_mm.report.curves import series_of
from recbole_mm.report.run_table import result_table
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


@pytest.mark.parametrize("model", ["MMFS", "BPR"])
def test_epochs_are_counted_alike_in_log_json_and_table(planted, model):
    options = planted.options if model == "MMFS" else planted.data_options
    result = run(model, planted.name, config_dict=options(epochs=3, stopping_step=9))
    (log,) = [path.read_text() for path in Path("log").rglob("*.log")]
    for what in ("training", "evaluating"):
        assert [int(number) for number in re.findall(rf"epoch (\d+) {what}", log)] == [1, 2, 3]
    assert [epoch["epoch"] for epoch in result.history] == [1, 2, 3]
    metric = result.config["valid_metric"].lower()
    best = result.history[result.best_epoch - 1]
    assert best["valid"][metric] == pytest.approx(result.valid[metric], abs=1e-4)
    assert f"epochs 3 (best: {result.best_epoch})" in result_table(result)
    assert series_of(json.loads(result.to_json()), metric)[0][0] == 1


def test_a_run_that_stops_early_names_its_best_epoch_as_the_result_does(planted):
    options = planted.options(epochs=60, stopping_step=2, learning_rate=0.3)
    result = run("MMFS", planted.name, config_dict=options)
    (log,) = [path.read_text() for path in Path("log").rglob("*.log")]
    assert f"best eval result in epoch {result.best_epoch}\n" in log


def test_print_shows_five_lines(planted):
    result = run("MMFS", planted.name, config_dict=planted.options(epochs=2))
    lines = str(result).splitlines()
    assert repr(result) == str(result) and len(lines) == 5 and max(map(len, lines)) <= 120
    assert lines[0] == "MMFS on planted, protocol ranking, seed 2020" and lines[4] == f"checkpoint: {result.checkpoint}"
    assert all(f"{name} {result.test[name]:.4f}" in lines[2] for name in ("rmse", "mae", "ndcg@10", "genre_map"))
