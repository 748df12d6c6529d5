from __future__ import annotations

import pytest

from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.config.processes import OPTIONS, Place, of_several, place, process_count
from recbole_mm.errors import InputError

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}


@pytest.fixture
def started_by(monkeypatch):
    """Sets the variables of a launcher."""
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)

    def start(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


@pytest.mark.parametrize(
    "model, options, message",
    [
        ("MMFS", {"nproc": 0}, "'nproc' is 0, but must be >= 1"),
        ("MMFS", {"world_size": 2}, "'world_size' is set by the program; set nproc, or start several hosts with torch"),
        ("MMFS", {"group_offset": 1}, "'group_offset' is set by the program; set nproc, or start several hosts"),
        ("MMFS", {"port": 1234}, "'port' is set by the program; set the address in torchrun's own options"),
        ("MMFS", {"nproc": 2, "train_batch_size": 1}, "2 processes share it"),
        ("MMFS", {"local_rank": 0}, "'local_rank' is set by the program; set nproc"),
        ("MMFS", {"nprocs": 2}, "Did you mean 'nproc'"),
        ("BPR", {"nproc": 2}, r"only MMFS, MMSP and MMASP train in several processes \(here 2\), BPR trains in one"),
    ],
)
def test_options_that_do_not_go_together_are_refused(started_by, model, options, message):
    with pytest.raises(InputError, match=message):
        Config(model, "ml-100k-mm", config_dict=options)


@pytest.mark.parametrize("options", [{}, {"nproc": 1}])
def test_one_process_is_the_default(started_by, options):
    config = Config("MMFS", "ml-100k-mm", config_dict=options)
    assert process_count(config) == 1 and of_several(config) == {} and place() is None
    assert set(config.plain()).isdisjoint(OPTIONS)


def test_a_launcher_says_which_process_this_is(started_by):
    started_by(**TORCHRUN)
    assert place() == Place(1, 2, 1, 2)
    for options in ({}, {"nproc": 2}):
        assert of_several(Config("MMFS", "ml-100k-mm", config_dict=options)) == {"nproc": 2}
    with pytest.raises(InputError, match="'nproc' is 3, but a launcher has started 2 processes on this host already"):
        Config("MMFS", "ml-100k-mm", config_dict={"nproc": 3})
    with pytest.raises(InputError, match="LightGCN trains in one; start it with python instead of torchrun"):
        Config("LightGCN", "ml-100k-mm")


def test_a_launcher_of_one_process_changes_nothing(started_by):
    started_by(RANK="0", WORLD_SIZE="1")
    assert of_several(Config("LightGCN", "ml-100k-mm")) == {}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"RANK": "x"}, "variable RANK is 'x', not a number from 0 on; start the processes with torchrun"),
        ({"WORLD_SIZE": "0"}, "variable WORLD_SIZE is '0', not a number from 1 on"),
        ({"LOCAL_RANK": ""}, "variable LOCAL_RANK is '', not a number"),
        ({"RANK": "2"}, "rank 2 of 2 processes, on its host 1 of 2, cannot be"),
        ({"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "3"}, "rank 1 of 2 processes, on its host 2 of 3, cannot be"),
    ],
)
def test_variables_that_no_launcher_sets_are_refused(started_by, changes, message):
    started_by(**{**TORCHRUN, **changes})
    with pytest.raises(InputError, match=message):
        place()


def test_other_commands_are_refused_under_a_launcher(started_by, capsys):
    started_by(**TORCHRUN)
    assert main(["benchmark", "--suite=main"]) == 2
    assert "'benchmark' runs in one process, but a launcher has started 2" in capsys.readouterr().err
