"""Damaged and edited checkpoints: each is what was saved, or is an `InputError` naming the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fuzzing import CASES, WORDS, assert_says_what, damaged, run_cases
from hypothesis import strategies as st

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.checkpoint import load_checkpoint, save_checkpoint
from recbole_mm.training.resume import read_config

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**40),
    st.floats(),
    st.sampled_from(["", "x", "rating", "../..", "0x1", "~", "\x00", "__import__('os')"]),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


@pytest.fixture(scope="module")
def saved() -> dict:
    """The content of a small checkpoint."""
    options = {"epochs": 1, "gpu_id": "", "state": "warning"}
    return {
        "config": Config("MMASP", "ml-100k-mm", config_dict=options).plain(),
        **{"epoch": 0, "cur_step": 0, "best_valid_score": 1.0, "state_dict": {"weight": torch.arange(6.0)}},
        **{"other_parameter": {}, "optimizer": {"state": {}, "param_groups": []}, "data": "abc"},
        "training": {"steps": 2, "trained": []},
    }


def run_both(saved: dict, tmp_path: Path, examples: int) -> None:
    path = tmp_path / "saved.pt"
    save_checkpoint(path, saved)
    whole = path.read_bytes()
    names = st.sampled_from(sorted(saved["config"]))
    changed = st.tuples(names, PLAIN)
    same = names.map(lambda name: (name, saved["config"][name]))  # written anew, and right

    def check(case: dict[str, bytes] | tuple) -> bool:
        if isinstance(case, dict):
            path.write_bytes(case["saved.pt"])
        else:  # by somebody who can write the checksum too
            save_checkpoint(path, {**saved, "config": {**saved["config"], case[0]: case[1]}})
        try:
            content = load_checkpoint(path)
            config = read_config(None, None, None, None, [f"--evaluate={path}"])
        except InputError as error:
            assert_says_what(str(error), str(path))
            return False
        if isinstance(case, dict):
            assert case["saved.pt"] == whole, "the checksum did not notice"
            assert content["config"] == saved["config"]
        assert config["model"] == "MMASP"
        return True

    run_cases(
        "checkpoints", st.one_of(damaged({"saved.pt": whole}, WORDS), changed, changed, same), check, examples, tmp_path
    )


def test_damaged_checkpoints_are_refused(saved, tmp_path):
    run_both(saved, tmp_path, 150)


@pytest.mark.slow
def test_many_damaged_checkpoints_are_refused(saved, tmp_path):
    run_both(saved, tmp_path, CASES)
