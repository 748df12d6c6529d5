"""Config: sources and their order, unknown options, the three metric families, protocols, plain values."""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from recbole.model.general_recommender import BPR
from recbole.utils import EvaluatorType, InputType
from recbole.utils.argument_list import dataset_arguments

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.model.registry import MODELS, get_model, model_names, recbole_model_names

ALL = "[RMSE, MAE, Recall, MRR, NDCG, Hit, Precision, genre_map, genre_macro_f1, genre_micro_f1, genre_macro_auc]"
GENRE = ["genre_map", "genre_macro_f1", "genre_micro_f1", "genre_macro_auc"]
RANKING = ["Recall", "MRR", "NDCG", "Hit", "Precision"]


def config(model: str = "MMASP", *arguments: str, dataset: str = "ml-100k-mm", **sources) -> Config:
    return Config(model, dataset, arguments=arguments, **sources)


def refused(message: str, model: str = "MMASP", *arguments: str, **sources) -> None:
    with pytest.raises(InputError, match=message) as caught:
        config(model, *arguments, **sources)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- the default run


@pytest.mark.parametrize("model", MODELS)
def test_the_default_run_reports_the_three_families(model: str):
    default = config(model)
    assert default["protocol"] == "ranking"
    assert default["metrics_of"] == {"rating": ["RMSE", "MAE"], "ranking": [*RANKING, "rated_ndcg"], "genre": GENRE}
    assert default["metrics"] == RANKING
    assert default["topk"] == [10]
    assert (default["valid_metric"], default["valid_metric_bigger"]) == ("RMSE", False)
    assert default["eval_type"] == EvaluatorType.RANKING
    assert default["eval_args"]["mode"] == {"valid": "full", "test": "full"}
    assert default["MODEL_INPUT_TYPE"] == InputType.POINTWISE
    assert default["train_neg_sample_args"]["distribution"] == "none"
    assert not default["normalize_all"]
    assert default["data_path"] == os.path.join("dataset/", "ml-100k-mm")
    assert default["modalities"] == ["text", "words", "audio", "avf", "mise", "meta", "facts"]
    assert default["tasks"] == ["rating", "genre", "ranking"]
    assert default["eval_batch_size"] == 200000
    assert (default["seed"], default["checkpoint_dir"], default["reproducibility"]) == (2020, "saved", True)


def test_nothing_outside_is_read_or_changed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "--epochs=7", "--cov=x", "stray"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    before = list(dataset_arguments)
    default = config(dataset="ml-100k")
    assert default["epochs"] != 7
    assert "cov" not in default
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert dataset_arguments == before


def test_recboles_own_copy_of_ml_100k_is_not_scaled_to_0_1():
    regressor = config("FM", "--builtin_task=rating", dataset="ml-100k")
    assert regressor["normalize_all"] is False
    assert Path(regressor["data_path"], "ml-100k.inter").is_file()
    assert config("BPR", "--data_path=elsewhere", dataset="ml-100k")["data_path"] == os.path.join(
        "elsewhere", "ml-100k"
    )


# ---------------------------------------------------------------------- sources


