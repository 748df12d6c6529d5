from __future__ import annotations

from ranker_contract import ItemGraphContract


class TestSMORE(ItemGraphContract):
    name = "SMORE"
    expected_ndcg = (0.05, 0.3)
