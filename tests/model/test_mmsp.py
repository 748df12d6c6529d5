from __future__ import annotations

import torch
from model_contract import ModelContract, predictions


class TestMMSP(ModelContract):
    name = "MMSP"
    expected_rmse = (0.8979, 0.9039)  # 0.9009 on 2026-11-28; the seeds' deviation is .001

    def test_without_private_parts_it_is_mmfs(self, planted):
        without = predictions("MMSP", planted, private_size=0)
        for first, second in zip(without, predictions("MMFS", planted)):
            assert torch.equal(first, second)

    def test_with_private_parts_it_is_not(self, planted):
        assert not torch.equal(predictions("MMSP", planted)[0], predictions("MMFS", planted)[0])