def test_the_order_of_the_sources(tmp_path: Path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("learning_rate: 0.1\nweight_decay: 0.1\ntrain_batch_size: 1\nepochs: 1\n")
    second.write_text("weight_decay: 0.2\ntrain_batch_size: 2\nepochs: 2\n")
    read = config(
        "MMASP", "--epochs=4", config_file_list=[first, second], config_dict={"train_batch_size": 3, "epochs": 3}
    )
    assert (read["learning_rate"], read["weight_decay"], read["train_batch_size"], read["epochs"]) == (0.1, 0.2, 3, 4)
    assert read["stopping_step"] == config()["stopping_step"]


def test_model_and_dataset_may_be_options(tmp_path: Path):
    path = tmp_path / "run.yaml"
    path.write_text("model: BPR\ndataset: ml-100k-mm\n")
    assert Config(config_file_list=[path])["model"] == "BPR"
    assert Config(arguments=["--model=MMFS", "--dataset=ml-100k-mm"])["model"] == "MMFS"
    for arguments, name in ((["--model=BPR"], "dataset"), (["--dataset=ml-100k-mm"], "model"), ([], "model")):
        with pytest.raises(InputError, match=f"no {name} given; add --{name}="):
            Config(arguments=arguments)
    refused("command line: model is BPR, but this run is of MMASP", "MMASP", "--model=BPR")


def test_an_unknown_option_names_its_source_and_the_nearest_known_one(tmp_path: Path):
    path = tmp_path / "typo.yaml"
    path.write_text("learning_rte: 0.1\n")
    hint = r"unknown option 'learning_rte' for model MMASP\. Did you mean 'learning_rate'\?"
    refused(f"typo.yaml: {hint}", config_file_list=[path])
    refused(f"config_dict: {hint}", config_dict={"learning_rte": 0.1})
    refused(f"command line: {hint}", "MMASP", "--learning_rte=0.1")
    refused("unknown option 'eval_args.group_by'.*Did you mean 'eval_args'", "MMASP", "--eval_args.group_by=user")
    refused("Did you mean 'modality_dropout'", "MMASP", "--modality_droput=0.1")


def test_an_option_of_another_model_is_refused_with_its_owner():
    refused(
        "unknown option 'adversarial_strength' for model MMFS. It belongs to MMASP", "MMFS", "--adversarial_strength=1"
    )
    refused("unknown option 'knn_method' for model BPR. It belongs to AsymKNN, ItemKNN", "BPR", "--knn_method=user")


@pytest.mark.parametrize(("option", "instead"), [("device", "gpu_id"), ("neg_sampling", "train_neg_sample_args")])
def test_an_option_that_would_have_no_effect_names_the_one_that_has(option: str, instead: str):
    refused(f"option '{option}'.*{instead}", "MMASP", f"--{option}=1")


def test_values_are_typed_and_never_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code = "__import__('os').system('touch pwned')"
    refused("option 'seed' is .*__import__.*but takes a whole number", "MMASP", f"--seed={code}")
    refused("option 'seed' is .*__import__.*but takes a whole number", config_dict={"seed": code})
    assert config("MMASP", f"--checkpoint_dir={code}")["checkpoint_dir"] == code
    assert config(config_dict={"checkpoint_dir": code})["checkpoint_dir"] == code
    assert not Path("pwned").exists()
    read = config("DeepFM", "--learning_rate=1e-3", "--checkpoint_dir=2020", "--mlp_hidden_size=[8,4]", "--gpu_id=")
    assert [read[key] for key in ("learning_rate", "checkpoint_dir", "mlp_hidden_size", "gpu_id")] == (
        [0.001, "2020", [8, 4], ""]
    )


def test_text_and_numpy_values_in_a_dict_are_typed_as_a_tuner_passes_them():
    read = config("DeepFM", config_dict={"mlp_hidden_size": "[8, 4]", "learning_rate": "1e-3", "seed": np.int64(3)})
    assert (read["mlp_hidden_size"], read["learning_rate"], read["seed"]) == ([8, 4], 0.001, 3)
    assert type(read["seed"]) is int
    assert config(config_dict={"seq_separator": "\t"})["seq_separator"] == "\t"


# ---------------------------------------------------------------------- metrics


def test_metrics_are_split_into_families_whatever_their_case():
    read = config("MMASP", "--metrics=[ndcg, GENRE_MAP, rmse, Hit, RMSE]", "--topk=[5, 10]")
    assert read["metrics_of"] == {"rating": ["RMSE"], "ranking": ["NDCG", "Hit"], "genre": ["genre_map"]}


@pytest.mark.parametrize("metric", ["RMSE", "genre_map"])
def test_a_run_without_ranking_evaluates_labeled_rows(metric: str):
    read = config("MMASP", f"--metrics={metric}")
    assert read["metrics"] == []
    assert read["eval_type"] == EvaluatorType.VALUE
    assert read["eval_args"]["mode"] == {"valid": "labeled", "test": "labeled"}
    assert read["valid_metric"] == metric
    assert read["valid_metric_bigger"] is (metric != "RMSE")


@pytest.mark.parametrize(
    ("asked", "canonical", "bigger"),
    [
        ("rmse", "RMSE", False),
        ("MAE", "MAE", False),
        ("ndcg@10", "NDCG@10", True),
        ("Genre_Map", "genre_map", True),
        ("AveragePopularity@10", "AveragePopularity@10", True),
    ],
)
def test_any_metric_of_the_run_may_choose_the_epoch(asked: str, canonical: str, bigger: bool):
    read = config("MMASP", f"--valid_metric={asked}", f"--metrics={ALL[:-1]}, AveragePopularity]")
    assert read["valid_metric"] == canonical
    if canonical != "AveragePopularity@10":
        assert read["valid_metric_bigger"] is bigger


def test_a_metric_that_the_run_does_not_compute_cannot_choose_the_epoch():
    refused(r"valid_metric' is 'NDCG@5'.*Did you mean 'NDCG@10'\?", "MMASP", "--valid_metric=NDCG@5")
    refused(r"valid_metric' is 'NDCG'.*Did you mean 'NDCG@10'\?", "MMASP", "--valid_metric=NDCG")
    refused("valid_metric' is 'RMSE'", "MMASP", "--valid_metric=RMSE", "--metrics=[Recall]")
    refused("a smaller RMSE is better", "MMASP", "--valid_metric_bigger=true")


def test_the_default_choice_follows_what_the_model_and_the_run_can():
    assert config("BPR")["valid_metric"] == "NDCG@10"
    assert config("BPR", "--topk=[5, 20]")["valid_metric"] == "NDCG@5"
    assert config("BPR", "--metrics=[Recall]")["valid_metric"] == "Recall@10"
    assert config("BPR", "--metrics=[GAUC]")["valid_metric"] == "GAUC"
    assert config("MMASP", "--metrics=[MAE, NDCG]")["valid_metric"] == "MAE"


def test_families_a_model_cannot_do_are_dropped_unless_asked_for():
    ranker = config("BPR")
    assert ranker["metrics_of"] == {"ranking": [*RANKING, "rated_ndcg"]}
    refused("metric RMSE: BPR predicts no ratings", "BPR", "--metrics=[RMSE, Recall]")
    refused("metric genre_map: BPR predicts no genres", "BPR", "--metrics=[genre_map]")
    refused(
        "protocol 'u1' reports RMSE, MAE, and BPR can report none",
        "BPR",
        "--protocol=u1",
        "--builtin_task=ranking",
    )


def test_wrong_metrics_are_refused():
    refused(r"metric 'RMES' is unknown\. Did you mean 'RMSE'\?", "MMASP", "--metrics=[RMES]")
    refused("Did you mean 'genre_macro_f1'", "MMASP", "--metrics=[genre_f1_macro]")
    refused("option 'metrics' is empty", "MMASP", "--metrics=[]")
    refused("mode labeled cannot be combined with ranking metrics", "MMASP", "--eval_args={mode: labeled}")
    refused("Full sort evaluation do not match value-based metrics", "MMASP", "--metrics=[AUC]")
    refused("can not be used at the same time", "MMASP", "--metrics=[AUC, Recall]")


def test_recboles_click_prediction_still_runs():
    read = config(
        "FM",
        "--metrics=[AUC, LogLoss]",
        "--eval_args={mode: labeled, group_by: ~}",
        "--threshold={rating: 4}",
        "--train_neg_sample_args=None",
    )
    assert (read["metrics"], read["valid_metric"], read["eval_type"]) == (
        ["AUC", "LogLoss"],
        "AUC",
        EvaluatorType.VALUE,
    )
    assert (read["threshold"], read["LABEL_FIELD"]) == ({"rating": 4}, "label")


# ---------------------------------------------------------------------- protocols and tasks


def test_an_unknown_protocol_names_the_nearest():
    refused(r"protocol 'cold_item' is unknown\. Did you mean 'cold-item'\?", "MMASP", "--protocol=cold_item")
    refused("Protocols: cold-item, published, ranking, temporal, u1", "MMASP", "--protocol=[u1]")


@pytest.mark.parametrize("fold", range(1, 6))
def test_the_canonical_folds(fold: int):
    read = config("MMASP", f"--protocol=u{fold}")
    assert (read["split_by"], read["test_fold"], read["valid_ratio"]) == ("file_fold", fold, 0.1)
    assert (read["metrics_of"], read["metrics"]) == ({"rating": ["RMSE", "MAE"]}, [])
    assert config("MMASP", f"--protocol=u{fold}", "--metrics=[RMSE, Recall]")["eval_args"]["mode"]["test"] == "full"


def test_the_other_protocols():
    cold, temporal = config("MMASP", "--protocol=cold-item"), config("MMASP", "--protocol=temporal")
    assert (cold["split_by"], cold["cold_test_ratio"], cold["cold_valid_ratio"]) == ("cold_item", 0.2, 0.1)
    assert temporal["eval_args"]["order"] == "TO"
    assert config("MMASP", "--protocol=temporal", "--eval_args={mode: uni100}")["eval_args"] == {
        **temporal["eval_args"],
        "mode": {"valid": "uni100", "test": "uni100"},
    }
    for read in (cold, temporal):
        assert set(read["metrics_of"]) == {"rating", "ranking", "genre"}
        assert read["metrics"] == RANKING


def test_a_builtin_model_ranks_as_in_recbole_or_regresses_ratings():
    ranker, regressor = config("FM"), config("FM", "--protocol=u1")
    assert ranker["train_neg_sample_args"]["distribution"] == "uniform"
    assert ranker["LABEL_FIELD"] == "label"
    assert ranker["eval_args"]["mode"]["test"] == "full"
    assert regressor["train_neg_sample_args"]["distribution"] == "none"
    assert (regressor["LABEL_FIELD"], regressor["threshold"], regressor["normalize_all"]) == ("rating", None, False)
    assert regressor["embedding_size"] == 16
    assert regressor["learning_rate"] == 0.003
    both = config("FM", "--builtin_task=rating")
    assert both["metrics_of"] == {"rating": ["RMSE", "MAE"], "ranking": [*RANKING, "rated_ndcg"]}
    refused("model 'ItemKNN' has no form that predicts ratings.*DeepFM", "ItemKNN", "--protocol=u1")


def test_the_genres_reach_a_builtin_only_on_request():
    assert "class" in config("FM")["unused_col"]["item"]
    assert config("FM", "--genre_input=true")["unused_col"] == {"item": ["movie_title"]}
    assert config("BPR")["load_col"] == {"inter": ["user_id", "item_id", "rating", "timestamp"], "item": ["item_id"]}
    cold = config("BPR", "--protocol=cold-item")
    assert (
        cold["load_col"]["item"]
        == ["item_id", *cold["unused_col"]["item"]]
        == ["item_id", "movie_title", "release_year"]
    )
    assert config("MMASP")["unused_col"] is None


def test_sequential_and_knowledge_models_keep_what_they_need():
    assert config("SASRec")["eval_args"]["split"] == {"LS": "valid_and_test"}
    assert config("SASRec")["train_neg_sample_args"]["distribution"] == "none"
    refused("SASRec is a sequential model", "SASRec", "--split_by=cold_item")
    assert {"kg", "link", "inter", "item"} == set(config("CKE")["load_col"])


# ---------------------------------------------------------------------- models


def test_an_unknown_model_names_the_nearest():
    refused(r"model 'MMASPP' is unknown\. Did you mean 'MMASP'\?", "MMASPP")
    refused(r"model 'lightgcn' is unknown\. Did you mean 'LightGCN'\?", "lightgcn")


def test_the_registry_finds_recboles_models():
    assert get_model("BPR") is BPR
    assert {"Pop", "Random", "SASRec", "KGAT", "xDeepFM", "KD_DAGFM"} <= set(model_names())
    assert len(recbole_model_names()) == 94


def test_a_class_may_be_the_model():
    class Mine(BPR):
        pass

    assert Config(Mine, "ml-100k-mm").model_class is Mine


# ---------------------------------------------------------------------- device


def test_the_cpu_is_chosen_without_touching_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert config("BPR", "--gpu_id=")["device"].type == "cpu"
    assert config("BPR", "--use_gpu=false")["device"].type == "cpu"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert config("BPR", "--gpu_id=0")["gpu_id"] == "0"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


# ---------------------------------------------------------------------- plain values


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("MMASP", []),
        ("MMFS", ["--protocol=u2", "--epochs=3", "--valid_metric=MAE"]),
        ("MMSP", ["--metrics=[genre_map]", "--private_size=8"]),
        ("BPR", ["--protocol=temporal"]),
        ("NeuMF", ["--protocol=cold-item"]),
        ("FM", ["--builtin_task=rating"]),
        ("SASRec", []),
        ("CKE", []),
        ("KD_DAGFM", ["--t_depth=2"]),
        ("ItemKNN", ["--data_path=a/b", "--gpu_id="]),
    ],
)
def test_plain_values_rebuild_the_config(model: str, arguments: list[str]):
    first = config(model, *arguments)
    plain = json.loads(json.dumps(first.plain()))
    second = Config.from_plain(plain)
    assert second == first
    derived = {"device"}
    for key in set(first.final_config_dict) - derived:
        assert second[key] == first[key], key
    assert copy.deepcopy(first) == first


