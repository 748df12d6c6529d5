from __future__ import annotations

import json
from pathlib import Path

import pytest

from recbole_mm.config.config import Config
from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training.checkpoint import load_checkpoint, save_checkpoint
from recbole_mm.training.session import prepare_session, run


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


@pytest.mark.parametrize("metric", ["RMSE", "NDCG@10", "genre_map"])
def test_early_stopping_on_a_metric_of_any_family(planted, metric):
    options = planted.options(valid_metric=metric, epochs=8, stopping_step=2)
    result = run("MMFS", planted.name, config_dict=options)
    scores = [epoch["valid"][metric.lower()] for epoch in result.history]
    best = (min if metric == "RMSE" else max)(scores)
    assert result.valid[metric.lower()] == pytest.approx(best, abs=1e-4)
    assert scores[result.best_epoch] == best


def test_early_stopping_stops(planted):
    result = run("MMFS", planted.name, config_dict=planted.options(learning_rate=0.3, epochs=60, stopping_step=2))
    assert result.epochs == result.best_epoch + 1 + 2 + 1 < 60


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
    assert session.model.rating_scale.tolist() == [0.5, 2.5]


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


# ---------------------------------------------------------------------- checkpoints and what may change with them


@pytest.mark.parametrize(
    "change",
    ["--modalities=[audio,text]", "--like_threshold=1.5", "--genre_test_ratio=0.6", "--seed=3", "--protocol=u1"],
)
def test_option_that_would_change_what_the_weights_mean_is_refused(planted, change):
    checkpoint = run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    name = change.split("=")[0].removeprefix("--")
    with pytest.raises(InputError, match=f"option '{name}' is .* was trained with .*train again"):
        run(arguments=[f"--evaluate={checkpoint}", change])


def test_metrics_and_cutoffs_may_change(planted):
    checkpoint = run("BPR", planted.name, config_dict=planted.data_options(epochs=1)).checkpoint
    test = run(arguments=[f"--evaluate={checkpoint}", "--topk=[3,5]", "--metrics=[Recall,NDCG]"]).test
    assert set(test) == {"recall@3", "recall@5", "ndcg@3", "ndcg@5"}


def test_changed_ratings_or_vectors_are_refused(planted):
    checkpoint = run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, planted.text + 0.01)
    with pytest.raises(InputError, match="trained on other ratings"):
        load(checkpoint)
    planted.write()
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, planted.text)
    load(checkpoint)
    planted.ratings["rating:float"] = 6 - planted.ratings["rating:float"]
    planted.write()
    with pytest.raises(InputError, match="trained on other ratings"):
        run(arguments=[f"--evaluate={checkpoint}"])


