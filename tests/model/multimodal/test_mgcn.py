from __future__ import annotations

from ranker_contract import ItemGraphContract


class TestMGCN(ItemGraphContract):
    name = "MGCN"
    expected_ndcg = (0.05, 0.3)
