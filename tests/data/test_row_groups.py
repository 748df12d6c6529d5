from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction

from recbole_mm.data.row_groups import rows_by_ratio


class Rows(Dataset):
    """Only what RecBole's split reads."""

    def __init__(self, users: list[int]) -> None:
        self.inter_feat = Interaction({"user": torch.tensor(users), "row": torch.arange(len(users))})
        self.config = {"unused_col": None}
        self.logger = type("Silent", (), {"debug": lambda self, text: None})()


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=60),
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
)
def test_the_parts_are_those_of_recbole(users, weights):
    rows, ratios = Rows(users), [weight / sum(weights) for weight in weights]
    theirs = [part.inter_feat["row"].tolist() for part in rows.split_by_ratio(list(weights), group_by="user")]
    ours = rows_by_ratio(np.array(users), lambda size: rows._calcu_split_ids(size, ratios))
    assert [part.tolist() for part in ours] == theirs
