"""Which tasks a run has, and exactly what it then learns and reports."""

from __future__ import annotations

import logging
from itertools import combinations

import pytest
from conftest import PlantedData

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_session, run

TASKS = ("rating", "genre", "ranking")
METRICS = {
    "rating": {"rmse", "mae"},
    "genre": {"genre_map", "genre_macro_f1", "genre_micro_f1", "genre_macro_auc"},
    "ranking": {
        *("recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10"),
        *("rated_ndcg@10", "rated_ndcg@10_random"),
    },
}
LOSSES = {"rating": {"rating", "implicit"}, "genre": {"genre", "genre_linear"}, "ranking": {"ranking"}}
CHOOSES = {"rating": "RMSE", "ranking": "NDCG@10", "genre": "genre_map"}
SUBSETS = [names for size in (1, 2, 3) for names in combinations(TASKS, size)]


def without_column(planted: PlantedData, file: str, column: str) -> None:
    columns = planted.ratings if file == "inter" else planted.item_columns
    del columns[column]
    planted.write()


@pytest.mark.parametrize("model", ["MMFS", "MMSP", "MMASP"])
@pytest.mark.parametrize("tasks", SUBSETS, ids="+".join)
def test_a_run_learns_and_reports_its_tasks_and_nothing_else(planted, model, tasks):
    result = run(model, planted.name, config_dict=planted.options(tasks=list(tasks), epochs=1))
    assert set(result.test) == set(result.valid) == set().union(*(METRICS[task] for task in tasks))
    assert result.config["tasks"] == list(tasks)
    assert result.config["valid_metric"] == next(CHOOSES[task] for task in CHOOSES if task in tasks)
    losses = set(result.history[0]["losses"]) - {"discriminator", "orthogonality"}
    assert losses == set().union(*(LOSSES[task] for task in tasks))
    adversarial = "discriminator_accuracy" in result.history[0]["statistics"]
    assert adversarial == (model == "MMASP" and {"rating", "genre"} <= set(tasks))


def test_the_order_in_which_tasks_are_named_does_not_matter(planted):
    first, second = (
        run("MMSP", planted.name, config_dict=planted.options(tasks=tasks, epochs=2), saved=False)
        for tasks in (["genre", "rating"], ["rating", "genre"])
    )
    assert first.test == second.test


def test_a_task_that_is_off_has_no_part_in_the_model(planted):
    names = {task: set() for task in TASKS}
    for task in TASKS:
        model = prepare_session(Config("MMSP", planted.name, config_dict=planted.options(tasks=[task]))).model
        names[task] = {name.split(".")[1] for name, _ in model.named_parameters() if name.startswith("tasks.")}
    assert names == {task: {task} for task in TASKS}


def test_without_the_ranking_task_predicted_ratings_rank_where_it_is_asked_for(planted):
    options = planted.options(tasks=["rating"], epochs=1, metrics=["RMSE", "NDCG"])
    assert set(run("MMFS", planted.name, config_dict=options, saved=False).test) == {"rmse", "ndcg@10"}


@pytest.mark.parametrize(
    ("tasks", "metric", "reason"),
    [
        (["rating"], "genre_map", "task 'genre' is off .tasks: rating."),
        (["genre"], "NDCG", "task 'ranking' is off"),
        (["ranking"], "RMSE", "task 'rating' is off"),
        (["genre"], "rated_ndcg", "task 'ranking' is off"),
    ],
)
def test_a_metric_of_a_task_that_is_off_is_refused(planted, tasks, metric, reason):
    with pytest.raises(InputError, match=f"metric {metric}: {reason}; add it to the option tasks|{reason}"):
        Config("MMFS", planted.name, config_dict=planted.options(tasks=tasks, metrics=[metric]))


# ---------------------------------------------------------------------- what the data allow


def line_of(caplog: pytest.LogCaptureFixture) -> str:
    lines = [record.message for record in caplog.records if record.message.startswith("tasks: ")]
    assert len(lines) == 1
    return lines[0]


