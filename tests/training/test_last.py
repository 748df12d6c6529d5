"""The checkpoint of the last epoch: a killed run goes on from it as if it had never stopped."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from recbole_mm.errors import InputError
from recbole_mm.training import last
from recbole_mm.training.checkpoint import load_checkpoint, save_checkpoint
from recbole_mm.training.session import run
from recbole_mm.training.trainer import MultitaskTrainer


class Killed(BaseException):
    """Nothing of the program catches it, as nothing catches SIGKILL."""


@pytest.fixture
def killed_in(monkeypatch):
    """``killed_in(epoch, what)``: from now on training dies at the start of this epoch, or behind it."""

    def plan(epoch: int | None, before: bool = True) -> None:
        train_epoch = MultitaskTrainer.__dict__["_train_epoch"]
        train_epoch = getattr(train_epoch, "original", train_epoch)

        def mortal(self, data, index, *arguments, **more):
            if index == epoch:
                raise Killed
            return train_epoch(self, data, index, *arguments, **more)

        mortal.original = train_epoch
        monkeypatch.setattr(MultitaskTrainer, "_train_epoch", mortal)

    return plan


def files(folder: str = "saved") -> list[str]:
    """Names of the checkpoints, without what is different in each run."""
    return sorted(re.sub(r"-[A-Z][a-z]{2}-\d\d-.*?(?=\.)", "", path.name) for path in Path(folder).iterdir())


@pytest.mark.parametrize("change", [{}, {"eval_step": 2}, {"stopping_step": 1, "learning_rate": 0.5}])
def test_a_killed_run_ends_where_an_undisturbed_one_does(planted, killed_in, change):
    options = planted.options(**{"epochs": 6, **change})
    whole = run("MMASP", planted.name, config_dict={**options, "checkpoint_dir": "whole"})
    assert files("whole") == ["MMASP-planted.pt"]
    for epoch in range(1, whole.epochs):
        killed_in(epoch)
        with pytest.raises(Killed):
            run("MMASP", planted.name, config_dict={**options, "resume": "auto"})
        assert "MMASP-planted.last.pt" in files()
        assert load_checkpoint(next(Path("saved").glob("*.last.pt")))["epoch"] == epoch - 1
    killed_in(None)
    again = run("MMASP", planted.name, config_dict={**options, "resume": "auto"})
    assert (again.valid, again.test, again.best_epoch) == (whole.valid, whole.test, whole.best_epoch)
    assert again.epochs == 1, "only the last epoch was left"
    assert files() == ["MMASP-planted.pt"], "one run, whose last epoch is no longer needed"


def test_a_run_killed_behind_its_last_epoch_is_only_evaluated(planted, monkeypatch):
    options = planted.options(epochs=2, resume="auto")
    with monkeypatch.context() as patch:
        patch.setattr(MultitaskTrainer, "remove_last", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run("MMFS", planted.name, config_dict=options)
    again = run("MMFS", planted.name, config_dict=options)
    assert again.epochs == 0 and again.best_epoch is not None and files() == ["MMFS-planted.pt"]


def test_auto_is_a_new_run_if_options_or_data_are_others(planted, killed_in):
    killed_in(1)
    with pytest.raises(Killed):
        run("MMFS", planted.name, config_dict=planted.options(epochs=3))
    killed_in(None)
    other = run("MMFS", planted.name, config_dict=planted.options(epochs=3, seed=3, resume="auto"))
    assert other.epochs == 3
    planted.ratings.loc[0, "rating:float"] = 3.0
    planted.write()
    assert run("MMFS", planted.name, config_dict=planted.options(epochs=3, resume="auto")).epochs == 3


def test_where_the_last_epoch_is_damaged_the_best_one_takes_its_place(planted, killed_in, caplog):
    options = planted.options(epochs=4)
    whole = run("MMFS", planted.name, config_dict={**options, "checkpoint_dir": "whole"})
    killed_in(3)
    with pytest.raises(Killed):
        run("MMFS", planted.name, config_dict=options)
    damaged = next(Path("saved").glob("*.last.pt"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.unlink()
    damaged.write_bytes(content)
    half_written = damaged.with_name(damaged.name + ".1.part")
    half_written.write_bytes(b"half")
    killed_in(None)
    again = run("MMFS", planted.name, config_dict={**options, "resume": "auto"})
    assert again.test == whole.test and not half_written.exists()
    assert f"{damaged}: damaged" in caplog.text


def test_going_on_by_name_leaves_both_files_alone(planted, killed_in):
    options = planted.options(epochs=4)
    killed_in(2)
    with pytest.raises(Killed):
        run("MMFS", planted.name, config_dict=options)
    before = {path: path.read_bytes() for path in Path("saved").iterdir()}
    (named,) = Path("saved").glob("*.last.pt")
    # So good that no later epoch is better: the result must then be of the best epoch, not of the one resumed from.
    best = last.best_of(named)
    save_checkpoint(best, {**load_checkpoint(best), "epoch": 0})
    save_checkpoint(named, {**load_checkpoint(named), "best_valid_score": 0.0})
    before = {path: path.read_bytes() for path in (named, best)}
    killed_in(None)
    again = run(arguments=[f"--resume={named}"])
    assert again.epochs == 2 and again.best_epoch == 1
    assert {path: path.read_bytes() for path in before} == before
    best.unlink()
    with pytest.raises(InputError, match=r"last\.pt: the checkpoint of the best epoch, .* is missing; put it beside"):
        run(arguments=[f"--resume={named}"])


def test_an_epoch_that_is_the_best_is_not_written_again(planted, monkeypatch):
    written = []
    original = MultitaskTrainer._save_checkpoint
    monkeypatch.setattr(
        MultitaskTrainer, "_save_checkpoint", lambda self, *a, **k: (written.append(k), original(self, *a, **k))
    )
    improving = run("MMFS", planted.name, config_dict=planted.options(epochs=3))
    assert improving.best_epoch == 3 and not any("saved_model_file" in more for more in written)


def test_without_links_the_file_is_written(planted, monkeypatch, killed_in):
    def no_links(*arguments) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    killed_in(2)
    with pytest.raises(Killed):
        run("MMFS", planted.name, config_dict=planted.options(epochs=3))
    (named,) = Path("saved").glob("*.last.pt")
    assert load_checkpoint(named)["epoch"] == 1


def test_the_last_epoch_can_be_left_out(planted, killed_in):
    killed_in(2)
    with pytest.raises(Killed):
        run("MMFS", planted.name, config_dict=planted.options(epochs=3, save_last=False))
    assert files() == ["MMFS-planted.pt"]
    with pytest.raises(InputError, match="'resume' and 'save_last': auto goes on from the last epoch"):
        run("MMFS", planted.name, config_dict=planted.options(save_last=False, resume="auto"))


def test_a_model_of_recbole_goes_on_too(planted, monkeypatch):
    options = planted.data_options(epochs=4)
    whole = run("BPR", planted.name, config_dict={**options, "checkpoint_dir": "whole"})
    from recbole.trainer import Trainer

    train_epoch = Trainer._train_epoch

    def mortal(self, data, index, *arguments, **more):
        if index == 2:
            raise Killed
        return train_epoch(self, data, index, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_epoch", mortal)
        with pytest.raises(Killed):
            run("BPR", planted.name, config_dict=options)
    again = run("BPR", planted.name, config_dict={**options, "resume": "auto"})
    assert again.epochs == 2 and again.test == whole.test


def test_names():
    assert last.last_of("saved/a.b.pt") == Path("saved/a.b.last.pt")
    assert last.best_of("saved/a.b.last.pt") == last.best_of("saved/a.b.pt") == Path("saved/a.b.pt")
