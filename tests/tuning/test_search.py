from __future__ import annotations

import errno
import json
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
from recbole_mm.tuning.search import Search, tune
from recbole_mm.tuning.search_space import read_space

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

    prepare_session = tuning.prepare_session
    monkeypatch.setattr(tuning, "prepare_session", session_without_test_part)
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
    run_trial = tuning.run_trial
    monkeypatch.setattr(tuning, "run_trial", lambda number, *rest: (ran.append(number), run_trial(number, *rest))[1])
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
    tuning.Log(path, {"x": 1})
    assert path.read_text() == '{"search": {"x": 1}}\n'
    path.write_text("mine\nand mine")
    with pytest.raises(InputError, match="is not a log of trials"):
        tuning.Log(path, {"x": 1})
    assert path.read_text() == "mine\nand mine"


def test_a_full_disk_tears_no_line(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    log = tuning.Log(path, {"x": 1})
    monkeypatch.setattr(
        os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(InputError, match=r"log.jsonl: cannot be written \(No space left on device\); finished trials"):
        log.add(tuning.Trial(1, {}, 1.0, {}, 1, 1.0, ""))
    assert path.read_text() == '{"search": {"x": 1}}\n'


def test_an_interruption_says_that_finished_trials_are_kept(arguments, quick_space, tmp_path, monkeypatch, capsys):
    run_trial = tuning.run_trial

    def stopped_in_the_second(number, *rest):
        if number == 2:
            raise KeyboardInterrupt
        return run_trial(number, *rest)

    monkeypatch.setattr(tuning, "run_trial", stopped_in_the_second)
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


def test_without_hyperopt_the_remedy_is_named(arguments, monkeypatch):
    monkeypatch.setitem(sys.modules, "hyperopt", None)
    with pytest.raises(InputError, match=r"pip install 'recbole-mm\[hyper\]'"):
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
    tried: list[dict] = []
    search = Search(lambda options: (tried.append(options), (1.0, False))[1], space, model, BUDGET, config["seed"])
    search.start_from({option: config[option] for option in space.distributions})
    search.run()
    assert len({json.dumps(options) for options in tried}) == BUDGET
    assert tried[0] == {option: config[option] for option in space.distributions}
    for options in tried[1:]:
        for option, value in options.items():
            ((name, values),) = space.distributions[option].items()
            assert value in values if name == "choice" else values[0] <= value <= values[1]


def test_a_larger_score_is_better_where_it_is():
    trials = [tuning.Trial(i + 1, {}, score, {}, 1, 1.0, "") for i, score in enumerate([0.2, None, 0.3, 0.3, 0.1])]
    assert tuning.best(trials, bigger=True).number == 3 and tuning.best(trials, bigger=False).number == 5
    assert tuning.best([trials[1]], bigger=True) is None
    assert asdict(trials[0])["failure"] is None
