"""How the processes of one start find each other in a store that still holds what an earlier start has left.

After a failure torchrun starts the processes again. With ``--standalone`` or ``--rdzv-backend=c10d`` (torch 2.13) the
store is the one of the first start, and so are the addresses in it: gloo tries to reach processes that are dead, for
minutes. Numbers of restarts do not tell the starts apart, because two hosts may have counted differently.
"""

from __future__ import annotations

import json
import secrets
import time
from datetime import timedelta

import torch.distributed as dist

from recbole_mm.errors import InputError

_SECONDS_BETWEEN_LOOKS = 0.02


def store_of_this_start(store: dist.Store, rank: int, world_size: int, patience: timedelta) -> dist.Store:
    """The part of a store that only the processes use which have been started together.

    Each rank leaves a token. Rank 0 answers with a new name and the tokens that it has read, until each rank has found
    its own token in an answer and has said so under the new name.

    Raises:
        InputError: not all ranks come in time; they are named.
    """
    deadline = time.monotonic() + patience.total_seconds()
    find = _name_it if rank == 0 else _hear_it
    own = secrets.token_hex(8)
    store.set(f"recbole-mm/token/{rank}", own)
    while True:
        name = find(store, rank, world_size, own)
        if name is not None:
            return dist.PrefixStore(f"recbole-mm/{name}", store)
        if time.monotonic() > deadline:
            raise InputError(_who_is_missing(store, world_size, patience))
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _name_it(store: dist.Store, rank: int, world_size: int, own: str) -> str | None:
    """What rank 0 does: its own token is the name."""
    keys = [f"recbole-mm/token/{one}" for one in range(world_size)]
    if not store.check(keys):
        return None
    store.set("recbole-mm/answer", json.dumps({"name": own, "tokens": [store.get(key).decode() for key in keys]}))
    heard = [f"recbole-mm/{own}/heard/{one}" for one in range(1, world_size)]
    return own if store.check(heard) else None


def _hear_it(store: dist.Store, rank: int, world_size: int, own: str) -> str | None:
    if not store.check(["recbole-mm/answer"]):
        return None
    answer = json.loads(store.get("recbole-mm/answer"))
    if answer["tokens"][rank : rank + 1] != [own]:
        return None  # of an earlier start, or rank 0 has not read our token yet
    store.set(f"recbole-mm/{answer['name']}/heard/{rank}", "1")
    return answer["name"]


def _who_is_missing(store: dist.Store, world_size: int, patience: timedelta) -> str:
    missing = [f"rank {one}" for one in range(world_size) if not store.check([f"recbole-mm/token/{one}"])]
    who = f"{', '.join(missing)} did not come" if missing else "not all of them answered"
    return f"of {world_size} processes {who} within {patience}; start all of them, with torchrun"
