from __future__ import annotations

import errno
import json
import multiprocessing
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.config.sources import read_mapping
from recbole_mm.errors import InputError
from recbole_mm.resources import resource_dir
from recbole_mm.tuning import search as tuning
from recbole_mm.tuning import trial as trial_module
from recbole_mm.tuning import workers
from recbole_mm.tuning.log import Log
from recbole_mm.tuning.search import tune
from recbole_mm.tuning.search_space import NoSpaceError, read_space
from recbole_mm.tuning.study import Study
from recbole_mm.tuning.trial import Trial, best

BUDGET = 12


@pytest.fixture
def arguments(planted, tmp_path) -> list[str]:
    """Options of a quick run of matrix factorisation on the planted data."""
    (tmp_path / "own.yaml").write_text(json.dumps(planted.data_options(epochs=1, train_batch_size=256)))
    return ["--model=BPR", f"--dataset={planted.name}", "--protocol=u1", "--config_files=own.yaml"]


@pytest.fixture
def own_space(tmp_path):
    """A function that writes the space of a model where it is found before the shipped one."""

    def write(model: str = "BPR", **options) -> Path:
        folder = tmp_path / "tuning"
        folder.mkdir(exist_ok=True)
        path = folder / f"{len(list(folder.iterdir()))}.yaml"  # a name of its own: a file is read once
        path.write_text(json.dumps({model: options}))
        return path

    return write


@pytest.fixture
def quick_space(own_space, monkeypatch):
    path = own_space(learning_rate={"loguniform": [0.001, 0.1]}, embedding_size={"choice": [4, 8]})
    monkeypatch.setattr(tuning, "find_file", lambda name: path)


def lines(out: Path) -> list[dict]:
    (log,) = out.rglob("*.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_the_best_trial_is_written_as_options_that_a_run_takes(arguments, quick_space, tmp_path, capsys):
    file = tune(arguments, trials=3, out=tmp_path / "tuned")
    assert file == tmp_path / "tuned" / "planted" / "u1" / "BPR.yaml"
    first, *trials = lines(tmp_path)
    assert [trial["number"] for trial in trials] == [1, 2, 3] and first["search"]["valid_metric"] == "RMSE"
    assert trials[0]["options"] == {"learning_rate": 0.003, "embedding_size": 16}  # properties/rating.yaml
    assert all(
        0.001 <= t["options"]["learning_rate"] <= 0.1 and t["options"]["embedding_size"] in (4, 8) for t in trials[1:]
    )
    best = min(trials, key=lambda trial: trial["score"])
    assert read_mapping(file) == best["options"]
    assert f"{best['score']:.4f}" in file.read_text() and "recbole-mm tune --model=BPR" in file.read_text()
    config = Config(arguments=arguments[:-1], config_file_list=["own.yaml", str(file)])
    assert config["embedding_size"] == best["options"]["embedding_size"]
    assert "best 3 of 3 trials" in capsys.readouterr().out


def test_the_test_part_is_never_evaluated(arguments, quick_space, tmp_path, monkeypatch, capsys):
    sessions = []

    def session_without_test_part(config, refit):
        assert not refit
        session = prepare_session(config, refit)
        session.test_data = None
        evaluate = session.trainer.evaluate

        def only_valid(data, **options):
            assert data is session.valid_data
            return evaluate(data, **options)

        session.trainer.evaluate = only_valid
        sessions.append(session)
        return session

    prepare_session = trial_module.prepare_session
    monkeypatch.setattr(trial_module, "prepare_session", session_without_test_part)
    tune(arguments, trials=2, out=tmp_path / "tuned")
    assert len(sessions) == 2
    assert all(set(trial["valid"]) == {"rmse", "mae"} and trial["failure"] is None for trial in lines(tmp_path)[1:])
    assert "test" not in capsys.readouterr().out.replace("latest", "")


def test_an_interrupted_search_goes_on_and_one_seed_gives_one_search(arguments, quick_space, tmp_path, monkeypatch):
    def measured(out: str) -> list[dict]:
        return [{**line, "seconds": 0} for line in lines(tmp_path / out)]

    tune(arguments, trials=4, out=tmp_path / "whole")
    tune(arguments, trials=2, out=tmp_path / "parts")
    ran = []
    run_trial = workers.run_trial
    monkeypatch.setattr(workers, "run_trial", lambda number, *rest: (ran.append(number), run_trial(number, *rest))[1])
    tune(arguments, trials=4, out=tmp_path / "parts")
    assert ran == [3, 4]
    assert measured("parts") == measured("whole")

    tune([*arguments, "--seed=1"], trials=2, out=tmp_path / "other")
    assert lines(tmp_path / "other")[2]["options"] != lines(tmp_path / "whole")[2]["options"]
    with pytest.raises(InputError, match=r"BPR.jsonl: holds a search with other arguments; remove it"):
        tune([*arguments, "--seed=1"], trials=2, out=tmp_path / "whole")


@pytest.mark.parametrize("torn", ['{"number": 2, "opti', "\0\0\0"])
def test_a_torn_last_line_is_dropped_and_its_trial_runs_again(arguments, quick_space, tmp_path, torn, capsys):
    tune(arguments, trials=2, out=tmp_path / "tuned")
    (log,) = tmp_path.rglob("*.jsonl")
    whole = lines(tmp_path)
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]) + torn)
    capsys.readouterr()
    tune(arguments, trials=2, out=tmp_path / "tuned")
    assert "its last line is torn and was dropped" in capsys.readouterr().err
    assert [line.get("options") for line in lines(tmp_path)] == [line.get("options") for line in whole]


