from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.config.config import Config
from recbole_mm.data.dataloader import UserRows
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_session


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(0, 9))
def test_shuffled_users_keep_their_rows_together_and_lose_none(users, seed):
    users = torch.tensor(users, dtype=torch.long)
    rows = UserRows(users.argsort(stable=True), users.bincount(minlength=8))
    order = rows.shuffled(torch.Generator().manual_seed(seed))
    assert sorted(order.tolist()) == list(range(len(users)))
    runs = users[order].unique_consecutive()
    assert len(runs) == len(users.unique())


def test_batches_of_users_have_every_row_once_in_an_order_of_its_own_each_epoch(planted):
    config = Config("MMFS", planted.name, config_dict=planted.options(batches_of="users", train_batch_size=200))
    session = prepare_session(config)
    loader, rows = session.train_data, session.split.train.inter_feat
    epochs = []
    for seed in (1, 2):
        loader.generator.manual_seed(seed)
        found = [torch.stack([batch[name] for name in ("user_id", "item_id")], 1) for batch in loader]
        assert all(len(batch) == 200 for batch in found[:-1])
        epochs.append(torch.cat(found))
        assert len(epochs[-1][:, 0].unique_consecutive()) == len(rows["user_id"].unique())
    wanted = torch.stack([rows["user_id"], rows["item_id"]], 1).numpy()
    for epoch in epochs:
        np.testing.assert_array_equal(
            np.sort(epoch.numpy().view("i8,i8"), axis=0), np.sort(wanted.view("i8,i8"), axis=0)
        )
    assert not torch.equal(*epochs)


def test_unknown_batches_are_an_error(planted):
    with pytest.raises(InputError, match="batches_of"):
        Config("MMFS", planted.name, config_dict=planted.options(batches_of="movies"))