def test_data_without_ratings_are_ranked_and_every_row_counts_as_liked(planted, caplog):
    without_column(planted, "inter", "rating:float")
    options = planted.options(epochs=1)
    del options["load_col"]
    with caplog.at_level(logging.INFO):
        result = run("MMASP", planted.name, config_dict=options, saved=False)
    assert set(result.test) == METRICS["genre"] | {m for m in METRICS["ranking"] if not m.startswith("rated")}
    assert "tasks: genre, ranking (rating is left out, since" in line_of(caplog)
    assert "planted.inter has no field 'rating'" in line_of(caplog)
    session = prepare_session(Config("MMASP", planted.name, config_dict=options))
    rows = session.split.train.inter_feat
    pairs = len(set(zip(rows["user_id"].tolist(), rows["item_id"].tolist())))
    assert session.model.users.liked.counts.sum() == pairs and session.model.users.disliked.counts.sum() == 0


def test_data_without_genres_or_without_an_item_file_are_rated_and_ranked(planted, caplog):
    options = planted.options(epochs=1)
    del options["load_col"]
    expected = METRICS["rating"] | METRICS["ranking"]
    without_column(planted, "item", "class:token_seq")
    for reason in ("planted.item has no field 'class'", "there is no file"):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert set(run("MMASP", planted.name, config_dict=options, saved=False).test) == expected
        assert "tasks: rating, ranking (genre is left out, since" in line_of(caplog) and reason in line_of(caplog)
        (planted.folder / "planted.item").unlink(missing_ok=True)


def test_a_column_that_load_col_does_not_read_is_as_good_as_absent(planted, caplog):
    columns = {"inter": ["user_id", "item_id"]}
    with caplog.at_level(logging.INFO):
        result = run("MMFS", planted.name, config_dict=planted.options(load_col=columns, epochs=1), saved=False)
    assert result.config["tasks"] == ["ranking"]
    assert "option load_col does not read field 'rating' of planted.inter" in line_of(caplog)


def test_data_without_timestamps_run(planted):
    without_column(planted, "inter", "timestamp:float")
    options = planted.options(epochs=1)
    del options["load_col"]
    assert set(run("MMFS", planted.name, config_dict=options, saved=False).test) == set().union(*METRICS.values())
    with pytest.raises(InputError, match="timestamp"):
        run("MMFS", planted.name, config_dict={**options, "protocol": "temporal"})


@pytest.mark.parametrize("model", ["MMFS", "MMSP", "MMASP"])
def test_without_vectors_a_movie_is_its_identity(planted, model):
    for field in ("text", "audio"):
        (planted.folder / f"planted.{field}").unlink()
    options = planted.options(modalities=[], epochs=20, learning_rate=0.03)
    result = run(model, planted.name, config_dict=options, saved=False)
    assert set(result.test) == set().union(*METRICS.values())
    assert result.test["rmse"] < 1.2, "the mean's error is 1.7"
    with pytest.raises(InputError, match="'modalities' and 'id_size'"):
        prepare_session(Config(model, planted.name, config_dict={**options, "id_size": 0}))


def test_data_of_users_and_items_alone_are_ranked(planted):
    for column in ("rating:float", "timestamp:float"):
        without_column(planted, "inter", column)
    for name in ("item", "text", "audio"):
        (planted.folder / f"planted.{name}").unlink()
    options = planted.options(modalities=[], epochs=1)
    del options["load_col"]
    result = run("MMASP", planted.name, config_dict=options)
    assert set(result.test) == {m for m in METRICS["ranking"] if not m.startswith("rated")}
    again = run(arguments=[f"--evaluate={result.checkpoint}"])
    assert again.test == result.test


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["rating"], "RATING_FIELD": "stars"}, "task 'rating' needs .*RATING_FIELD.*no field 'stars'"),
        ({"RATING_FIELD": "ratin"}, "no field 'ratin' .*Did you mean 'rating'"),
        ({"tasks": ["genre", "ranking"], "genre_field": "genres"}, "task 'genre' needs .*no field 'genres'"),
        ({"tasks": ["genre"], "load_col": {"inter": ["user_id", "item_id"]}}, "load_col does not read field 'class'"),
        ({"protocol": "u1", "tasks": ["ranking"]}, "protocol 'u1'.* and MMASP can report none of them"),
    ],
)
def test_asking_for_more_than_the_data_allow_names_the_field(planted, options, message):
    with pytest.raises(InputError, match=message) as caught:
        Config("MMASP", planted.name, config_dict=planted.options(**options))
    assert "\n" not in str(caught.value)
