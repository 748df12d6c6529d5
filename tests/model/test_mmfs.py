from __future__ import annotations

from model_contract import ModelContract


class TestMMFS(ModelContract):
    name = "MMFS"
    expected_rmse = (0.895, 0.920)
