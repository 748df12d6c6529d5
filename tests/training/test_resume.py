from __future__ import annotations

from pathlib import Path

import pytest

from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training.checkpoint import load_checkpoint, save_checkpoint
from recbole_mm.training.session import run


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
    assert resumed.best_epoch == 2
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
    part = run("BPR", planted.name, config_dict={**options, "epochs": whole.best_epoch - 1})
    resumed = run(arguments=[f"--resume={part.checkpoint}", "--epochs=6"])
    by_epoch = {epoch["epoch"]: epoch["losses"]["loss"] for epoch in whole.history}
    assert resumed.history
    for epoch in resumed.history:
        assert epoch["losses"]["loss"] == pytest.approx(by_epoch[epoch["epoch"]], rel=1e-6)


def test_checkpoint_of_another_model_or_other_data_is_refused(planted):
    checkpoint = run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    with pytest.raises(InputError, match="holds model MMFS, not MMSP"):
        run("MMSP", planted.name, arguments=[f"--evaluate={checkpoint}"])
    planted.ratings = planted.ratings.iloc[::-1]
    planted.write()
    with pytest.raises(InputError, match="trained on other ratings, movies, genres or vectors"):
        load(checkpoint)


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("learning_rate", "fast", "option 'learning_rate' is 'fast', but takes"),
        ("embedding_size", -1, "option 'embedding_size' is -1, but must be >= 1"),
        ("own", 1, "unknown option 'own'"),
        ("tasks", ["rating"], "option 'valid_metric'|contradict|genre_map"),
    ],
)
def test_wrong_options_in_a_checkpoint_name_its_file(planted, option, value, message):
    checkpoint = run("MMFS", planted.name, config_dict=planted.options(epochs=1, valid_metric="genre_map")).checkpoint
    content = load_checkpoint(checkpoint)
    content["config"][option] = value
    save_checkpoint(checkpoint, content)
    for read in (lambda: load(checkpoint), lambda: run(arguments=[f"--evaluate={checkpoint}", "--topk=[3]"])):
        with pytest.raises(InputError, match=message) as raised:
            read()
        assert str(raised.value).startswith(f"{checkpoint}: its options do not fit: ")


def test_a_wrong_option_on_the_command_line_is_not_blamed_on_the_checkpoint(planted):
    checkpoint = run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    with pytest.raises(InputError, match="^command line: option 'eval_batch_size' is 0"):
        run(arguments=[f"--evaluate={checkpoint}", "--eval_batch_size=0"])