def test_a_first_line_that_is_torn_starts_anew_but_another_file_is_left_alone(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"search": {"x"')
    Log(path, {"x": 1})
    assert path.read_text() == '{"search": {"x": 1}}\n'
    path.write_text("mine\nand mine")
    with pytest.raises(InputError, match="is not a log of trials"):
        Log(path, {"x": 1})
    assert path.read_text() == "mine\nand mine"


def test_a_full_disk_tears_no_line(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    log = Log(path, {"x": 1})
    monkeypatch.setattr(
        os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(InputError, match=r"log.jsonl: cannot be written \(No space left on device\); finished trials"):
        log.add(Trial(1, {}, 1.0, {}, 1, 1.0, ""))
    assert path.read_text() == '{"search": {"x": 1}}\n'


def test_an_interruption_says_that_finished_trials_are_kept(arguments, quick_space, tmp_path, monkeypatch, capsys):
    run_trial = workers.run_trial

    def stopped_in_the_second(number, *rest):
        if number == 2:
            raise KeyboardInterrupt
        return run_trial(number, *rest)

    monkeypatch.setattr(workers, "run_trial", stopped_in_the_second)
    assert main(["tune", *arguments, "--trials=3", f"--out={tmp_path / 'tuned'}"]) == 130
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("recbole-mm: interrupted; 1 trials are kept in ") and "the same command goes on" in error


def test_a_failed_trial_stops_no_other(arguments, own_space, tmp_path, monkeypatch):
    space = own_space(learning_rate={"choice": [1e30]})
    monkeypatch.setattr(tuning, "find_file", lambda name: space)
    file = tune([*arguments, "--epochs=3"], trials=2, out=tmp_path / "tuned")
    default, failed = lines(tmp_path)[1:]
    assert default["score"] is not None and failed["score"] is None and "nan" in failed["failure"]
    assert read_mapping(file) == default["options"]


def test_a_small_space_ends_when_every_value_was_tried(arguments, own_space, tmp_path, monkeypatch):
    space = own_space(embedding_size={"choice": [4, 8, 16]})  # 16 is the default
    monkeypatch.setattr(tuning, "find_file", lambda name: space)
    tune(arguments, trials=9, out=tmp_path / "tuned")
    assert sorted(trial["options"]["embedding_size"] for trial in lines(tmp_path)[1:]) == [4, 8, 16]


def test_every_trial_failed(arguments, quick_space, tmp_path):
    with pytest.raises(InputError, match="every trial of BPR failed, the last with: no epoch was validated"):
        tune([*arguments, "--eval_step=0"], trials=1, out=tmp_path / "tuned")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embeding_size": {"choice": [4]}}, "0.yaml: BPR: unknown option 'embeding_size' .*'embedding_size'"),
        (
            {"embedding_size": {"chioce": [4]}},
            "0.yaml: BPR: option 'embedding_size': 'chioce' .*Did you mean 'choice'?",
        ),
        ({"embedding_size": {"choice": []}}, "0.yaml: BPR: option 'embedding_size': choice has no values"),
        ({"embedding_size": [4]}, "must have one distribution"),
        ({"embedding_size": {"choice": [4, 0]}}, "option 'embedding_size' is 0, but must be >= 1"),
        ({"learning_rate": {"loguniform": [0.1, 0.01]}}, "takes two numbers"),
        ({"learning_rate": {"uniform": [0.1]}}, "takes two numbers"),
        ({"weight_decay": {"loguniform": [0, 0.1]}}, "takes numbers above 0"),
        ({"train_batch_size": {"uniform": [128, 512]}}, "takes a whole number"),
        ({"seed": {"choice": ["x"]}}, "takes a whole number"),
        ({"train_batch_size": {"choice": [4]}}, "option 'train_batch_size' is given, but it is searched"),
        ({}, "BPR: no options"),
    ],
)
def test_a_wrong_space_is_an_error(arguments, own_space, options, message):
    path = own_space(**options)
    with pytest.raises(InputError, match=message):
        read_space(path, Config(arguments=arguments))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--trials=0"], "trials is 0"),
        (["--model=PNN"], "rating.yaml: no search space for model 'PNN'.*Add one"),
        (["--model=BPRR"], "model 'BPRR' is unknown. Did you mean 'BPR'?"),
        (["--result_file=a.json"], "option 'result_file' is not possible in a search"),
        (["--learning_rat=1"], "unknown option 'learning_rat'"),
    ],
)
def test_wrong_input_is_one_line(arguments, changes, message, capsys):
    if changes[0].startswith("--model"):
        arguments = arguments[1:]
    assert main(["tune", *arguments, *changes]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    with pytest.raises(InputError, match=message):
        raise InputError(error)
    assert not Path("properties").exists()


def test_without_optuna_the_remedy_is_named(arguments, quick_space, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'recbole-mm\[tune\]'"):
        tune(arguments)


def test_a_file_that_is_no_log_is_left_alone(arguments, quick_space, tmp_path):
    log = tmp_path / "tuned" / "planted" / "u1" / "BPR.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("mine\n")
    with pytest.raises(InputError, match="is not a log of trials"):
        tune(arguments, trials=1, out=tmp_path / "tuned")
    assert log.read_text() == "mine\n"


def test_an_output_folder_that_is_a_file_is_an_error(arguments, quick_space):
    with pytest.raises(InputError, match="cannot be written .*give another --out"):
        tune(arguments, trials=1, out=Path("own.yaml"))


def shipped() -> list[tuple[str, str]]:
    folder = resource_dir("properties") / "tuning"
    return [(task, model) for task in ("rating", "ranking") for model in read_mapping(folder / f"{task}.yaml")]


@pytest.mark.parametrize(("task", "model"), shipped())
def test_shipped_spaces_are_of_options_the_models_have_and_every_trial_is_another(task, model):
    protocol = {"rating": "u1", "ranking": "ranking"}[task]
    config = Config(arguments=[f"--model={model}", "--dataset=ml-100k-mm", f"--protocol={protocol}"])
    space = read_space(resource_dir("properties") / "tuning" / f"{task}.yaml", config)
    tried = list(tuning.options_of_trials(space, Study(space, config["seed"], False), config, BUDGET).values())
    assert len({json.dumps(options) for options in tried}) == BUDGET
    assert tried[0] == {option: config[option] for option in space.distributions}
    for options in tried[1:]:
        for option, value in options.items():
            ((name, values),) = space.distributions[option].items()
            assert value in values if name == "choice" else values[0] <= value <= values[1]


def test_a_larger_score_is_better_where_it_is():
    trials = [Trial(i + 1, {}, score, {}, 1, 1.0, "") for i, score in enumerate([0.2, None, 0.3, 0.3, 0.1])]
    assert best(trials, bigger=True).number == 3 and best(trials, bigger=False).number == 5
    assert best([trials[1]], bigger=True) is None
    assert asdict(trials[0])["failure"] is None


def curves(out: Path) -> list[dict]:
    """The log without what the clock decides."""
    return [{key: value for key, value in line.items() if key not in ("seconds", "date")} for line in lines(out)]


@pytest.mark.slow
def test_several_workers_train_the_same_trials(arguments, own_space, tmp_path, monkeypatch):
    space = own_space(learning_rate={"loguniform": [0.001, 0.1]}, embedding_size={"choice": [4, 8]})
    monkeypatch.setattr(tuning, "find_file", lambda name: space)
    tune(arguments, trials=4, out=tmp_path / "one", pruner="none")
    tune(arguments, trials=4, out=tmp_path / "two", pruner="none", workers=2)
    by_number = [sorted(curves(tmp_path / name)[1:], key=lambda line: line["number"]) for name in ("one", "two")]
    assert by_number[0] == by_number[1] and len(by_number[0]) == 4
    assert next((tmp_path / "one").rglob("*.yaml")).read_text() == next((tmp_path / "two").rglob("*.yaml")).read_text()


def test_wrong_data_end_a_search_of_several_workers(arguments, quick_space, tmp_path, planted):
    with pytest.raises(InputError, match="option 'topk'|items can be ranked"):
        tune([*arguments[:2], "--protocol=ranking", *arguments[3:], "--topk=[100000]"], 3, tmp_path, workers=2)
    assert len(lines(tmp_path)) == 1


@pytest.mark.slow
def test_a_killed_process_is_a_failed_trial(arguments, quick_space, tmp_path, monkeypatch):
    read = workers._answer

    def kill_the_third(pipe, number, study):
        if number == 3:
            for process in multiprocessing.active_children():  # that of the second may still be ending
                process.kill()
        return read(pipe, number, study)

    monkeypatch.setattr(workers, "_answer", kill_the_third)
    monkeypatch.setattr(workers, "run_trials", workers._in_processes)
    monkeypatch.setattr(tuning, "run_trials", lambda waiting, *rest: workers._in_processes(waiting, *rest[:2], 1))
    tune(arguments, trials=3, out=tmp_path, workers=2)
    last = lines(tmp_path)[-1]
    assert last["number"] == 3 and last["failure"].startswith("its process ended with exit status -9")


def scored(number: int, scores: list[float], bigger: bool = False) -> Trial:
    pairs = [[epoch, score] for epoch, score in enumerate(scores, start=1)]
    return Trial(number, {}, (max if bigger else min)(scores), {}, len(scores), 1.0, "", scores=pairs)


@pytest.fixture
def study_of_four(own_space, arguments):
    """A function that makes a study with four finished trials, of 20 epochs each."""

    def make(bigger: bool, pruner: str = "median") -> Study:
        space = read_space(own_space(learning_rate={"uniform": [0.1, 0.2]}), Config(arguments=arguments))
        study = Study(space, 1, bigger, pruner)
        for number, end in enumerate((0.9, 0.8, 0.7, 0.6), start=1):
            study.end(scored(number, [end] * 20, bigger))
        study.start(5)
        return study

    return make


@pytest.mark.parametrize(("bigger", "bad", "good"), [(False, 0.76, 0.74), (True, 0.74, 0.76)])
def test_a_trial_below_the_median_is_pruned_after_the_warm_up(study_of_four, bigger, bad, good):
    study = study_of_four(bigger)
    assert [study.is_hopeless(5, epoch, bad) for epoch in range(1, 12)] == [False] * 9 + [True, True]
    study = study_of_four(bigger)
    assert not any(study.is_hopeless(5, epoch, good) for epoch in range(1, 21))
    study = study_of_four(bigger, "none")
    assert not any(study.is_hopeless(5, epoch, bad) for epoch in range(1, 21))


def test_a_pruned_trial_ends_early_is_told_and_is_resumed_as_such(arguments, own_space, tmp_path, monkeypatch, capsys):
    space = own_space(learning_rate={"choice": [0.02, 0.03, 0.04, 1e-5, 1e-6, 1e-7]})
    monkeypatch.setattr(tuning, "find_file", lambda name: space)
    given = [*arguments, "--epochs=16", "--stopping_step=20"]
    tune(given, trials=7, out=tmp_path / "whole")
    logged = curves(tmp_path / "whole")[1:]
    pruned = [line for line in logged if line["pruned"]]
    assert pruned, [line["score"] for line in logged]
    assert all(10 <= line["epochs"] == len(line["scores"]) < 16 and line["score"] is not None for line in pruned)
    assert all(line["epochs"] == 16 for line in logged if not line["pruned"])
    told = capsys.readouterr().out
    assert ", pruned; best" in told and f"{len(pruned)} pruned)" in told
    tune(given, trials=3, out=tmp_path / "parts")
    tune(given, trials=7, out=tmp_path / "parts")
    assert curves(tmp_path / "parts") == curves(tmp_path / "whole")


@pytest.mark.parametrize(
    ("metric", "other", "bigger"),
    [("mae", "RMSE", False), ("ndcg@5", "Recall@5", True), ("recall@10", "NDCG@10", True)],
)
def test_any_metric_chooses_and_says_whether_smaller_is_better(arguments, quick_space, tmp_path, metric, other, bigger):
    protocol = "--protocol=ranking" if bigger else "--protocol=u1"
    given = [arguments[0], arguments[1], protocol, arguments[3]]
    file = tune(given, trials=3, out=tmp_path, metric=metric)
    head, *trials = lines(tmp_path)
    assert head["search"]["valid_metric"].lower() == metric
    scores = [trial["score"] for trial in trials]
    assert scores == [trial["valid"][metric] for trial in trials]
    chosen = trials[scores.index((max if bigger else min)(scores))]
    assert read_mapping(file) == chosen["options"] and f"--metric={head['search']['valid_metric']}" in file.read_text()
    with pytest.raises(InputError, match="holds a search with other valid_metric"):
        tune(given, trials=3, out=tmp_path, metric=other)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("ndgc@10", "--metric=ndgc@10: .*'ndgc' is unknown. Did you mean 'NDCG'?"),
        ("genre_map", "--metric=genre_map: .*BPR predicts no genres"),
        ("rmse@10", "--metric=rmse@10: .*which this run does not compute. Did you mean 'RMSE'?"),
        ("", "--metric=: "),
    ],
)
def test_a_metric_that_cannot_be_had_is_one_error(arguments, quick_space, tmp_path, metric, message):
    with pytest.raises(InputError, match=message):
        tune(arguments, trials=1, out=tmp_path / "tuned", metric=metric)
    with pytest.raises(InputError, match="are the same; give one"):
        tune([*arguments, "--valid_metric=RMSE"], trials=1, out=tmp_path / "tuned", metric="rmse")
    assert not (tmp_path / "tuned").exists()


