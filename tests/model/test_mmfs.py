from __future__ import annotations

from model_contract import ModelContract


class TestMMFS(ModelContract):
    name = "MMFS"
    expected_rmse = (0.900, 0.925)
