from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.config.config import Config
from recbole_mm.data.corruption import CORRUPTIONS, corrupt
from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.data.modality import Modality
from recbole_mm.errors import InputError


def modality(rows: int = 400, seed: int = 0) -> Modality:
    random = np.random.default_rng(seed)
    present = torch.from_numpy(random.random(rows) < 0.7)
    values = torch.from_numpy(random.normal([3.0, -1.0], [2.0, 0.5], (rows, 2))).float()
    return Modality(values * present[:, None], present)


def corrupted(control: str, ratio: float = 0.0, seed: int = 1) -> tuple[Modality, Modality]:
    before = modality()
    return before, corrupt({"text": before}, control, ratio, seed)["text"]


def test_nothing_is_spoilt_without_a_control():
    before, after = corrupted("none")
    assert torch.equal(before.values, after.values) and torch.equal(before.present, after.present)


def test_shuffled_vectors_are_the_same_vectors_with_other_movies():
    before, after = corrupted("shuffled")
    assert torch.equal(before.present, after.present) and not torch.equal(before.values, after.values)
    assert torch.equal(before.values.sort(dim=0).values, after.values.sort(dim=0).values)


def test_noise_has_the_moments_of_each_column_and_no_trace_of_the_vector():
    before, after = (one.values[one.present] for one in corrupted("noise"))
    torch.testing.assert_close(after.mean(dim=0), before.mean(dim=0), atol=0.3, rtol=0)
    torch.testing.assert_close(after.std(dim=0), before.std(dim=0), rtol=0.15, atol=0)
    assert abs(np.corrcoef(before[:, 0], after[:, 0])[0, 1]) < 0.2


def test_constant_is_the_mean_and_absent_is_nothing():
    before, after = corrupted("constant")
    expected = before.values[before.present].mean(dim=0).expand(int(before.present.sum()), -1)
    torch.testing.assert_close(after.values[after.present], expected)
    _, after = corrupted("absent")
    assert not after.present.any() and not after.values.any()


@given(st.sampled_from(CORRUPTIONS), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_what_is_missing_stays_missing_and_is_zero(control, ratio, seed):
    before, after = corrupted(control, ratio, seed)
    assert not (after.present & ~before.present).any()
    assert not after.values[~after.present].any()
    again = corrupt({"text": before}, control, ratio, seed)["text"]
    assert torch.equal(after.values, again.values)


@pytest.mark.parametrize("ratio", [0.25, 1.0])
def test_missing_ratio_is_the_part_taken_away(ratio):
    before, after = corrupted("none", ratio)
    assert 1 - after.present.sum() / before.present.sum() == pytest.approx(ratio, abs=0.06 if ratio < 1 else 0)


def test_the_options_reach_the_data(planted):
    data = MultimodalDataset(Config("MMFS", planted.name, config_dict=planted.options(modality_corruption="absent")))
    assert not any(modality.present.any() for modality in data.modalities.values())
    data = MultimodalDataset(Config("MMFS", planted.name, config_dict=planted.options(missing_ratio=0.5)))
    assert 0.3 < data.modalities["text"].present.float().mean() < 0.7


def test_an_unknown_control_is_an_error_with_the_nearest_name(planted):
    with pytest.raises(InputError, match="'modality_corruption' is 'shufled'.*Did you mean 'shuffled'"):
        Config("MMFS", planted.name, config_dict=planted.options(modality_corruption="shufled"))
