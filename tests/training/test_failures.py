"""Divergence and disks: one line with what to do, a finished table is never lost, and no file is half there."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from recbole_mm import files, run
from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError, NotWrittenError
from recbole_mm.files import write_text
from recbole_mm.training import saving
from recbole_mm.training.session import prepare_session


def session_of(planted, model: str = "MMFS", **changes):
    return prepare_session(Config(model, planted.name, config_dict=planted.options(**changes)))


def no_space(*_) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def fit(session) -> None:
    session.trainer.fit(session.train_data, session.valid_data, saved=True, show_progress=False)


# ---------------------------------------------------------------------- divergence


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_diverge_stop_the_run_and_leave_the_last_good_checkpoint(planted, value):
    session = session_of(planted, epochs=4)
    trainer, train = session.trainer, session.trainer._train_epoch

    def diverges_in_the_third(data, epoch, *rest, **options):
        if epoch == 2:
            step = trainer.optimizer.step

            def diverged(*_, **__):
                step()
                with torch.no_grad():
                    next(iter(session.model.parameters())).view(-1)[0] = value

            trainer.optimizer.step = diverged
        return train(data, epoch, *rest, **options)

    trainer._train_epoch = diverges_in_the_third
    with pytest.raises(InputError, match=r"is (nan|inf) in epoch 3; lower learning_rate \(now 0.01\)") as stop:
        fit(session)
    path = trainer.saved_model_file
    assert str(stop.value).endswith(f"the last good checkpoint is {path}")
    assert run(config_dict={"evaluate": path, "show_progress": False}).test


def test_a_last_step_that_diverges_is_seen_too(planted):
    session = session_of(planted, epochs=1, averaging_decay=0.0)
    trainer, step, steps = session.trainer, session.trainer.optimizer.step, []
    batches = len(session.train_data)

    def last_step_diverges(*_, **__):
        step()
        steps.append(1)
        if len(steps) == batches:
            with torch.no_grad():
                next(iter(session.model.parameters())).view(-1)[0] = float("nan")

    trainer.optimizer.step = last_step_diverges
    with pytest.raises(InputError, match=r"weight '.*' is nan in epoch 1; .*; no checkpoint was saved yet"):
        fit(session)
    assert not Path(trainer.saved_model_file).exists()


@pytest.mark.parametrize("metric", ["rmse", "genre_map"])
def test_a_validation_metric_that_is_no_number_stops_the_run(planted, monkeypatch, metric):
    session = session_of(planted, epochs=3, valid_metric="rmse")
    trainer, evaluate = session.trainer, session.trainer.evaluate

    def second_is_nan(*given, **options):
        result = evaluate(*given, **options)
        return {**result, metric: float("nan")} if trainer.epoch == 1 else result

    monkeypatch.setattr(trainer, "evaluate", second_is_nan)
    with pytest.raises(InputError, match=f"validation metric {metric} is nan in epoch 2; .*last good checkpoint is"):
        fit(session)


def test_predictions_of_nan_are_no_metrics(planted, monkeypatch):
    session = session_of(planted, epochs=1)
    monkeypatch.setattr(session.model, "full_sort_predict", lambda batch: torch.full((len(batch), 91), float("nan")))
    with pytest.raises(InputError, match="the score of a movie is nan in epoch 1"):
        fit(session)


def test_a_built_in_model_that_diverges_is_one_line(planted, capsys):
    options = [f"--{name}={value}" for name, value in {"learning_rate": 1e30, "epochs": 4, "gpu_id": ""}.items()]
    (planted.folder.parent.parent / "own.yaml").write_text(json.dumps(planted.data_options()))
    assert main(["run", "--model=BPR", "--dataset=planted", "--config_files=own.yaml", *options]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("recbole-mm: error")]
    assert len(error) == 1 and "lower learning_rate (now 1e+30)" in error[0]


# ---------------------------------------------------------------------- disk


@pytest.mark.parametrize("option", ["result_file", "predictions_file"])
def test_a_result_that_cannot_be_written_hides_no_table(planted, monkeypatch, capsys, option):
    own = planted.folder.parent.parent / "own.yaml"
    own.write_text(json.dumps(planted.options(epochs=1)))
    place = Path("out") / "result.npz"
    place.parent.mkdir()
    place.write_text("of an earlier run")
    monkeypatch.setattr(files.os, "replace", no_space)
    real_save = saving.save_checkpoint
    monkeypatch.setattr(saving, "save_checkpoint", lambda *given, **more: _with_real_replace(real_save, *given, **more))
    arguments = ["run", "--model=MMFS", "--dataset=planted", f"--config_files={own}", f"--{option}={place}"]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert "│ rmse " in out
    assert err.splitlines()[-1].startswith(
        f"recbole-mm: error: {option}: {place}: cannot be written (No space left on device)"
    )
    assert "Traceback" not in err
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert place.read_text() == "of an earlier run"


_REPLACE = os.replace


def _with_real_replace(save, *given, **more) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", _REPLACE)
        save(*given, **more)


def test_the_result_is_in_the_error(planted, monkeypatch):
    monkeypatch.setattr("recbole_mm.training.session.write_text", partial(_refuse, "x.json"))
    with pytest.raises(NotWrittenError) as stop:
        run("MMFS", planted.name, config_dict=planted.options(epochs=1, result_file="x.json"))
    assert stop.value.result.test["rmse"] > 0


def _refuse(name: str, *_) -> None:
    raise InputError(f"{name}: cannot be written")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("unexpected pos 5")])
def test_a_checkpoint_that_cannot_be_written_names_the_one_before(planted, monkeypatch, error):
    session = session_of(planted, epochs=2)
    fit(session)
    path = session.trainer.saved_model_file

    def fails(*_, **__) -> None:
        raise error

    monkeypatch.setattr(saving, "save_checkpoint", fails)
    with pytest.raises(InputError, match=r"the checkpoint of epoch 6 cannot be written \(.*\); the file still") as stop:
        session.trainer._save_checkpoint(5)
    assert str(stop.value).startswith(f"{path}: ")


def test_a_file_size_limit_is_one_line_and_leaves_nothing_half_written(planted, tmp_path):
    (tmp_path / "own.yaml").write_text(json.dumps(planted.options(epochs=2, embedding_size=64)))
    command = [sys.executable, "-m", "recbole_mm.cli.main", "run", "--model=MMFS", "--dataset=planted"]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (20_000, 20_000))
    done = subprocess.run(
        [*command, "--config_files=own.yaml"], capture_output=True, text=True, timeout=120, preexec_fn=limit
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("recbole-mm: error: "), done.stderr
    assert "cannot be written" in done.stderr
    assert not list(Path("saved").iterdir())


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "old")
    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(InputError, match=r"a.txt: cannot be written \(No space left on device\); free some space"):
        write_text(path, "new")
    assert path.read_text() == "old" and len(list(path.parent.iterdir())) == 1
    with pytest.raises(InputError, match="cannot be written"):
        write_text(path / "below a file", "new")
