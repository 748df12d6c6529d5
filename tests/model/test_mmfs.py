from __future__ import annotations

from model_contract import ModelContract


class TestMMFS(ModelContract):
    name = "MMFS"
    expected_rmse = (0.9043, 0.9103)  # 0.9073 on 2026-11-25; the seeds' deviation is .001