def test_options_that_a_file_was_written_without_change_nothing():
    """Parts that were added since are not added to a model that was trained without them."""
    plain = config("MMASP", "--implicit_size=8", "--ease_content_weight=30").plain()
    younger = ("implicit_joint", "regression_weight", "genre_regression_weight")
    old = Config.from_plain({name: value for name, value in plain.items() if name not in younger})
    assert [old[name] for name in younger] == [True, 0.0, 0.0]
    assert old["implicit_size"] == 8 and old["ease_content_weight"] == 30.0
    assert Config.from_plain(plain)["genre_regression_weight"] == 0.5


def test_ml_100k_survives_the_round_trip():
    first = config("BPR", dataset="ml-100k")
    assert Config.from_plain(first.plain())["data_path"] == first["data_path"]


def test_options_can_be_changed_when_rebuilding():
    plain = config("MMASP", "--epochs=3").plain()
    assert Config.from_plain(plain, ["--epochs=9", "--data_path=there"])["epochs"] == 9
    assert Config.from_plain(plain, ["--metrics=[Recall]"])["valid_metric"] == "Recall@10"
    other = Config.from_plain(plain, ["--protocol=u3"])
    assert (other["test_fold"], other["split_by"], other["metrics"], other["epochs"]) == (3, "file_fold", [], 3)
    only_ratings = config("MMASP", "--metrics=[RMSE]").plain()
    assert Config.from_plain(only_ratings, ["--metrics=[RMSE, NDCG]"])["eval_args"]["mode"]["test"] == "full"
    with pytest.raises(InputError, match="unknown option 'epoch'"):
        Config.from_plain(plain, ["--epoch=9"])
    with pytest.raises(InputError, match="model is BPR, but this run is of MMASP"):
        Config.from_plain(plain, ["--model=BPR"])


def test_a_changed_option_makes_another_config():
    assert config() != config("MMASP", "--seed=1")
    assert config("MMASP", "--seed=2020") == config()


def test_paper_yaml_is_two_tasks_liked_average_content_alone_and_no_bias():
    paper = Config("MMASP", "ml-100k-mm", config_file_list=["paper.yaml"])
    assert paper["tasks"] == ["rating", "genre"]
    assert (paper["disliked_profile"], paper["rating_bias"], paper["id_size"]) == (False, False, 0)
