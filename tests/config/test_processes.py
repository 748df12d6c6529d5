from __future__ import annotations

import pytest

from recbole_mm.config.config import Config
from recbole_mm.config.processes import OPTIONS, process_count
from recbole_mm.errors import InputError


@pytest.mark.parametrize(
    "model, options, message",
    [
        ("MMFS", {"nproc": 0}, "'nproc' is 0, but must be >= 1"),
        ("MMFS", {"nproc": 2, "world_size": 0}, "'world_size' is 0, but must be >= 1, or -1"),
        ("MMFS", {"nproc": 2, "world_size": 1}, "ranks 0 to 1, but world_size is 1"),
        ("MMFS", {"nproc": 2, "group_offset": 1}, "ranks 1 to 2, but world_size is 2"),
        ("MMFS", {"world_size": 2}, "say where the hosts meet with --ip"),
        ("MMFS", {"nproc": 2, "train_batch_size": 1}, "2 processes share it"),
        ("MMFS", {"nproc": 2, "evaluate": "some.pt"}, "one process evaluates a checkpoint"),
        ("MMFS", {"local_rank": 0}, "'local_rank' is set by the program; set nproc"),
        ("MMFS", {"offset": 1}, "'offset' is set by the program; set group_offset"),
        ("MMFS", {"nprocs": 2}, "Did you mean 'nproc'"),
        ("BPR", {"nproc": 2}, "only MMFS, MMSP and MMASP train in several processes, BPR trains in one"),
    ],
)
def test_options_that_do_not_go_together_are_refused(model, options, message):
    with pytest.raises(InputError, match=message):
        Config(model, "ml-100k-mm", config_dict=options)


@pytest.mark.parametrize("options", [{}, {"nproc": 1}, {"nproc": 1, "world_size": -1}, {"nproc": 1, "world_size": 1}])
def test_one_process_is_the_default(options):
    config = Config("MMFS", "ml-100k-mm", config_dict=options)
    assert process_count(config) == 1
    assert set(config.plain()).isdisjoint(OPTIONS)
