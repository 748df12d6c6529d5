from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_session, run


@pytest.mark.parametrize("metric", ["RMSE", "NDCG@10", "genre_map"])
def test_early_stopping_on_a_metric_of_any_family(planted, metric):
    options = planted.options(valid_metric=metric, epochs=8, stopping_step=2)
    result = run("MMFS", planted.name, config_dict=options)
    scores = [epoch["valid"][metric.lower()] for epoch in result.history]
    best = (min if metric == "RMSE" else max)(scores)
    assert result.valid[metric.lower()] == pytest.approx(best, abs=1e-4)
    assert scores[result.best_epoch - 1] == best


def test_early_stopping_stops(planted):
    result = run("MMFS", planted.name, config_dict=planted.options(learning_rate=0.3, epochs=60, stopping_step=2))
    assert result.epochs == result.best_epoch + 2 + 1 < 60


def test_u_protocol_reports_ratings_only(planted):
    assert set(run("MMFS", planted.name, config_dict=planted.options(protocol="u1"), saved=False).test) == {
        "rmse",
        "mae",
    }


@pytest.mark.parametrize("protocol", ["temporal", "cold-item"])
def test_other_protocols_report_all_families(planted, protocol):
    test = run("MMSP", planted.name, config_dict=planted.options(protocol=protocol), saved=False).test
    assert {"rmse", "ndcg@10", "genre_map"} <= set(test)


def test_rating_scale_may_be_half_stars(planted):
    planted.ratings["rating:float"] = planted.ratings["rating:float"] / 2
    planted.write()
    session = prepare_session(Config("MMFS", planted.name, config_dict=planted.options(like_threshold=2.0)))
    assert session.model.tasks["rating"].rating_scale.tolist() == [0.5, 2.5]


# ---------------------------------------------------------------------- built-in models through the same door


@pytest.mark.parametrize(
    "model", ["Pop", "ItemKNN", "BPR", "NeuMF", "LightGCN", "EASE", "SLIMElastic", "MultiVAE", "FM", "DeepFM", "LR"]
)
def test_built_in_model_ranks_and_its_checkpoint_evaluates_to_the_same(planted, model):
    result = run(model, planted.name, config_dict=planted.data_options(epochs=1))
    assert {"ndcg@10", "recall@10"} <= set(result.test)
    assert "rmse" not in result.test
    again = run(arguments=[f"--evaluate={result.checkpoint}"])
    assert again.test == result.test


@pytest.mark.parametrize("model", ["FM", "DeepFM", "NeuMF", "BPR"])
def test_built_in_model_predicts_ratings_on_the_raw_scale(planted, model):
    result = run(model, planted.name, config_dict=planted.data_options(epochs=5, protocol="u1"), saved=False)
    assert set(result.test) == {"rmse", "mae"}
    assert 0.4 < result.test["rmse"] < 2.0, "an RMSE off the 1..5 scale means that ratings were rescaled"


def test_each_run_has_a_log_of_its_own(planted):
    for seed in (1, 2):
        run("MMFS", planted.name, config_dict=planted.options(epochs=1, seed=seed), saved=False)
    logs = [path.read_text() for path in Path("log").rglob("*.log")]
    assert len(logs) == 2
    assert all(log.count("epoch 1 training") == 1 for log in logs)


def test_a_run_leaves_the_standard_streams_as_they_were(planted):
    streams = sys.stdout, sys.stderr
    run("MMFS", planted.name, config_dict=planted.options(epochs=1), saved=False)
    assert (sys.stdout, sys.stderr) == streams, "each run would wrap them once more"


def test_runs_that_start_together_do_not_fail_over_the_folder_of_their_logs(planted, monkeypatch):
    # What RecBole's ensure_dir does when another run makes the folder between its look and its making.
    monkeypatch.setattr("recbole.utils.logger.ensure_dir", lambda folder: Path(folder).is_dir() or 1 / 0)
    run("MMFS", planted.name, config_dict=planted.options(epochs=1), saved=False)
    assert list(Path("log", "MMFS").glob("*.log"))


# ---------------------------------------------------------------------- errors come before training


@pytest.mark.parametrize(
    "change, message",
    [
        ({"like_threshold": 9}, "planted.inter: no training row has 'rating' >= 9.*lower like_threshold"),
        ({"genre_field": "genre"}, "planted.item has no field 'genre'"),
        ({"modalities": ["text", "smell"]}, "smell"),
        ({"learning_rte": 0.1}, "learning_rte.*learning_rate"),
        ({"embedding_size": "big"}, "embedding_size"),
        ({"protocol": "u6"}, "u6.*u"),
        ({"topk": [1000]}, "option 'topk': 1000, but only 90 items"),
        ({"valid_metric": "genre_map", "genre_valid_ratio": 0.001}, "genre_valid_ratio"),
        ({"result_file": "."}, "result_file: . is a folder"),
        ({"result_file": "/proc/none/out.json"}, "result_file: cannot write to /proc/none"),
        ({"checkpoint_dir": "/proc/none"}, "checkpoint_dir: cannot write to /proc/none"),
        ({"val_interval": {"ratng": "[3,inf)"}}, "planted"),
        ({"user_inter_num_interval": "[1000,inf)"}, "planted"),
    ],
)
def test_wrong_option_is_an_error_before_training(planted, change, message, monkeypatch):
    from recbole.trainer import Trainer

    monkeypatch.setattr(Trainer, "fit", lambda *args, **kwargs: pytest.fail("training began"))
    with pytest.raises(InputError, match=message):
        run("MMFS", planted.name, config_dict=planted.options(**change))


@pytest.mark.parametrize(
    "model, message", [("MMAPS", "MMAPS.*Did you mean 'MMASP'"), ("LightGNC", "LightGNC.*Did you mean 'LightGCN'")]
)
def test_unknown_model_is_an_error(planted, model, message):
    with pytest.raises(InputError, match=message):
        run(model, planted.name, config_dict=planted.options())


def test_missing_dataset_is_an_error_with_the_nearest_name(planted):
    with pytest.raises(InputError, match="dataset 'plantd': no folder.*Did you mean 'planted'"):
        run("MMFS", "plantd", config_dict=planted.options())


# ---------------------------------------------------------------------- what a built-in model asks of its data


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "ItemKNN"])
def test_rankers_run_on_data_without_ratings(planted, model):
    del planted.ratings["rating:float"]
    planted.write()
    options = planted.data_options(epochs=1)
    del options["load_col"]
    result = run(model, planted.name, config_dict=options, saved=False)
    assert set(result.test) == {"recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10"}


def test_a_threshold_leaves_no_ratings_to_order_by(planted):
    result = run("BPR", planted.name, config_dict=planted.data_options(epochs=1, threshold={"rating": 4}), saved=False)
    assert "rated_ndcg@10" not in result.test and "ndcg@10" in result.test


def test_a_field_that_a_model_asks_for_and_does_not_get_is_named(planted):
    options = planted.data_options(epochs=1, train_neg_sample_args=None)
    with pytest.raises(InputError, match="BPR asks for field 'neg_item_id', .* check the options load_col, train_neg"):
        run("BPR", planted.name, config_dict=options, saved=False)


@pytest.mark.parametrize(
    ("name", "typed"), [("dataset/x", "--dataset=x --data_path=dataset"), ("/a/b/x/", "--dataset=x --data_path=/a/b")]
)
def test_a_path_in_place_of_a_name_says_what_to_type(name, typed):
    with pytest.raises(InputError, match=f"takes the name of a folder; type {typed}"):
        Config("MMFS", name)
