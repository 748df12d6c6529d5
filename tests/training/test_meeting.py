"""Processes that are started again find each other in the store of the first start."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as dist

from recbole_mm.errors import InputError
from recbole_mm.training.meeting import store_of_this_start

PATIENCE = timedelta(seconds=20)


def start(store: dist.Store, late: int | None = None, ranks: int = 3) -> list[dist.Store]:
    """The stores that the ranks of one start have found; rank ``late`` comes behind the others."""

    def one(rank: int) -> dist.Store:
        time.sleep(0.3 if rank == late else 0)
        return store_of_this_start(store, rank, ranks, PATIENCE)

    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(one, range(ranks)))


@pytest.mark.parametrize("late", [None, 0, 1, 2])
def test_what_an_earlier_start_has_left_is_not_seen(late):
    store = dist.HashStore()
    start(store)[0].set("address", "of a dead process")
    again = start(store, late)
    assert not again[1].check(["address"])
    again[0].set("address", "new")
    assert [one.get("address") for one in again] == [b"new"] * 3


def test_a_start_that_broke_off_does_not_confuse_the_next():
    store = dist.HashStore()
    for rank in (0, 1):  # rank 2 was dead before it came
        with pytest.raises(InputError):
            store_of_this_start(store, rank, 3, timedelta(0))
    first, *others = start(store)
    first.set("address", "new")
    assert all(one.get("address") == b"new" for one in others)


def test_a_rank_that_does_not_come_is_named():
    with pytest.raises(InputError, match=r"of 3 processes rank 1, rank 2 did not come within 0:00:00; start all"):
        store_of_this_start(dist.HashStore(), 0, 3, timedelta(0))
