from __future__ import annotations

from ranker_contract import RankerContract


class TestMMGCN(RankerContract):
    name = "MMGCN"
    expected_ndcg = (0.05, 0.3)
    quick = {"epochs": 30, "train_batch_size": 128, "embedding_size": 16}
