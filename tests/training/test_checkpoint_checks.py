"""A checkpoint is loaded as it was saved, or refused with an error that names the file."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.errors import InputError
from recbole_mm.training.checkpoint import load_checkpoint, save_checkpoint
from recbole_mm.training.session import run

CONTENT = {
    "config": {"model": "MMFS", "dataset": "planted"},
    "epoch": 3,
    "cur_step": 0,
    "best_valid_score": 0.9,
    "state_dict": {"weight": torch.arange(3.0)},
    "other_parameter": {},
    "optimizer": {"state": {}, "param_groups": []},
    "data": "abc",
    "training": {},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.pt"
    save_checkpoint(path, CONTENT)
    return path


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_flipped_bit_or_a_cut_is_an_error(saved, data):
    whole = saved.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    if data.draw(st.booleans()):
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del damaged[place:]
    path = saved.with_name("damaged.pt")
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"damaged\.pt: "):
        load_checkpoint(path)


@pytest.mark.parametrize("field", sorted(set(CONTENT)))
@pytest.mark.parametrize("value", [None, "x", [1], 1.5, True, torch.zeros(2), float("nan")])
def test_a_field_of_another_kind_is_an_error(tmp_path, field, value):
    if field == {str: "data", float: "best_valid_score"}.get(type(value)) and value == value:
        return
    path = tmp_path / "model.pt"
    save_checkpoint(path, {**CONTENT, field: value})
    with pytest.raises(InputError, match=r"model\.pt: "):
        load_checkpoint(path)


def test_resuming_checks_weights_optimiser_and_average(planted):
    path = run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    content = load_checkpoint(path)
    state = content["optimizer"]["state"]
    number = max(state, key=lambda one: state[one]["exp_avg"].numel())
    short = {**state, number: {**state[number], "exp_avg": torch.zeros(3)}}
    weight = next(name for name, one in content["state_dict"].items() if name.endswith("weight"))
    damaged = content["state_dict"][weight].clone()
    damaged.view(-1)[0] = float("nan")
    for change, said in (
        ({"optimizer": {**content["optimizer"], "state": short}}, "exp_avg of weight"),
        ({"training": {"steps": 1, "trained": [torch.zeros(3)]}}, "'training' has weights of other shapes"),
        ({"training": {"unknown": 1}}, "'training'"),
        ({"state_dict": {**content["state_dict"], weight: damaged}}, "nan or infinite"),
        ({"other_parameter": {"forward": 1}}, "unknown names"),
    ):
        save_checkpoint(path, {**content, **change})
        with pytest.raises(InputError, match=said):
            run(arguments=[f"--resume={path}", "--epochs=3"])