GOOD = {"number": 1, "options": {}, "score": 0.5, "valid": {}, "epochs": 1, "seconds": 1.0, "date": "2026-11-28"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({**GOOD, "score": "0.5"}, "line 2 is not a trial .*'score' is \"0.5\""),
        ({**GOOD, "number": 0}, "'number' is 0"),
        ({**GOOD, "scores": [[2, 0.1], [1, 0.1]]}, "'scores' is"),
        ({**GOOD, "score": float("nan")}, "'score' is NaN"),
        ({**GOOD, "score": None}, "neither a score nor a failure"),
        ({key: value for key, value in GOOD.items() if key != "epochs"}, "without 'epochs'"),
        ({**GOOD, "extra": 1}, "unknown 'extra'"),
        ([1], "not an object"),
    ],
)
def test_a_damaged_line_of_a_log_is_named(tmp_path, line, message):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"search": {"x": 1}}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(InputError, match=f"log.jsonl: .*{message}.*remove it, or give another --out"):
        Log(path, {"x": 1})
    path.write_text("".join(json.dumps(one) + "\n" for one in ({"search": {"x": 1}}, GOOD, GOOD)))
    with pytest.raises(InputError, match="line 3 .*trial 1 a second time"):
        Log(path, {"x": 1})


def test_logs_of_the_repository_are_whole():
    # Those of the checkout: an installed package has the chosen values, not the logs of their searches.
    found = sorted((Path(__file__).resolve().parents[2] / "properties" / "tuned").rglob("*.jsonl"))
    for path in found:
        search = json.loads(path.read_text().splitlines()[0])["search"]
        assert Log(path, search).trials
        if search.get("draws") != "optuna":
            with pytest.raises(InputError, match="holds a search with other draws, pruner"):  # those of hyperopt
                Log(path, {**search, "draws": "optuna", "pruner": "median"})
    assert len(found) > 20


