from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.errors import InputError
from recbole_mm.training.checkpoint import from_plain, load_checkpoint, save_checkpoint, to_plain

CONTENT = {
    "config": {"model": "MMFS", "dataset": "planted", "topk": [10], "seed": 1, "gpu_id": None},
    "epoch": 3,
    "cur_step": 0,
    "best_valid_score": 0.9,
    "state_dict": {"weight": torch.arange(3.0)},
    "other_parameter": {
        "similarity": scipy.sparse.random(4, 5, 0.5, format="csr", random_state=0),
        "scores": np.arange(6.0).reshape(2, 3),
        "scale": np.float64(2.5),
    },
    "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999)}]},
    "data": "abc",
    "training": {"steps": 2, "trained": [torch.zeros(2)]},
}


class Payload:
    """Would leave a mark when unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_round_trip(tmp_path):
    path = tmp_path / "saved" / "model.pt"
    save_checkpoint(path, CONTENT)
    content = load_checkpoint(path)
    assert content["config"] == CONTENT["config"]
    assert torch.equal(content["state_dict"]["weight"], torch.arange(3.0))
    assert content["optimizer"]["state"][0]["step"] == 1.0
    other = content["other_parameter"]
    assert other["similarity"].format == "csr"
    assert (other["similarity"] != CONTENT["other_parameter"]["similarity"]).nnz == 0
    np.testing.assert_array_equal(other["scores"], np.arange(6.0).reshape(2, 3))
    assert other["scale"] == 2.5
    assert [p.name for p in path.parent.iterdir()] == ["model.pt"], "nothing half-written is left"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_values_come_back_as_they_were(value):
    assert from_plain(to_plain(value)) == value


def test_an_object_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match="not Payload"):
        save_checkpoint(tmp_path / "model.pt", {**CONTENT, "config": {"x": Payload(tmp_path)}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["pickle", "torch pickle", "other tensors", "text", "empty", "npz", "half"])
def test_a_foreign_file_is_refused_and_runs_nothing(tmp_path, kind):
    path, mark = tmp_path / "model.pt", tmp_path / "mark"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Payload(mark)))
    elif kind == "torch pickle":
        torch.save({**CONTENT, "config": Payload(mark)}, path, pickle_protocol=4)
    elif kind == "other tensors":
        torch.save({"state_dict": {"w": torch.zeros(2)}}, path)
    elif kind == "npz":
        np.savez(path.with_suffix(".npz"), a=np.zeros(2))
        path.with_suffix(".npz").rename(path)
    elif kind == "half":
        save_checkpoint(path, CONTENT)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_text("hello" if kind == "text" else "")
    with pytest.raises(InputError, match="model.pt: not a checkpoint of recbole-mm"):
        load_checkpoint(path)
    assert not mark.exists()


def test_an_absent_file_and_a_newer_format_are_errors(tmp_path):
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "nothing.pt")
    path = tmp_path / "model.pt"
    torch.save({**to_plain(CONTENT), "format": "recbole-mm checkpoint", "format_version": 99}, path)
    with pytest.raises(InputError, match="newer recbole-mm"):
        load_checkpoint(path)


@pytest.mark.parametrize("damage", [{"config": {}}, {"config": 3}, {"format_version": "x"}])
def test_a_checkpoint_with_a_broken_head_is_refused(tmp_path, damage):
    path = tmp_path / "model.pt"
    torch.save({**to_plain(CONTENT), "format": "recbole-mm checkpoint", "format_version": 2, **damage}, path)
    with pytest.raises(InputError, match="not a checkpoint of recbole-mm"):
        load_checkpoint(path)


def test_a_checkpoint_of_the_first_build_is_refused(tmp_path):
    path = tmp_path / "old.pt"
    torch.save({**to_plain(CONTENT), "format": "recbole-mm checkpoint", "format_version": 1}, path)
    with pytest.raises(InputError, match="written by an older recbole-mm .*train again"):
        load_checkpoint(path)