def test_resuming_a_finished_run_is_an_error_and_leaves_the_file_alone(planted):
    checkpoint = Path(run("MMFS", planted.name, config_dict=planted.options(epochs=2)).checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(InputError, match="has 2 epochs behind it; give --epochs above that"):
        run(arguments=[f"--resume={checkpoint}"])
    assert checkpoint.read_bytes() == before


def test_resume_that_never_improves_reports_the_epoch_it_kept(planted):
    first = run("MMFS", planted.name, config_dict=planted.options(epochs=2))
    content = load_checkpoint(first.checkpoint)
    save_checkpoint(first.checkpoint, {**content, "best_valid_score": 0.0})
    resumed = run(arguments=[f"--resume={first.checkpoint}", "--epochs=4"])
    assert resumed.epochs == 2
    assert resumed.best_epoch == 1
    assert resumed.test == first.test
    assert resumed.checkpoint != first.checkpoint


def test_resume_goes_on_choosing_by_the_same_metric(planted):
    first = run("MMFS", planted.name, config_dict=planted.options(epochs=2, valid_metric="NDCG@10"))
    with pytest.raises(InputError, match="option 'valid_metric' is RMSE, but the best score in .* is a NDCG@10"):
        run(arguments=[f"--resume={first.checkpoint}", "--epochs=4", "--valid_metric=RMSE"])
    resumed = run(arguments=[f"--resume={first.checkpoint}", "--epochs=4", "--topk=[5,10]"])
    assert resumed.config["valid_metric"] == "NDCG@10"
    assert "ndcg@5" in resumed.test


def test_resume_takes_a_new_learning_rate(planted):
    first = run("MMFS", planted.name, config_dict=planted.options(epochs=2))
    arguments = [f"--resume={first.checkpoint}", "--epochs=4"]
    losses = [run(arguments=[*arguments, *more]).history[-1]["losses"] for more in ([], ["--learning_rate=0.0001"])]
    assert losses[0] != losses[1]


def test_resumed_built_in_model_equals_an_uninterrupted_one(planted):
    options = planted.data_options(stopping_step=100, learning_rate=0.01, train_batch_size=256)
    whole = run("BPR", planted.name, config_dict={**options, "epochs": 6})
    part = run("BPR", planted.name, config_dict={**options, "epochs": whole.best_epoch})
    resumed = run(arguments=[f"--resume={part.checkpoint}", "--epochs=6"])
    by_epoch = {epoch["epoch"]: epoch["losses"]["loss"] for epoch in whole.history}
    assert resumed.history
    for epoch in resumed.history:
        assert epoch["losses"]["loss"] == pytest.approx(by_epoch[epoch["epoch"]], rel=1e-6)


def test_load_leaves_no_trace(planted, tmp_path, monkeypatch):
    checkpoint = Path(run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint).resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    load(checkpoint)
    assert not list(Path().iterdir())


def test_each_run_has_a_log_of_its_own(planted):
    for seed in (1, 2):
        run("MMFS", planted.name, config_dict=planted.options(epochs=1, seed=seed), saved=False)
    logs = [path.read_text() for path in Path("log").rglob("*.log")]
    assert len(logs) == 2
    assert all(log.count("epoch 0 training") == 1 for log in logs)


def test_runs_that_start_together_do_not_fail_over_the_folder_of_their_logs(planted, monkeypatch):
    # What RecBole's ensure_dir does when another run makes the folder between its look and its making.
    monkeypatch.setattr("recbole.utils.logger.ensure_dir", lambda folder: Path(folder).is_dir() or 1 / 0)
    run("MMFS", planted.name, config_dict=planted.options(epochs=1), saved=False)
    assert list(Path("log", "MMFS").glob("*.log"))


def test_result_file_is_json_even_where_a_metric_cannot_be_computed(planted):
    planted.item_columns["class:token_seq"] = ["Drama"] * len(planted.tokens)
    planted.write()
    run("MMFS", planted.name, config_dict=planted.options(epochs=1, result_file="out.json"))
    assert "NaN" not in Path("out.json").read_text()
    assert json.loads(Path("out.json").read_text())["test"]["genre_map"] is None


# ---------------------------------------------------------------------- errors come before training


@pytest.mark.parametrize(
    "change, message",
    [
        ({"like_threshold": 9}, "planted.inter: no training row has 'rating' >= 9.*lower like_threshold"),
        ({"genre_field": "genre"}, "planted.item: no field 'genre'"),
        ({"modalities": ["text", "smell"]}, "smell"),
        ({"learning_rte": 0.1}, "learning_rte.*learning_rate"),
        ({"embedding_size": "big"}, "embedding_size"),
        ({"protocol": "u6"}, "u6.*u"),
        ({"topk": [1000]}, "option 'topk': 1000, but only 90 items"),
        ({"valid_metric": "genre_map", "genre_valid_ratio": 0.001}, "genre_valid_ratio"),
        ({"result_file": "."}, "result_file: . is a folder"),
        ({"result_file": "/proc/none/out.json"}, "result_file: cannot write to /proc/none"),
        ({"checkpoint_dir": "/proc/none"}, "checkpoint_dir: cannot write to /proc/none"),
        ({"eval_args": {"split": {"RS": [0.8, 0.2]}}}, "RS|split"),
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


def test_checkpoint_of_another_model_or_other_data_is_refused(planted):
    checkpoint = run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    with pytest.raises(InputError, match="holds model MMFS, not MMSP"):
        run("MMSP", planted.name, arguments=[f"--evaluate={checkpoint}"])
    planted.ratings = planted.ratings.iloc[::-1]
    planted.write()
    with pytest.raises(InputError, match="trained on other ratings, movies, genres or vectors"):
        load(checkpoint)