def test_a_space_of_the_users_own(arguments, tmp_path):
    own = tmp_path / "own-space.yaml"
    own.write_text("embedding_size: {choice: [4, 8]}\n")
    tune(arguments, trials=3, out=tmp_path / "tuned", space_file=own)
    assert {line["options"]["embedding_size"] for line in lines(tmp_path / "tuned")[1:]} == {4, 8, 16}
    with pytest.raises(InputError, match=r"--space=none.yaml: no such file"):
        tune(arguments, trials=1, out=tmp_path / "other", space_file=Path("none.yaml"))


def test_options_that_a_row_gives_can_leave_the_space(arguments, tmp_path):
    own = tmp_path / "own-space.yaml"
    own.write_text("BPR:\n  embedding_size: {choice: [4, 8]}\n  learning_rate: {uniform: [0.001, 0.01]}\n")
    given = [*arguments, "--embedding_size=6"]
    tune(given, trials=2, out=tmp_path / "tuned", space_file=own, given_are_fixed=True)
    assert all(set(line["options"]) == {"learning_rate"} for line in lines(tmp_path / "tuned")[1:])
    with pytest.raises(NoSpaceError, match="every option of its search space is given"):
        read_space(own, Config(arguments=[*given, "--learning_rate=0.1"]), given_are_fixed=True)


def test_every_model_of_every_suite_has_a_space_or_nothing_to_search():
    spaces = {
        task: read_mapping(resource_dir("properties") / "tuning" / f"{task}.yaml") for task in ("rating", "ranking")
    }
    for path in (resource_dir("properties") / "benchmark").rglob("*.yaml"):
        plan = read_mapping(path)
        for row, own in plan.get("rows", {}).items():
            options = {**plan.get("options", {}), **own}
            ranks = options.get("builtin_task") == "ranking" or "ranking" in plan["protocols"]
            if options["model"] not in ("Pop", "Random"):
                assert options["model"] in spaces["ranking" if ranks else "rating"], (path.name, row)
